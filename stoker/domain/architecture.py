"""Transformer shapes as their publishers give them, and the sizes that follow by arithmetic.

Parameters, KV bytes and FLOPs, for estimates where nothing was measured. Biases, norms and
position tables are left out: together under 0.5% of any model.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stoker.domain.catalogue import Precision

_FLOPS_PER_PRODUCT = 2  # one multiplication and one addition


class AttentionKind(StrEnum):
    """How queries share keys and values."""

    MHA = "mha"
    GQA = "gqa"
    MQA = "mqa"
    MLA = "mla"


@dataclass(frozen=True, slots=True)
class LatentAttention:
    """Shape of multi-head latent attention (DeepSeek-V2, 2024), in values.

    Attributes:
        kv_latent_size: Compressed key and value that is cached for each token and layer.
        rope_head_size: Positional key, cached beside it and shared by all heads.
        value_head_size: Value of one head.
        query_latent_size: Compressed query; None where queries are not compressed.
    """

    kv_latent_size: int
    rope_head_size: int
    value_head_size: int
    query_latent_size: int | None


@dataclass(frozen=True, slots=True)
class Attention:
    """Shape of one attention layer, and which layers see only a window.

    Attributes:
        kind: How heads share keys and values.
        query_heads: Query heads.
        kv_heads: Key and value heads (with `mla` those before compression).
        head_size: Size of a head; with `mla` its part without position.
        latent: The latent shape, with `mla` only.
        window_tokens: Context that a windowed layer sees, or an upper bound of it (the chunk of
            chunked attention); None where all layers see everything.
        window_layers: Number of windowed layers.
    """

    kind: AttentionKind
    query_heads: int
    kv_heads: int
    head_size: int
    latent: LatentAttention | None = None
    window_tokens: int | None = None
    window_layers: int = 0

    @property
    def cached_values_per_token(self) -> int:
        """Values that one layer keeps in the KV cache for one token."""
        if self.latent is not None:
            return self.latent.kv_latent_size + self.latent.rope_head_size
        return 2 * self.kv_heads * self.head_size

    def parameters(self, hidden_size: int) -> int:
        """Return the weights of one layer's projections, biases and norms left out."""
        heads = self.query_heads
        if self.latent is None:
            return 2 * hidden_size * self.head_size * (heads + self.kv_heads)
        latent = self.latent
        query_size = heads * (self.head_size + latent.rope_head_size)
        query = hidden_size * query_size
        if latent.query_latent_size is not None:
            query = latent.query_latent_size * (hidden_size + query_size)
        down = hidden_size * (latent.kv_latent_size + latent.rope_head_size)
        up = latent.kv_latent_size * heads * (self.head_size + latent.value_head_size)
        return query + down + up + heads * latent.value_head_size * hidden_size

    def products_per_key(self, *, decoding: bool) -> int:
        """Return the multiplications of one query token with one key and its value.

        Latent attention decodes on the compressed cache (up-projections absorbed) and prefills
        on expanded heads.
        """
        if self.latent is None:
            return self.query_heads * 2 * self.head_size
        latent = self.latent
        if decoding:
            return self.query_heads * (2 * latent.kv_latent_size + latent.rope_head_size)
        return self.query_heads * (self.head_size + latent.rope_head_size + latent.value_head_size)


@dataclass(frozen=True, slots=True)
class MixtureOfExperts:
    """Shape of the expert layers.

    Attributes:
        layers: Layers that have experts; the others have a dense MLP.
        experts: Routed experts of a layer.
        experts_per_token: Routed experts that a token visits.
        expert_intermediate_size: Intermediate size of one expert, routed or shared.
        shared_experts: Experts that every token visits.
    """

    layers: int
    experts: int
    experts_per_token: int
    expert_intermediate_size: int
    shared_experts: int

    def experts_touched(self, tokens: int) -> float:
        """Return the mean number of different routed experts that a layer uses for a batch.

        Tokens choose independently and evenly: E(1 − (1 − k/E)^n). Uneven routing touches fewer.
        """
        return self.experts * (1 - (1 - self.experts_per_token / self.experts) ** tokens)


@dataclass(frozen=True, slots=True)
class ModelArchitecture:
    """The shape of one decoder-only transformer.

    Attributes:
        name: Name in the catalogue.
        aliases: Other names with this shape: checkpoints, fine-tunes, quantized copies.
        publisher: Who published it.
        total_parameters: Published count.
        active_parameters: Published count that works on one token, the total for dense models;
            publishers differ in whether they count embeddings.
        layers: Transformer layers.
        hidden_size: Width of the residual stream.
        intermediate_size: Width of the dense MLP; None where every layer has experts.
        gated_mlp: Three matrices in an MLP (SwiGLU, GeGLU) rather than two.
        vocabulary_size: Rows of the embedding.
        tied_embeddings: The output head shares the embedding.
        max_context_tokens: Longest context that the publisher supports.
        attention: Shape of attention.
        experts: Shape of the expert layers; None for dense models.
        weight_precision: Format of the released weights.
        expert_weight_precision: Format of the routed experts' released weights.
        source: Where the shape stands.
        note: What to know about the figures; may be empty.
    """

    name: str
    aliases: tuple[str, ...]
    publisher: str
    total_parameters: int
    active_parameters: int
    layers: int
    hidden_size: int
    intermediate_size: int | None
    gated_mlp: bool
    vocabulary_size: int
    tied_embeddings: bool
    max_context_tokens: int
    attention: Attention
    experts: MixtureOfExperts | None
    weight_precision: Precision
    expert_weight_precision: Precision
    source: str
    note: str = ""

    @property
    def embedding_parameters(self) -> int:
        """Weights of the embedding; the output head has as many, shared where tied."""
        return self.vocabulary_size * self.hidden_size

    @property
    def routed_expert_parameters(self) -> int:
        """Weights of all routed experts of all layers; 0 for dense models."""
        routed = 0 if self.experts is None else self.experts.layers * self.experts.experts
        return routed * self._expert_parameters

    @property
    def shape_parameters(self) -> int:
        """Total weights recomputed from the shape, to check the published count against."""
        embeddings = self.embedding_parameters * (1 if self.tied_embeddings else 2)
        return embeddings + self._common_parameters + self.routed_expert_parameters

    @property
    def shape_active_parameters(self) -> int:
        """Weights multiplied for one decoded token: the output head counts, the look-up not."""
        visited = 0
        if self.experts is not None:
            visited = self.experts.layers * self.experts.experts_per_token
        common = self.embedding_parameters + self._common_parameters
        return common + visited * self._expert_parameters

    def weight_bytes(
        self, precision: Precision | None = None, expert_precision: Precision | None = None
    ) -> float:
        """Return the bytes of all weights.

        Args:
            precision: Format of the weights; the released one where None.
            expert_precision: Format of the routed experts; `precision` where None.
        """
        routed = self.routed_expert_parameters
        return self._bytes(self.total_parameters - routed, routed, precision, expert_precision)

    def decode_weight_bytes(
        self,
        batch_tokens: int,
        precision: Precision | None = None,
        expert_precision: Precision | None = None,
    ) -> float:
        """Return the mean bytes of weights that one decode iteration reads.

        The embedding is looked up, not read; of the routed experts those that the batch touches
        (`MixtureOfExperts.experts_touched`).

        Args:
            batch_tokens: Tokens in the iteration, one for each sequence.
            precision: As for `weight_bytes`.
            expert_precision: As for `weight_bytes`.
        """
        touched = 0.0
        if self.experts is not None:
            touched = self.experts.layers * self.experts.experts_touched(batch_tokens)
        routed = touched * self._expert_parameters
        common = self.embedding_parameters + self._common_parameters
        return self._bytes(common, routed, precision, expert_precision)

    def kv_bytes_per_token(self, precision: Precision = Precision.BF16) -> float:
        """Return the KV cache bytes that one token takes in all layers, windows not yet full."""
        return self.layers * self.attention.cached_values_per_token * precision.bytes_per_value

    def kv_bytes(self, context_tokens: int, precision: Precision = Precision.BF16) -> float:
        """Return the KV cache bytes of a sequence, windowed layers keeping their window only.

        Engines that keep the full context in every layer take more: `context_tokens` times
        `kv_bytes_per_token`.
        """
        keys = self._keys(context_tokens, self._windowed(context_tokens))
        return keys * self.attention.cached_values_per_token * precision.bytes_per_value

    def decode_flops(self, context_tokens: int) -> float:
        """Return the FLOPs of one decoded token that sees `context_tokens`, itself included."""
        attention = self.attention.products_per_key(decoding=True)
        keys = self._keys(context_tokens, self._windowed(context_tokens))
        return _FLOPS_PER_PRODUCT * (self.shape_active_parameters + attention * keys)

    def prefill_flops(self, tokens: int) -> float:
        """Return the FLOPs of a prompt of `tokens`, causal, the output head for its last token."""
        body = self.shape_active_parameters - self.embedding_parameters
        window = self._windowed(tokens)
        full = tokens * (tokens + 1) // 2
        keys = self._keys(full, window * (window + 1) // 2 + (tokens - window) * window)
        attention = self.attention.products_per_key(decoding=False) * keys
        return _FLOPS_PER_PRODUCT * (tokens * body + self.embedding_parameters + attention)

    @property
    def _expert_parameters(self) -> int:
        return 0 if self.experts is None else self._mlp(self.experts.expert_intermediate_size)

    def _mlp(self, intermediate_size: int) -> int:
        return (3 if self.gated_mlp else 2) * self.hidden_size * intermediate_size

    @property
    def _common_parameters(self) -> int:
        """Weights that every token passes, embedding and output head left out."""
        common = self.layers * self.attention.parameters(self.hidden_size)
        dense_layers = self.layers
        if self.experts is not None:
            dense_layers -= self.experts.layers
            router = self.hidden_size * self.experts.experts
            shared = self.experts.shared_experts * self._expert_parameters
            common += self.experts.layers * (router + shared)
        if self.intermediate_size is not None:
            common += dense_layers * self._mlp(self.intermediate_size)
        return common

    def _windowed(self, context_tokens: int) -> int:
        return min(context_tokens, self.attention.window_tokens or context_tokens)

    def _keys(self, full: int, windowed: int) -> int:
        """Return keys summed over layers: `full` in a full layer, `windowed` in the others."""
        window_layers = self.attention.window_layers
        return (self.layers - window_layers) * full + window_layers * windowed

    def _bytes(
        self,
        common: float,
        routed: float,
        precision: Precision | None,
        expert_precision: Precision | None,
    ) -> float:
        of_experts = expert_precision or precision or self.expert_weight_precision
        of_rest = precision or self.weight_precision
        return common * of_rest.bytes_per_value + routed * of_experts.bytes_per_value
