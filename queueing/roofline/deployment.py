"""A model on cards: what of it one card holds, and the rates that the card offers it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from queueing.roofline import constants
from stoker.domain.architecture import ModelArchitecture
from stoker.domain.catalogue import AcceleratorSpec, Precision

_TENSOR_CORE_FORMATS = {Precision.MXFP4: Precision.FP4, Precision.NVFP4: Precision.FP4}
_SIXTEEN_BITS = (Precision.BF16, Precision.FP16, Precision.FP32)
_FLOAT32_BYTES = 4.0
_SIXTEEN_BIT_BYTES = 2.0
_US_PER_MS = 1e3


class Engine(StrEnum):
    """How an engine drives the card."""

    GRAPHS = "graphs"
    """Decodes replay CUDA graphs or their like, and most host work overlaps: since 2024."""
    EAGER = "eager"
    """Every kernel is launched from Python, and the card waits for the host: until 2024."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A model spread over the cards of one replica by tensor parallelism.

    Attributes:
        model: The model.
        accelerator: The card.
        tensor_parallel: Cards that share every layer.
        weight_precision: Format of all weights; None for the released formats.
        kv_precision: Format of the KV cache.
        engine: How the engine drives the card.
    """

    model: ModelArchitecture
    accelerator: AcceleratorSpec
    tensor_parallel: int = 1
    weight_precision: Precision | None = None
    kv_precision: Precision = Precision.BF16
    engine: Engine = Engine.GRAPHS

    def __post_init__(self) -> None:
        """Check that the heads can be shared out.

        Raises:
            ValueError: Tensor parallelism is below 1 or does not divide the query heads, or the
                card has no published rate at any usable format.
        """
        heads = self.model.attention.query_heads
        if self.tensor_parallel < 1 or heads % self.tensor_parallel:
            divisors = ", ".join(str(n) for n in allowed_tensor_parallel(self.model))
            raise ValueError(
                f"tensor parallelism {self.tensor_parallel} does not divide the {heads} query "
                f"heads of {self.model.name} (allowed: {divisors})"
            )
        self.peak_flops(Precision.BF16)

    @property
    def dense_precision(self) -> Precision:
        """Format of all weights but the routed experts'."""
        return self.weight_precision or self.model.weight_precision

    @property
    def expert_precision(self) -> Precision:
        """Format of the routed experts' weights."""
        return self.weight_precision or self.model.expert_weight_precision

    @property
    def expert_parameters(self) -> float:
        """Weights of one routed expert; 0 for dense models."""
        experts = self.model.experts
        if experts is None:
            return 0.0
        return self.model.routed_expert_parameters / (experts.layers * experts.experts)

    @property
    def visited_expert_parameters(self) -> float:
        """Weights of the routed experts that one token visits in all layers."""
        experts = self.model.experts
        if experts is None:
            return 0.0
        return experts.layers * experts.experts_per_token * self.expert_parameters

    @property
    def dense_parameters(self) -> float:
        """Weights that every token passes, with the output head and without the look-up."""
        return self.model.shape_active_parameters - self.visited_expert_parameters

    @property
    def kv_values_per_token_layer(self) -> float:
        """KV values that one card keeps for a token in one layer.

        Heads are shared out; a card keeps at least one, and a latent cache whole.
        """
        attention = self.model.attention
        if attention.latent is not None:
            return float(attention.cached_values_per_token)
        heads = -(-attention.kv_heads // self.tensor_parallel)
        return 2.0 * heads * attention.head_size

    @property
    def bandwidth(self) -> float:
        """Peak memory bandwidth of a card, bytes per millisecond."""
        return self.accelerator.memory_bandwidth_gb_per_s * 1e6

    def peak_flops(self, precision: Precision) -> float:
        """Return the peak rate of products with weights of that format, FLOP per millisecond.

        A format that the card cannot compute in is widened to 16 bits first, as is `int4`, which
        engines use for storage only.

        Raises:
            ValueError: The card has no published rate at 16 or 32 bits.
        """
        rates = self.accelerator.dense_tflops
        wanted = _TENSOR_CORE_FORMATS.get(precision, precision)
        for choice in (wanted, *_SIXTEEN_BITS):
            if choice in rates and choice is not Precision.INT4:
                return rates[choice] * 1e9
        raise ValueError(f"{self.accelerator.name} has no published rate at 16 or 32 bits")

    def computes_narrow(self, precision: Precision) -> bool:
        """Whether products with weights of that format run on 8 bits or fewer."""
        return self.peak_flops(precision) > self.peak_flops(Precision.BF16)

    def matmul_flops(self, precision: Precision) -> float:
        """Return what large products reach of `peak_flops`, FLOP per millisecond."""
        narrow = self.computes_narrow(precision)
        share = constants.MATMUL_SHARE_8_BIT if narrow else constants.MATMUL_SHARE_16_BIT
        return share * self.peak_flops(precision)

    @property
    def kernels(self) -> float:
        """Kernels of one pass through all layers."""
        layers, experts = self.model.layers, self.model.experts
        count = float(layers * constants.KERNELS_PER_LAYER)
        if experts is not None:
            count += experts.layers * constants.KERNELS_PER_EXPERT_LAYER
        if self.computes_narrow(self.dense_precision):
            count += layers * constants.KERNELS_PER_QUANTIZED_LAYER
        return count

    @property
    def fixed_ms(self) -> float:
        """What an iteration pays once, whatever it computes: kernel gaps and the engine."""
        eager = self.engine is Engine.EAGER
        engine = constants.EAGER_ITERATION_MS if eager else constants.ENGINE_ITERATION_MS
        return engine + self.kernels * constants.KERNEL_GAP_US / _US_PER_MS

    def launching_ms(self, *, replayed: bool) -> float:
        """Return the host time to launch one pass, which the card's work hides or not.

        Args:
            replayed: Whether an engine that has graphs replays one: it does for decodes.
        """
        if self.engine is Engine.EAGER:
            return self.kernels * constants.EAGER_KERNEL_US / _US_PER_MS
        return 0.0 if replayed else self.kernels * constants.EAGER_LAUNCH_US / _US_PER_MS

    @property
    def activation_bytes_per_token(self) -> float:
        """Bytes that kernels between the products move for a token, on one card.

        Two norms with residual read and write the width twice each, rotation the queries and
        keys once, the activation reads two matrices of the MLP and writes one.
        """
        model, attention = self.model, self.model.attention
        cards, experts = self.tensor_parallel, self.model.experts
        width = 8.0 * model.hidden_size
        rotated = 2.0 * (attention.query_heads + attention.kv_heads) * attention.head_size / cards
        per_mlp = 3.0 if model.gated_mlp else 2.0
        values = model.layers * (width + rotated)
        dense_layers = model.layers - (0 if experts is None else experts.layers)
        values += dense_layers * per_mlp * (model.intermediate_size or 0) / cards
        if experts is not None:
            visits = experts.experts_per_token + experts.shared_experts
            spread = 3.0 * experts.experts_per_token * model.hidden_size
            activated = per_mlp * visits * experts.expert_intermediate_size / cards
            values += experts.layers * (spread + activated)
        return _SIXTEEN_BIT_BYTES * values

    @property
    def sampling_bytes_per_sequence(self) -> float:
        """Bytes moved to choose a token: logits written, widened to 32 bits, read again."""
        return self.model.vocabulary_size * (_SIXTEEN_BIT_BYTES + 2 * _FLOAT32_BYTES)


def allowed_tensor_parallel(model: ModelArchitecture, largest: int = 64) -> tuple[int, ...]:
    """Return the numbers of cards, ascending, that share the query heads evenly."""
    heads = model.attention.query_heads
    return tuple(n for n in range(1, min(heads, largest) + 1) if heads % n == 0)
