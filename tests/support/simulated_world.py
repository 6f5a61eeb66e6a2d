"""A world in memory whose latencies are simulated: replicas as slow as a law of time says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from controller.correction.prediction import batch_of
from controller.correction.scaling import scaled_profile
from simulator import (
    Arrivals,
    ClosedLoop,
    Engine,
    FixedLength,
    PoissonArrivals,
    Pool,
    Scenario,
    SeparateLengths,
    Summary,
    simulate,
    summarize,
)
from stoker.domain.control.cluster import VariantState
from stoker.domain.control.observation import ServerObservation
from stoker.domain.control.settings import ControlSettings
from stoker.domain.control.signals import Signal, SignalName
from stoker.domain.fleet import Fleet
from stoker.domain.profile import ModelProfile
from stoker.domain.workload import Load
from tests.support.played_world import PlayedWorld, Rate

Slowness = Callable[[float], float]
"""Factor on all times of the profile in the document, by time in seconds."""

_SERVER = "chat"
_WARM_UP = 0.5
"""Share of the simulated requests that are not told of: those of a replica that begins empty."""


class SimulatedWorld(PlayedWorld):
    """One server, `chat`, whose window of requests is played by the simulator in each cycle.

    Requests that its replicas do not take stay in a queue from cycle to cycle.

    Args:
        fleet: Its fleet.
        settings: The rules.
        variants: Its workloads.
        rate: Its load.
        slowness: How slow its replicas are.
        tokens: Input and output tokens of requests.
    """

    def __init__(
        self,
        fleet: Fleet,
        settings: ControlSettings,
        variants: Sequence[VariantState],
        rate: Rate,
        slowness: Slowness,
        tokens: tuple[float, float] = (600.0, 100.0),
    ) -> None:
        super().__init__(fleet, settings, variants, {_SERVER: rate}, tokens=tokens)
        self._slowness = slowness
        self._backlog, self._looked_at = 0.0, 0.0
        self._largest: dict[float, float] = {}
        self.latencies: list[tuple[float, float]] = []
        """Mean TTFT and ITL in ms of each cycle so far."""

    def _seen(self, name: str) -> ServerObservation:
        seen = super()._seen(name)
        rate = seen.usable(SignalName.ARRIVAL_RATE)
        serving = [
            each
            for each in (self.variant(ref) for ref in self.workloads)
            if each.server == name and self.ready(each.ref)
        ]
        if name != _SERVER or not rate or not serving:
            return seen
        ready, window_s = self.ready(serving[0].ref), self.document.settings.metrics.window_s
        carried = ready * self._largest_rate(serving[0])
        passed_s = self.monotonic() - self._looked_at
        self._backlog = max(0.0, self._backlog + (rate - carried) * passed_s)
        self._looked_at = self.monotonic()
        # While a queue stands, the engines are full however many requests come.
        full = max(rate, 1.1 * carried) if self._backlog else rate
        played = self._played(serving[0], ready, PoissonArrivals(full), round(full * window_s))
        ttft_ms = self._backlog / carried * 1000.0 or played.ttft_ms.mean.value
        waiting = self._backlog or played.mean_waiting
        self.latencies.append((ttft_ms, played.token_itl_ms.mean.value))
        told = {
            SignalName.TTFT_MEAN: ttft_ms,
            SignalName.ITL_MEAN: played.token_itl_ms.mean.value,
            SignalName.RUNNING: played.mean_batch,
            SignalName.WAITING: waiting,
            SignalName.ARRIVAL_RATE: rate if self._backlog else played.offered_rps,
        }
        told_by = {each: Signal.known(value, 1.0, f"vllm:{each}") for each, value in told.items()}
        return replace(seen, signals={**seen.signals, **told_by})

    def _largest_rate(self, variant: VariantState) -> float:
        """Return the rate that one replica carries at most, as slow as it is now."""
        slower = self._slowness(self.monotonic())
        if slower not in self._largest:
            found = self._played(variant, 1, ClosedLoop(1000), 1000)
            self._largest[slower] = found.throughput_rps.value
        return self._largest[slower]

    def _played(
        self, variant: VariantState, ready: int, arrivals: Arrivals, requests: int
    ) -> Summary:
        """Return what so many measured requests show, after a time to warm up."""
        fleet = self.document.fleet
        profile = profile_on(fleet, variant.accelerator)
        server = next(each for each in fleet.servers if each.name == _SERVER)
        slower = self._slowness(self.monotonic())
        inputs, outputs = self.tokens
        engine = Engine(
            scaled_profile(profile, slower, slower).parameters,
            batch_of(server, profile, Load(1.0, inputs, outputs), variant.max_batch),
            token_budget=profile.token_budget,
        )
        scenario = Scenario(
            arrivals,
            SeparateLengths(FixedLength(inputs), FixedLength(outputs)),
            Pool(engine, ready, server.router),
            max(20, round(requests / (1 - _WARM_UP))),
            seed=len(self.latencies),
        )
        return summarize(simulate(scenario, warm_up=_WARM_UP))


def profile_on(fleet: Fleet, accelerator: str) -> ModelProfile:
    """Return the profile of chat's model on an accelerator."""
    model = next(each.model for each in fleet.servers if each.name == _SERVER)
    return next(
        each for each in fleet.profiles if (each.model, each.accelerator) == (model, accelerator)
    )
