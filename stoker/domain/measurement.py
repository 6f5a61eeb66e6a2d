"""What was measured of a model server under load: one operating point per row."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

GROUP_FIELDS = ("model", "gpu", "n_gpus", "precision", "engine")
"""Fields that tell one deployment from another: rows that share them can be fitted together."""


class LoadKind(StrEnum):
    """How the load was given."""

    RATE = "rate"
    """Open loop: requests per second, sent whether or not earlier ones are done."""
    CONCURRENCY = "concurrency"
    """Closed loop: clients, each of which sends its next request when the last one is done."""


class Arrival(StrEnum):
    """How requests arrived."""

    CONSTANT = "constant"
    """Open loop at equal times between arrivals (coefficient of variation 0)."""
    POISSON = "poisson"
    """Open loop with exponential times between arrivals (coefficient of variation 1)."""
    CLOSED = "closed"
    """Closed loop: a completion brings the client's next request."""
    STATIC_BATCH = "static batch"
    """A batch sent at once, prefilled together and decoded together to its end."""
    UNKNOWN = "unknown"
    """Not recorded."""

    @classmethod
    def of(cls, text: str | None) -> Arrival:
        """Return the pattern that a recorded text begins with; UNKNOWN for any other text."""
        words = (text or "").strip().lower()
        for pattern in cls:
            if words.startswith(pattern.value):
                return pattern
        return cls.UNKNOWN


@dataclass(frozen=True, slots=True)
class LatencyFigures:
    """Statistics of one latency over the requests of a run, in ms; None where not recorded."""

    mean_ms: float | None = None
    p50_ms: float | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None

    @property
    def typical_ms(self) -> float | None:
        """The median, or the mean where the median was not recorded."""
        return self.mean_ms if self.p50_ms is None else self.p50_ms


@dataclass(frozen=True, slots=True)
class Measurement:
    """One operating point of a deployment, as measured. None is unknown.

    Attributes:
        model: Name of the model.
        gpu: Name of the accelerator.
        n_gpus: Accelerators that the replica spans (tensor parallelism).
        load_kind: Whether `load` is a rate or a number of clients.
        load: Offered requests per second, or clients.
        in_tokens: Mean prompt tokens of the requests.
        out_tokens: Mean output tokens of the requests.
        engine: Model server and version.
        precision: Of weights, such as "bf16" or "fp8"; None where not recorded.
        arrival: How requests arrived.
        arrival_cv: Coefficient of variation of the times between arrivals, where it was recorded
            apart from `arrival`.
        in_tokens_std: Standard deviation of the prompt tokens.
        out_tokens_std: Standard deviation of the output tokens.
        max_batch: Most sequences in service at once.
        max_num_batched_tokens: Token budget of one iteration.
        max_clients: Requests that the load generator keeps in flight at most, in open loop, too.
        prefix_cache: Whether prompts could be served from cached prefixes.
        ttft: Time to first token.
        itl: Time between output tokens after the first.
        e2e: Time from arrival to last token.
        throughput_rps: Requests completed per second.
        output_tps: Output tokens per second.
        concurrency_mean: Mean requests in the system.
        n_requests: Requests measured.
        duration_s: Length of the run in seconds.
        quality: The recorder's verdict, such as "ok"; empty where there is none.
        source: Where the row comes from.
        name: Identifier of the row within its source.
        notes: What the recorder added.
    """

    model: str
    gpu: str
    n_gpus: int
    load_kind: LoadKind
    load: float
    in_tokens: float
    out_tokens: float
    engine: str | None = None
    precision: str | None = None
    arrival: Arrival = Arrival.UNKNOWN
    arrival_cv: float | None = None
    in_tokens_std: float | None = None
    out_tokens_std: float | None = None
    max_batch: int | None = None
    max_num_batched_tokens: int | None = None
    max_clients: int | None = None
    prefix_cache: bool | None = None
    ttft: LatencyFigures = LatencyFigures()
    itl: LatencyFigures = LatencyFigures()
    e2e: LatencyFigures = LatencyFigures()
    throughput_rps: float | None = None
    output_tps: float | None = None
    concurrency_mean: float | None = None
    n_requests: int | None = None
    duration_s: float | None = None
    quality: str = ""
    source: str = ""
    name: str = ""
    notes: str = ""

    def group(self, fields: tuple[str, ...] = GROUP_FIELDS) -> dict[str, str | int | None]:
        """Return the fields that identify the deployment, in the given order.

        Raises:
            ValueError: For a field that does not identify a deployment.
        """
        if unknown := set(fields) - set(GROUP_FIELDS):
            allowed = ", ".join(GROUP_FIELDS)
            raise ValueError(f"no grouping by {', '.join(sorted(unknown))}; allowed: {allowed}")
        return {field: getattr(self, field) for field in fields}

    @property
    def interarrival_cv(self) -> float:
        """Coefficient of variation of the times between arrivals: as recorded, else by pattern.

        Unknown open-loop arrivals count as Poisson. Without meaning in a closed loop.
        """
        if self.arrival_cv is not None:
            return self.arrival_cv
        return 0.0 if self.arrival is Arrival.CONSTANT else 1.0
