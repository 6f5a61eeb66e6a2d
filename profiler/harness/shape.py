"""What is built: the dimensions of a decoder transformer."""

from __future__ import annotations

from dataclasses import dataclass, replace

from stoker.domain.architecture import AttentionKind, ModelArchitecture


class UnbuildableError(ValueError):
    """A model that the harness cannot build; the message says why."""


@dataclass(frozen=True, slots=True)
class ExpertShape:
    """Expert layers.

    Attributes:
        experts: Routed experts of a layer.
        experts_per_token: Routed experts that a token visits.
        intermediate_size: Width of an expert.
        shared_experts: Experts that every token visits, built as one MLP of their joint width.
        dense_layers: Layers in front that have a dense MLP instead.
    """

    experts: int
    experts_per_token: int
    intermediate_size: int
    shared_experts: int = 0
    dense_layers: int = 0


@dataclass(frozen=True, slots=True)
class Shape:
    """Dimensions of a decoder transformer, in values.

    Attributes:
        name: Name of the model.
        layers: Transformer layers.
        hidden_size: Width of the residual stream.
        query_heads: Query heads.
        kv_heads: Key and value heads.
        head_size: Size of a head.
        intermediate_size: Width of the dense MLP; 0 where every layer has experts.
        vocabulary_size: Rows of the embedding.
        max_context_tokens: Longest context.
        gated_mlp: Three matrices in an MLP (SwiGLU), rather than two with GELU.
        tied_embeddings: The output head shares the embedding.
        experts: The expert layers; None for dense models.
        rope_theta: Base of the rotation.
        norm_epsilon: Added to the mean square in norms.
    """

    name: str
    layers: int
    hidden_size: int
    query_heads: int
    kv_heads: int
    head_size: int
    intermediate_size: int
    vocabulary_size: int
    max_context_tokens: int
    gated_mlp: bool = True
    tied_embeddings: bool = False
    experts: ExpertShape | None = None
    rope_theta: float = 500_000.0
    norm_epsilon: float = 1e-5

    def __post_init__(self) -> None:
        """Check that it can be built.

        Raises:
            UnbuildableError: A dimension is not positive, or heads do not share evenly.
        """
        for name in (
            "layers",
            "hidden_size",
            "query_heads",
            "kv_heads",
            "head_size",
            "vocabulary_size",
            "max_context_tokens",
        ):
            if getattr(self, name) < 1:
                raise UnbuildableError(f"{name} is {getattr(self, name)} (allowed: 1 or more)")
        if self.query_heads % self.kv_heads:
            raise UnbuildableError(
                f"{self.query_heads} query heads do not share {self.kv_heads} KV heads evenly"
            )
        if self.head_size % 2:
            raise UnbuildableError(f"head_size is {self.head_size} (allowed: even numbers)")
        experts = self.experts
        if experts is not None and not 1 <= experts.experts_per_token <= experts.experts:
            raise UnbuildableError(
                f"a token visits {experts.experts_per_token} experts (allowed: from 1 to the "
                f"{experts.experts} that there are)"
            )
        dense = self.layers if self.experts is None else self.experts.dense_layers
        if dense and self.intermediate_size < 1:
            raise UnbuildableError("intermediate_size is missing for layers without experts")

    @property
    def fewest_layers(self) -> int:
        """Fewest layers that hold one of every kind."""
        return 1 if self.experts is None else self.experts.dense_layers + 1

    @property
    def group(self) -> int:
        """Query heads that share a KV head."""
        return self.query_heads // self.kv_heads

    def has_experts(self, layer: int) -> bool:
        """Return whether that layer, counted from 0, has experts."""
        return self.experts is not None and layer >= self.experts.dense_layers

    def with_layers(self, layers: int) -> Shape:
        """Return the shape with another number of layers."""
        return replace(self, layers=layers)


def shape_of(model: ModelArchitecture) -> Shape:
    """Return the dimensions of a model of the catalogue.

    Biases of query, key and value (as Qwen2.5 has them) are left out: they are under 0.01% of the
    weights. Layers without experts stand in front, wherever the model has them.

    Raises:
        UnbuildableError: The model has latent attention or layers that see a window only.
    """
    attention = model.attention
    if attention.kind is AttentionKind.MLA:
        raise UnbuildableError(f"{model.name} has latent attention, which is not built here")
    if attention.window_layers:
        raise UnbuildableError(
            f"{model.name} has layers that see a window of {attention.window_tokens} tokens only, "
            "which are not built here"
        )
    experts = None
    if model.experts is not None:
        experts = ExpertShape(
            experts=model.experts.experts,
            experts_per_token=model.experts.experts_per_token,
            intermediate_size=model.experts.expert_intermediate_size,
            shared_experts=model.experts.shared_experts,
            dense_layers=model.layers - model.experts.layers,
        )
    return Shape(
        name=model.name,
        layers=model.layers,
        hidden_size=model.hidden_size,
        query_heads=attention.query_heads,
        kv_heads=attention.kv_heads,
        head_size=attention.head_size,
        intermediate_size=model.intermediate_size or 0,
        vocabulary_size=model.vocabulary_size,
        max_context_tokens=model.max_context_tokens,
        gated_mlp=model.gated_mlp,
        tied_embeddings=model.tied_embeddings,
        experts=experts,
    )
