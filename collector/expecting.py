"""Output tokens to expect of servers whose finished requests do not tell them just now.

Requests tell their output tokens when they end, and a gateway tells the size of prompts when they
come: after a cold start, or while long answers are under way, only the latter is known. What was
measured before, of this model and of others, tells the rest, by the size of prompts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from collector.lengths import LengthBasis, OutputLengths
from stoker.domain.control.observation import ExpectedOutput, ServerObservation
from stoker.domain.control.signals import SignalName
from stoker.domain.fleet import Fleet

_WORDS = {
    LengthBasis.BUCKET: "requests to its model with about as many input tokens",
    LengthBasis.NEAREST_BUCKET: "requests to its model with nearly as many input tokens",
    LengthBasis.MODEL: "all requests to its model",
    LengthBasis.ALL_MODELS: "requests to other models",
}


class Expectations:
    """Learns output lengths from every look at a fleet, and tells them where they are not measured.

    Args:
        lengths: What was learned so far.
        longest_s: Time over which a rate is taken: a look tells of the requests since the one
            before, but not of more.
    """

    def __init__(self, lengths: OutputLengths, longest_s: float) -> None:
        self._lengths = lengths
        self._longest_s = longest_s
        self._before: dict[str, float] = {}

    def told(
        self, servers: Mapping[str, ServerObservation], fleet: Fleet, at: float
    ) -> dict[str, ServerObservation]:
        """Return the observations with what is to be expected where it is not measured.

        Args:
            servers: Observations by name of the server.
            fleet: Tells their models.
            at: Now, in seconds since the epoch.
        """
        models = {server.name: server.model for server in fleet.servers}
        for name, seen in servers.items():
            self._learn(name, models[name], seen, at)
        return {name: self._expecting(models[name], seen, at) for name, seen in servers.items()}

    def _learn(self, name: str, model: str, seen: ServerObservation, at: float) -> None:
        finished = seen.usable(SignalName.COMPLETION_RATE)
        inputs, outputs = (
            seen.usable(signal) for signal in (SignalName.INPUT_TOKENS, SignalName.OUTPUT_TOKENS)
        )
        if finished is None or inputs is None or outputs is None:
            return
        since = at - self._before.get(name, at - self._longest_s)
        self._before[name] = at
        requests = finished * min(max(since, 0.0), self._longest_s)
        self._lengths.observe(model, inputs, outputs, at, requests)

    def _expecting(self, model: str, seen: ServerObservation, at: float) -> ServerObservation:
        inputs = seen.usable(SignalName.INPUT_TOKENS)
        if inputs is None or seen.usable(SignalName.OUTPUT_TOKENS) is not None:
            return seen
        found = self._lengths.predict(model, max(0.0, inputs), at)
        if found.basis not in _WORDS:
            return seen  # nothing was measured of anything: it stays unknown
        own = found.basis is not LengthBasis.ALL_MODELS
        expected = ExpectedOutput(found.mean, _WORDS[found.basis], found.requests, own)
        return replace(seen, expected_output=expected)
