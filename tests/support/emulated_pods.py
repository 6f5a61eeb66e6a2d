"""Emulated pods under load, as pages of metrics that a Prometheus scrapes."""

from __future__ import annotations

import threading

from emulator.dialect import Dialect
from emulator.faults import read_order
from emulator.fleet import EmulatedFleet
from emulator.load_phases import Constant, Load
from emulator.replica import ServedModel
from emulator.virtual_load import VirtualLoad
from simulator import Engine, FixedLength, SeparateLengths
from stoker.domain.profile import TokenWorkParameters
from tests.support.metrics_pages import Page

OFFERED_RPS, CARRIED_RPS = 120.0, 80.0
"""What is offered to emulated pods, and what they carry."""

# Four requests in a batch, and an iteration of 50 ms for each.
_ENGINE = Engine(TokenWorkParameters(50.0, 0.0, 0.0), 4, kv_tokens=100_000)
_HOUR_S = 3600.0


def emulated(dialect: Dialect, model: str, *, error_rate: float = 0.0) -> Page:
    """A pod that is offered more than it carries, or that fails a share of what comes."""
    fleet = EmulatedFleet(ServedModel(model, _ENGINE, dialect))
    fleet.set_replicas(1, 0.0)
    fleet.order(read_order({"error_rate": error_rate}), 0.0)
    load = VirtualLoad(
        Load((Constant(OFFERED_RPS, _HOUR_S),), SeparateLengths(FixedLength(100), FixedLength(1))),
        fleet,
        on_served=lambda _: None,
    )
    turn = threading.Lock()
    latest_ms = 0.0

    def page(seconds: float) -> str:
        nonlocal latest_ms
        with turn:  # a scrape that was late may meet the next one
            latest_ms = max(latest_ms, seconds * 1000.0)
            load.advance(latest_ms)
            return (fleet.replicas[0].metrics(latest_ms) or b"").decode()

    return page
