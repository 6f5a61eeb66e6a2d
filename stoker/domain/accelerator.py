"""Accelerator configurations: what one unit of serving hardware is and costs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PowerCurve:
    """Electrical power against utilization, piecewise linear through three points.

    Attributes:
        idle_w: Power at utilization 0, in watts.
        mid_w: Power at `mid_utilization`, in watts.
        full_w: Power at utilization 1, in watts.
        mid_utilization: Utilization of the middle point, strictly between 0 and 1.
    """

    idle_w: float
    mid_w: float
    full_w: float
    mid_utilization: float


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a card; either `sevenths` or `parts` is told, and the other is 0.

    Attributes:
        sevenths: Compute slices of a MIG instance, of the seven of a card: 1, 2, 3, 4 or 7.
        parts: Equal parts that the card is cut into, this being one of them.
    """

    sevenths: int = 0
    parts: int = 0


@dataclass(frozen=True, slots=True)
class Accelerator:
    """A configuration of one or more cards of a type, or of a slice of one, rented as one unit.

    Attributes:
        name: Name of the configuration, e.g. ``4xA100``.
        card_type: Type of the cards it is made of; capacity is counted by this type.
        cards: Number of cards of that type in one unit (the multiplicity); 1 of a slice.
        cost_per_hour: Price of one unit, in the fleet's currency per hour.
        memory_gb: Memory of one unit in GB; None where unknown.
        memory_bandwidth_gb_per_s: Memory bandwidth of one unit in GB/s; None where unknown.
        power: Power of one unit; None where unknown.
        slice: Which part of a card one unit is; None for whole cards.
    """

    name: str
    card_type: str
    cards: int
    cost_per_hour: float
    memory_gb: float | None = None
    memory_bandwidth_gb_per_s: float | None = None
    power: PowerCurve | None = None
    slice: Slice | None = None
