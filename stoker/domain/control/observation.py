"""An observation: what a fleet was seen to do, server by server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stoker.domain.control.cluster import ClusterState, WorkloadRef
from stoker.domain.control.signals import Signal, SignalName


@dataclass(frozen=True, slots=True)
class TokenHistogram:
    """Counts of requests by tokens, in buckets of powers of two.

    Attributes:
        bounds: Largest tokens of each bucket, ascending.
        counts: Requests in each bucket, lately; floats, as they are rates times a window.
    """

    bounds: tuple[float, ...]
    counts: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ExpectedOutput:
    """Output tokens to expect of requests, from those that were seen before.

    Attributes:
        tokens: Mean output tokens.
        basis: Of which requests, in words.
        requests: Of how many.
        of_model: Whether they went to the same model.
    """

    tokens: float
    basis: str
    requests: float
    of_model: bool


@dataclass(frozen=True, slots=True)
class ServerObservation:
    """What was measured of one server over all its replicas.

    Attributes:
        server: Name of the server in the fleet.
        signals: Every signal that was asked for, known or not.
        input_tokens: Histogram of input tokens; None where unknown.
        output_tokens: Histogram of output tokens; None where unknown.
        engine: Engine whose names answered (`vllm`, `sglang`, `custom`); empty where none did.
        expected_output: What to expect where output tokens are not measured, and input tokens are;
            None where nothing tells it.
        reporting_pods: Names of the pods that report, as their series carry them; empty where
            series carry none.
    """

    server: str
    signals: Mapping[SignalName, Signal] = field(default_factory=dict)
    input_tokens: TokenHistogram | None = None
    output_tokens: TokenHistogram | None = None
    engine: str = ""
    expected_output: ExpectedOutput | None = None
    reporting_pods: frozenset[str] = frozenset()

    def signal(self, name: SignalName) -> Signal:
        """Return a signal; one that nobody asked for is unknown."""
        return self.signals.get(name) or Signal.unknown("not asked for")

    def usable(self, name: SignalName) -> float | None:
        """Return the value of a signal where it is known; else None."""
        return self.signal(name).usable


@dataclass(frozen=True, slots=True)
class Observation:
    """All that one look at the world brought.

    Attributes:
        at: When, in seconds since the epoch.
        servers: What was measured, by name of the server; a server may be left out, which means
            that nothing is known of it.
        cluster: What runs; None where the cluster did not answer.
        problems: What did not work, in words with a remedy.
        workloads: How single workloads do, of servers with ready replicas on several.
    """

    at: float
    servers: Mapping[str, ServerObservation]
    cluster: ClusterState | None
    problems: tuple[str, ...] = ()
    workloads: Mapping[WorkloadRef, ServerObservation] = field(default_factory=dict)

    def server(self, name: str) -> ServerObservation:
        """Return what was measured of a server; an empty observation where nothing was."""
        return self.servers.get(name) or ServerObservation(name)
