"""A world in memory whose load is told by a gateway, which goes on telling without any replica."""

from __future__ import annotations

from dataclasses import replace

from stoker.domain.control.observation import ServerObservation
from stoker.domain.control.signals import Signal, SignalName
from tests.support.played_world import PlayedWorld

_ATTEMPTS = "sum(rate(llm_d_epp_scheduler_attempts_total[60s]))"
_QUEUE = "sum(llm_d_epp_flow_control_queue_size)"


class GatewayWorld(PlayedWorld):
    """Arrivals come from a gateway's counter; sizes of requests from pods, where one is ready.

    Requests that no replica takes wait at the gateway (`queued`), which has not tried to send them.
    """

    queued = 0.0

    def _seen(self, name: str) -> ServerObservation:
        seen = super()._seen(name)
        signals = dict(seen.signals)
        rate = signals.get(SignalName.ARRIVAL_RATE)
        if rate is not None:
            signals[SignalName.ARRIVAL_RATE] = replace(rate, source=_ATTEMPTS)
        if not any(
            self.ready(ref) for ref, work in self.workloads.items() if work.state.server == name
        ):
            for told_by_pods in (SignalName.INPUT_TOKENS, SignalName.OUTPUT_TOKENS):
                signals.pop(told_by_pods, None)
            signals.pop(SignalName.REPORTING, None)
            signals[SignalName.WAITING] = Signal.known(self.queued, 1.0, _QUEUE)
        return replace(seen, signals=signals)
