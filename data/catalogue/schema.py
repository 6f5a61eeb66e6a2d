"""Form of the catalogue's files: every field, its unit in its name, and its bounds."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from stoker.domain.architecture import (
    Attention,
    AttentionKind,
    LatentAttention,
    MixtureOfExperts,
    ModelArchitecture,
)
from stoker.domain.catalogue import (
    AcceleratorSpec,
    FigureKind,
    Precision,
    PriceKind,
    PriceQuote,
)

Name = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^\S(.*\S)?$")]
Positive = Annotated[float, Field(gt=0, strict=True, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, strict=True)]
Month = Annotated[str, Field(pattern=r"^20\d\d-(0[1-9]|1[0-2])$")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Arithmetic = Literal["fp32", "tf32", "bf16", "fp16", "fp8", "int8", "fp4"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PriceRecord(_Record):
    """A price as a provider asks it: for a whole machine."""

    instance: Name
    cards: Count
    instance_price_per_hour: Positive
    currency: Currency
    provider: Name
    kind: PriceKind
    as_of: Month
    source: Name

    def to_domain(self) -> PriceQuote:
        """Return the price as a domain value."""
        return PriceQuote(**dict(self))


class AcceleratorRecord(_Record):
    """A card. Units and meaning as in `stoker.domain.catalogue.AcceleratorSpec`."""

    name: Name
    aliases: tuple[Name, ...] = ()
    vendor: Name
    architecture: Name
    memory_gb: Annotated[float, Field(gt=0, le=2_000, strict=True)]
    memory_kind: Name
    memory_bandwidth_gb_per_s: Annotated[float, Field(gt=0, le=100_000, strict=True)]
    dense_tflops: Annotated[dict[Arithmetic, Positive], Field(min_length=1)]
    interconnect: Name
    interconnect_gb_per_s: Annotated[float, Field(gt=0, le=20_000, strict=True)]
    pcie_generation: Annotated[int, Field(ge=3, le=7, strict=True)] | None
    idle_power_w: Annotated[float, Field(gt=0, le=5_000, strict=True)]
    idle_power_kind: FigureKind
    full_power_w: Annotated[float, Field(gt=0, le=5_000, strict=True)]
    full_power_kind: FigureKind
    source: Name
    price: PriceRecord | None
    note: str = ""

    @model_validator(mode="after")
    def _power_rises(self) -> Self:
        if self.idle_power_w >= self.full_power_w:
            raise ValueError(
                f"idle_power_w {self.idle_power_w:g} must be below full_power_w "
                f"{self.full_power_w:g}"
            )
        return self

    def to_domain(self) -> AcceleratorSpec:
        """Return the card as a domain value."""
        values = dict(self)
        values["dense_tflops"] = {Precision(key): rate for key, rate in self.dense_tflops.items()}
        values["price"] = None if self.price is None else self.price.to_domain()
        return AcceleratorSpec(**values)


class LatentRecord(_Record):
    """Latent attention. As `stoker.domain.architecture.LatentAttention`."""

    kv_latent_size: Count
    rope_head_size: Count
    value_head_size: Count
    query_latent_size: Count | None


class AttentionRecord(_Record):
    """Attention. As `stoker.domain.architecture.Attention`."""

    kind: AttentionKind
    query_heads: Count
    kv_heads: Count
    head_size: Count
    latent: LatentRecord | None = None
    window_tokens: Count | None = None
    window_layers: Annotated[int, Field(ge=0, strict=True)] = 0

    @model_validator(mode="after")
    def _kind_fits_heads(self) -> Self:
        if self.query_heads % self.kv_heads:
            raise ValueError(
                f"query_heads {self.query_heads} must be a multiple of kv_heads {self.kv_heads}"
            )
        if (self.kind is AttentionKind.MLA) != (self.latent is not None):
            raise ValueError("latent must be given with kind mla, and with no other")
        if self.latent is None:
            if self.kv_heads == self.query_heads:
                expected = AttentionKind.MHA
            else:
                expected = AttentionKind.MQA if self.kv_heads == 1 else AttentionKind.GQA
            if self.kind is not expected:
                raise ValueError(
                    f"kind {self.kind} does not fit {self.query_heads} query_heads and "
                    f"{self.kv_heads} kv_heads, which are {expected}"
                )
        if (self.window_tokens is None) != (self.window_layers == 0):
            raise ValueError("window_tokens and window_layers must be given together")
        return self

    def to_domain(self) -> Attention:
        """Return the shape as a domain value."""
        values = dict(self)
        values["latent"] = None if self.latent is None else LatentAttention(**dict(self.latent))
        return Attention(**values)


class ExpertsRecord(_Record):
    """Expert layers. As `stoker.domain.architecture.MixtureOfExperts`."""

    layers: Count
    experts: Count
    experts_per_token: Count
    expert_intermediate_size: Count
    shared_experts: Annotated[int, Field(ge=0, strict=True)]

    @model_validator(mode="after")
    def _routes_to_some(self) -> Self:
        if self.experts_per_token > self.experts:
            raise ValueError(
                f"experts_per_token {self.experts_per_token} must not exceed experts {self.experts}"
            )
        return self


class ModelRecord(_Record):
    """A model. Units and meaning as in `stoker.domain.architecture.ModelArchitecture`."""

    name: Name
    aliases: tuple[Name, ...] = ()
    publisher: Name
    total_parameters: Count
    active_parameters: Count
    layers: Count
    hidden_size: Count
    intermediate_size: Count | None
    gated_mlp: StrictBool
    vocabulary_size: Count
    tied_embeddings: StrictBool
    max_context_tokens: Count
    attention: AttentionRecord
    experts: ExpertsRecord | None
    weight_precision: Precision
    expert_weight_precision: Precision | None = None
    source: Name
    note: str = ""

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.active_parameters > self.total_parameters:
            raise ValueError("active_parameters must not exceed total_parameters")
        if self.experts is None and self.active_parameters != self.total_parameters:
            raise ValueError("active_parameters must equal total_parameters without experts")
        expert_layers = 0 if self.experts is None else self.experts.layers
        if max(expert_layers, self.attention.window_layers) > self.layers:
            raise ValueError(f"experts.layers and window_layers must not exceed {self.layers}")
        if (self.intermediate_size is None) != (expert_layers == self.layers):
            raise ValueError("intermediate_size must be null exactly where all layers have experts")
        if self.expert_weight_precision is not None and self.experts is None:
            raise ValueError("expert_weight_precision must not be given without experts")
        return self

    def to_domain(self) -> ModelArchitecture:
        """Return the model as a domain value; experts are stored as the rest where not said."""
        values = dict(self)
        values["attention"] = self.attention.to_domain()
        values["experts"] = None if self.experts is None else MixtureOfExperts(**dict(self.experts))
        values["expert_weight_precision"] = self.expert_weight_precision or self.weight_precision
        return ModelArchitecture(**values)


class AcceleratorsFile(_Record):
    """`accelerators.yaml`."""

    version: Literal[1]
    accelerators: Annotated[list[AcceleratorRecord], Field(min_length=1)]


class ModelsFile(_Record):
    """`models.yaml`."""

    version: Literal[1]
    models: Annotated[list[ModelRecord], Field(min_length=1)]
