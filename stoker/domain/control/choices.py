"""What a user may choose between, each by its word in a fleet document."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """What the loop may do."""

    OBSERVE = "observe"
    """Measure and plan; change nothing."""
    ADVISE = "advise"
    """Write each plan down, and carry it out when somebody approves it."""
    ACT = "act"
    """Carry out each plan."""


class EngineKind(StrEnum):
    """Whose metric names are looked for."""

    AUTO = "auto"
    VLLM = "vllm"
    SGLANG = "sglang"


class ForecastMethod(StrEnum):
    """How load is foretold over the time that replicas take to start."""

    LAST = "last"
    LINEAR = "linear"
    HOLT_WINTERS = "holt-winters"


class ClassKind(StrEnum):
    """How the requests of a service class come."""

    REALTIME = "realtime"
    """People wait for the first token."""
    STREAMING = "streaming"
    """A steady stream of requests."""
    BATCH = "batch"
    """Tokens to do by a deadline; when within it does not matter."""


class TransitionKind(StrEnum):
    """How a server moves from one workload to another."""

    ROLLING = "rolling"
    BLUE_GREEN = "blue-green"
    CANARY = "canary"


class Actuation(StrEnum):
    """Who writes replicas."""

    SCALE = "scale"
    """Stoker, through the scale subresource."""
    EMIT = "emit"
    """HPA or KEDA, from the desired replicas that Stoker emits."""
