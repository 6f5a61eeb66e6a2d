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
class Accelerator:
    """A configuration of one or more cards of a type, rented as one unit.

    Attributes:
        name: Name of the configuration, e.g. ``4xA100``.
        card_type: Type of the cards it is made of; capacity is counted by this type.
        cards: Number of cards of that type in one unit (the multiplicity).
        cost_per_hour: Price of one unit, in the fleet's currency per hour.
        memory_gb: Memory of one unit in GB; None where unknown.
        memory_bandwidth_gb_per_s: Memory bandwidth of one unit in GB/s; None where unknown.
        power: Power of one unit; None where unknown.
    """

    name: str
    card_type: str
    cards: int
    cost_per_hour: float
    memory_gb: float | None = None
    memory_bandwidth_gb_per_s: float | None = None
    power: PowerCurve | None = None
