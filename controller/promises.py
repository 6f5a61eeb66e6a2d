"""What a server promises, and how it does against that."""

from __future__ import annotations

from dataclasses import replace

from controller.judging import Health
from controller.memory import Transition
from stoker.domain.control.observation import Observation, ServerObservation
from stoker.domain.control.signals import SignalName
from stoker.domain.fleet import Fleet
from stoker.domain.latency import Latency
from stoker.domain.server import Server
from stoker.domain.slo import SloTarget


def target_of(fleet: Fleet, server: Server) -> SloTarget | None:
    """Return what the service class of a server promises for its model; None for nothing."""
    for service_class in fleet.service_classes:
        if service_class.name == server.service_class:
            return service_class.target_for(server.model)
    return None


_SEEN = {
    (Latency.TTFT, None): SignalName.TTFT_MEAN,
    (Latency.TTFT, 50.0): SignalName.TTFT_P50,
    (Latency.TTFT, 95.0): SignalName.TTFT_P95,
    (Latency.TTFT, 99.0): SignalName.TTFT_P99,
    (Latency.ITL, None): SignalName.ITL_MEAN,
    (Latency.ITL, 50.0): SignalName.ITL_P50,
    (Latency.ITL, 95.0): SignalName.ITL_P95,
    (Latency.ITL, 99.0): SignalName.ITL_P99,
}


def health_now(
    observation: Observation, fleet: Fleet, server: Server, transition: Transition | None
) -> Health:
    """Return how a server does: where it moves, how its new replicas do as far as they tell.

    Over all replicas together the old ones would hide what the new ones do.
    """
    seen, target = observation.server(server.name), target_of(fleet, server)
    new = None if transition is None else observation.workloads.get(transition.target)
    if new is None:
        return health_of(seen, target)
    known = {name: signal for name, signal in new.signals.items() if signal.usable is not None}
    found = health_of(replace(seen, signals={**seen.signals, **known}), target)
    return replace(found, new_error_rate=new.usable(SignalName.ERROR_RATE))


def health_of(seen: ServerObservation, target: SloTarget | None) -> Health:
    """Return the worst of the latencies that are promised and measured, over what is promised."""
    worst: float | None = None
    for statistic, limit_ms in () if target is None else target.limits():
        name = _SEEN.get((statistic.latency, statistic.percentile))
        value = None if name is None else seen.usable(name)
        if value is not None and limit_ms > 0:
            worst = max(worst or 0.0, value / limit_ms)
    return Health(worst, seen.usable(SignalName.ERROR_RATE))
