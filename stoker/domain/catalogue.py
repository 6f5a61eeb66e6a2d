"""Accelerator cards as their vendors describe them: the peaks that estimates start from.

Nothing here was measured, and no engine reaches a peak. Model architectures, the other half of
the catalogue, are in `stoker.domain.architecture`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

_BITS_PER_BYTE = 8


class Precision(StrEnum):
    """A number format, for arithmetic (`tf32`, `fp4`) or for storage (`mxfp4`, `nvfp4`)."""

    FP32 = "fp32"
    TF32 = "tf32"
    BF16 = "bf16"
    FP16 = "fp16"
    FP8 = "fp8"
    INT8 = "int8"
    FP4 = "fp4"
    INT4 = "int4"
    MXFP4 = "mxfp4"
    NVFP4 = "nvfp4"

    @property
    def bytes_per_value(self) -> float:
        """Bytes that one stored value takes, block scales included where the format has them."""
        return _BITS_PER_VALUE[self] / _BITS_PER_BYTE


# MXFP4: one 8-bit scale for 32 values (OCP Microscaling Formats 1.0, 2023); NVFP4: one for 16.
_BITS_PER_VALUE: Mapping[Precision, float] = {
    Precision.FP32: 32,
    Precision.TF32: 32,
    Precision.BF16: 16,
    Precision.FP16: 16,
    Precision.FP8: 8,
    Precision.INT8: 8,
    Precision.FP4: 4,
    Precision.INT4: 4,
    Precision.MXFP4: 4 + 8 / 32,
    Precision.NVFP4: 4 + 8 / 16,
}


class FigureKind(StrEnum):
    """Where a figure comes from: printed by the vendor, or estimated from similar parts."""

    PUBLISHED = "published"
    ESTIMATED = "estimated"


class PriceKind(StrEnum):
    """How a price was learned: from the provider's on-demand list, or quoted by others."""

    LIST = "list"
    REPORTED = "reported"


@dataclass(frozen=True, slots=True)
class PriceQuote:
    """What renting a machine with these cards cost at one provider, on demand.

    Attributes:
        instance: The provider's name of the machine.
        cards: Cards in that machine.
        instance_price_per_hour: Price of the whole machine, host included, in `currency`.
        currency: ISO 4217 code.
        provider: Who rents it out.
        kind: Whether it stood in the provider's own list.
        as_of: Month in which it was valid, ``YYYY-MM``.
        source: Where it was read.
    """

    instance: str
    cards: int
    instance_price_per_hour: float
    currency: str
    provider: str
    kind: PriceKind
    as_of: str
    source: str

    @property
    def price_per_hour(self) -> float:
        """Price of one card with its share of the host, in `currency` per hour."""
        return self.instance_price_per_hour / self.cards


@dataclass(frozen=True, slots=True)
class AcceleratorSpec:
    """One card as its vendor describes it.

    Attributes:
        name: Name in the catalogue.
        aliases: Other names that mean this card.
        vendor: Its maker.
        architecture: The generation it belongs to.
        memory_gb: Memory as the vendor prints it, in GB.
        memory_kind: Memory technology, e.g. ``HBM3``.
        memory_bandwidth_gb_per_s: Peak memory bandwidth in GB/s.
        dense_tflops: Peak dense (not sparse) matrix rate by format, in 10¹² operations per
            second; a format that is absent is not supported or not published.
        interconnect: Name of the card-to-card link; ``PCIe`` where there is no other.
        interconnect_gb_per_s: Its bandwidth per card, both directions summed, in GB/s.
        pcie_generation: Generation of the host link; None where not published.
        idle_power_w: Power with nothing running, in watts.
        idle_power_kind: Whether the vendor printed it.
        full_power_w: Largest sustained power, in watts.
        full_power_kind: Whether the vendor printed it.
        source: Where the figures stand.
        price: A typical price; None where no public one was found.
        note: What a reader of the figures should know; may be empty.
    """

    name: str
    aliases: tuple[str, ...]
    vendor: str
    architecture: str
    memory_gb: float
    memory_kind: str
    memory_bandwidth_gb_per_s: float
    dense_tflops: Mapping[Precision, float] = field(hash=False)
    interconnect: str
    interconnect_gb_per_s: float
    pcie_generation: int | None
    idle_power_w: float
    idle_power_kind: FigureKind
    full_power_w: float
    full_power_kind: FigureKind
    source: str
    price: PriceQuote | None = None
    note: str = ""

    @property
    def price_per_hour(self) -> float | None:
        """Typical price of one card per hour in the currency of `price`; None where unknown."""
        return None if self.price is None else self.price.price_per_hour

    def ridge_flops_per_byte(self, precision: Precision) -> float | None:
        """Return the arithmetic intensity above which the card is bound by compute.

        Peak rate over memory bandwidth (Williams et al., Roofline, CACM 2009); None where the
        rate at that precision is unknown.
        """
        tflops = self.dense_tflops.get(precision)
        return None if tflops is None else tflops * 1e3 / self.memory_bandwidth_gb_per_s
