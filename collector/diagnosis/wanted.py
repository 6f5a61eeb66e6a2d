"""Which signals of a server something rests on, with the settings and promises in force."""

from __future__ import annotations

from enum import IntEnum

from stoker.domain.control.choices import ClassKind, TransitionKind
from stoker.domain.control.settings import ControlSettings
from stoker.domain.control.signals import SignalName
from stoker.domain.fleet import Fleet
from stoker.domain.latency import Latency
from stoker.domain.server import Server
from stoker.domain.settings import Analysis


class Need(IntEnum):
    """How much the loop misses a signal."""

    TOLD = 0
    """It is read, and what it adds is left out where it is not there."""
    WANTED = 1
    """Something of the loop works worse without it."""
    NEEDED = 2
    """Without it the server keeps its size."""


_NEEDED = (SignalName.ARRIVAL_RATE, SignalName.INPUT_TOKENS, SignalName.OUTPUT_TOKENS)
_WANTED = (
    SignalName.TTFT_MEAN,
    SignalName.ITL_MEAN,
    SignalName.RUNNING,
    SignalName.WAITING,
    SignalName.KV_USE,
)
_PERCENTILES = {
    (Latency.TTFT, 50.0): SignalName.TTFT_P50,
    (Latency.TTFT, 95.0): SignalName.TTFT_P95,
    (Latency.TTFT, 99.0): SignalName.TTFT_P99,
    (Latency.ITL, 50.0): SignalName.ITL_P50,
    (Latency.ITL, 95.0): SignalName.ITL_P95,
    (Latency.ITL, 99.0): SignalName.ITL_P99,
}


def needs_of(server: str, fleet: Fleet, settings: ControlSettings) -> dict[SignalName, Need]:
    """Return how much the loop misses each signal of a server, in the order in which it asks."""
    found = dict.fromkeys((*_NEEDED, *_WANTED), Need.WANTED)
    found |= dict.fromkeys(_NEEDED, Need.NEEDED)
    promised = set(_promised(server, fleet))
    found |= dict.fromkeys(promised, Need.WANTED)
    found |= dict.fromkeys(_untold_spreads(server, fleet), Need.WANTED)
    control = settings.servers.get(server)
    if control is not None and control.kind is ClassKind.BATCH:
        found[SignalName.COMPLETION_RATE] = Need.WANTED  # what is done of the backlog
    if settings.transition.kind is TransitionKind.CANARY:
        found[SignalName.ERROR_RATE] = Need.WANTED
    if control is None or SignalName.ARRIVAL_RATE.value not in control.queries:
        found[SignalName.REPORTING] = Need.WANTED  # whether all replicas tell of their load
    return {name: found.get(name, Need.TOLD) for name in (*found, *SignalName)}


def _untold_spreads(server: str, fleet: Fleet) -> list[SignalName]:
    """Return the spreads of tokens that only measurements tell: planned are else equal requests."""
    if fleet.settings.analysis is Analysis.REFERENCE:
        return []  # which goes by means
    load = _own(server, fleet).load
    told = {
        SignalName.INPUT_TOKENS_CV: 0.0 if load is None else load.input_tokens_cv,
        SignalName.OUTPUT_TOKENS_CV: 0.0 if load is None else load.output_tokens_cv,
    }
    return [name for name, cv in told.items() if cv == 0]


def _own(server: str, fleet: Fleet) -> Server:
    return next(each for each in fleet.servers if each.name == server)


def _promised(server: str, fleet: Fleet) -> list[SignalName]:
    """Return the percentiles that the service class of a server promises."""
    own = _own(server, fleet)
    for service_class in fleet.service_classes:
        target = service_class.target_for(own.model)
        if service_class.name == own.service_class and target is not None:
            asked = [(each.latency, each.percentile) for each in target.percentiles]
            return [_PERCENTILES[each] for each in asked if each in _PERCENTILES]
    return []
