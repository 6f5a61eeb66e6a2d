"""The schema of control documents. Every default is that of `stoker.domain.control.settings`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from data.fields import (
    Amount,
    Count,
    Fraction,
    Name,
    PositiveAmount,
    PositiveCount,
    StrictModel,
)

Text = Annotated[str, Field(max_length=4096)]
TimeOfDay = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
EndOfTime = Annotated[str, Field(pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_Label = Annotated[str, Field(max_length=63)]
_Most = 10_000


class LoopEntry(StrictModel):
    """The rhythm of the loop."""

    mode: Literal["observe", "advise", "act"] = Field(
        "observe", description="Measure and plan; wait for approval; or carry out."
    )
    period_s: PositiveAmount = Field(30.0, description="Seconds from cycle to cycle.")
    deadline_s: PositiveAmount = Field(25.0, description="Longest time of a cycle, seconds.")
    solver_time_limit_s: PositiveAmount = Field(10.0, description="Longest solve, seconds.")
    dry_run: bool = Field(
        False, description="With `act`: have changes checked by the API server and kept by none."
    )


class MetricsEntry(StrictModel):
    """How signals are read."""

    prometheus_url: Text = Field(
        "", description="Address of Prometheus.", examples=["http://prometheus:9090"]
    )
    bearer_token_file: Text = Field("", description="File with a token for it.")
    ca_file: Text = Field("", description="Certificates to verify it with.")
    verify_tls: bool = Field(True, description="Whether its certificate is verified.")
    timeout_s: PositiveAmount = Field(5.0, description="Longest wait for a query, seconds.")
    window_s: PositiveAmount = Field(60.0, description="Time over which rates are taken, seconds.")
    stale_s: PositiveAmount = Field(90.0, description="Age of samples too old to act on, seconds.")
    engine: Literal["auto", "vllm", "sglang"] = Field("auto", description="Whose metric names.")
    model_label: Name = Field("model_name", description="Label that tells models apart.")
    duplicate_labels: Annotated[list[Name], Field(max_length=100)] = Field(
        default_factory=list,
        description="Further labels that tell scrapes of one pod apart, and never pods.",
        examples=[["scraped_by"]],
    )
    distinct_labels: Annotated[list[Name], Field(max_length=100)] = Field(
        default_factory=list,
        description="Labels that tell pods apart, though they usually tell scrapes apart.",
    )
    fresh_replica_s: Amount = Field(
        60.0, description="Seconds after getting ready in which a replica need not report."
    )
    reporting_share: Fraction = Field(
        0.8, description="Share of the other replicas that must report for figures to count."
    )


class ForecastEntry(StrictModel):
    """How load is foretold over the start-up time."""

    method: Literal["last", "linear", "holt-winters"] = Field("linear", description="Method.")
    quantile: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.9, description="Quantile of the load to plan for."
    )
    season_s: PositiveAmount = Field(86_400.0, description="Season of holt-winters, seconds.")
    history_s: PositiveAmount = Field(
        600.0, description="Past that a line is drawn through, seconds."
    )
    startup_s: Amount = Field(
        120.0, description="Start-up time of a replica where none was observed, seconds."
    )


class QuietEntry(StrictModel):
    """A time of day in which nothing shrinks or moves; it may pass midnight."""

    start: TimeOfDay = Field(alias="from", description="Begin.", examples=["08:00"])
    end: EndOfTime = Field(alias="to", description="End; up to 24:00.", examples=["18:30"])
    zone: Name = Field(
        "UTC", description="Time zone, by its IANA name.", examples=["Europe/Berlin"]
    )
    days: Annotated[list[Day], Field(max_length=7)] = Field(
        default_factory=list,
        description="Days on which it begins; every day if left out.",
        examples=[["mon", "fri"]],
    )


class StabilityEntry(StrictModel):
    """What keeps the loop calm."""

    scale_down_window_s: Amount = Field(
        300.0, description="A smaller size must have been enough for so long, seconds."
    )
    hysteresis: Fraction = Field(
        0.1, description="More load by this share must still fit the smaller size."
    )
    max_step_up: PositiveCount | None = Field(None, description="Most replicas more in a cycle.")
    max_step_down: PositiveCount | None = Field(None, description="Most replicas fewer in a cycle.")
    cooldown_up_s: Amount = Field(0.0, description="Seconds between two growths.")
    cooldown_down_s: Amount = Field(60.0, description="Seconds from any change to a shrinking.")
    cooldown_move_s: Amount = Field(600.0, description="Seconds between two moves.")
    zero_after_s: Amount = Field(600.0, description="Seconds without requests before none runs.")
    max_cards_change: PositiveCount | None = Field(
        None, description="Most cards that a cycle may add or take."
    )
    max_cost_change_per_hour: PositiveAmount | None = Field(
        None, description="Most cost per hour that a cycle may add."
    )
    quiet_hours: Annotated[list[QuietEntry], Field(max_length=24)] = Field(
        default_factory=list, description="Times in which nothing shrinks or moves."
    )


class CorrectionEntry(StrictModel):
    """Correction of profiles from what is observed."""

    enabled: bool = Field(True, description="Whether profiles are corrected.")
    largest_factor: Annotated[float, Field(gt=1, le=100)] = Field(
        2.0, description="Times are multiplied by at most this, or its inverse."
    )


class TransitionEntry(StrictModel):
    """How a server moves from one workload to another."""

    kind: Literal["rolling", "blue-green", "canary"] = Field("rolling", description="In which way.")
    surge_replicas: PositiveCount | None = Field(
        None, description="Most replicas above the larger of both sizes; free cards alone if left."
    )
    ready_timeout_s: PositiveAmount = Field(
        900.0, description="Longest wait for new replicas before going back, seconds."
    )
    canary_steps: Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=1)] = Field(
        default_factory=lambda: [0.1, 0.5, 1.0],
        description="Shares that move, step by step; the last is 1.",
    )
    canary_hold_s: Amount = Field(120.0, description="Seconds that a step is watched.")
    breach_factor: Annotated[float, Field(ge=1, le=100)] = Field(
        1.2, description="Latency over target that takes a step back."
    )
    drain_s: Amount = Field(
        300.0, description="Longest wait for old replicas to finish their requests, seconds."
    )


class ClusterEntry(StrictModel):
    """Where the fleet runs."""

    namespaces: Annotated[list[Name], Field(max_length=1000)] = Field(
        default_factory=list, description="Namespaces looked at; all if left out."
    )
    kubeconfig: Text = Field("", description="File with the way to the API server.")
    context: Text = Field("", description="Context of that file.")
    selector: Text = Field(
        "stoker.dev/managed=true", description="Label selector of managed workloads."
    )
    product_labels: dict[Name, Name] = Field(
        default_factory=dict,
        description="Card type of the fleet by the nodes' product label.",
        examples=[{"NVIDIA-H100-80GB-HBM3": "H100"}],
    )
    sole_tenant: bool = Field(
        False, description="Whether no pod of other namespaces holds cards of the nodes."
    )
    resource: Name = Field("nvidia.com/gpu", description="Resource that counts cards.")
    field_manager: Name = Field("stoker", description="Name that owns the fields written.")
    actuation: Literal["scale", "emit"] = Field(
        "scale", description="Write replicas, or emit them for HPA or KEDA."
    )
    allow_batch_limit: bool = Field(False, description="Whether batch limits are written.")
    set_batch_limit_by: Name = Field(
        "argument", description="`argument`, or the name of an environment variable."
    )


class RecordsEntry(StrictModel):
    """Where cycles are written down."""

    folder: Text = Field("", description="Folder of the records, relative to this document.")
    retention_days: PositiveAmount = Field(30.0, description="Days that they are kept.")
    retention_mb: PositiveAmount = Field(
        1000.0,
        description="Megabytes that the database may take, and as many the lines of JSON.",
    )
    compatible_metrics: bool = Field(
        False, description="Emit the metric names of other autoscalers too."
    )
    events: bool = Field(True, description="Write events to the cluster.")


class LeaseEntry(StrictModel):
    """Election of the one loop that acts."""

    enabled: bool = Field(True, description="Whether one is elected.")
    namespace: Name = Field("default", description="Namespace of the Lease.")
    name: Name = Field("stoker", description="Name of the Lease.")
    duration_s: PositiveAmount = Field(
        15.0, description="Seconds after which a silent leader may be replaced."
    )
    renew_s: PositiveAmount = Field(5.0, description="Seconds between renewals.")


class WorkloadEntry(StrictModel):
    """A workload of a server, named instead of labelled."""

    accelerator: Name = Field(description="Accelerator that it runs on, as in the fleet.")
    namespace: Name = Field(description="Its namespace.")
    name: Name = Field(description="Its name.")
    kind: Literal["Deployment", "StatefulSet", "LeaderWorkerSet"] = Field(
        "Deployment", description="Its kind."
    )


class ServerEntry(StrictModel):
    """What the loop is told of one server."""

    server: Name = Field(description="Its name in the fleet.")
    workloads: Annotated[list[WorkloadEntry], Field(max_length=_Most)] = Field(
        default_factory=list, description="Its workloads, beside those that carry labels."
    )
    queries: dict[Name, Text] = Field(
        default_factory=dict,
        description="PromQL by signal, instead of the engines' names.",
        examples=[{"arrival_rate_rps": "sum(rate(ingress_requests_total[1m]))"}],
    )
    ages: dict[Name, Text] = Field(
        default_factory=dict,
        description="PromQL for the age of what `queries` answer, in seconds, by signal.",
        examples=[{"arrival_rate_rps": "time() - max(timestamp(ingress_requests_total))"}],
    )
    match: dict[Name, _Label] = Field(
        default_factory=dict, description="Labels of its series, beside the model's."
    )
    engine: Literal["auto", "vllm", "sglang"] = Field("auto", description="Whose metric names.")
    kind: Literal["realtime", "streaming", "batch"] | None = Field(
        None, description="How its requests come."
    )
    backlog_tokens: PositiveAmount | None = Field(
        None, description="With `batch`: output tokens to do by the deadline."
    )
    deadline: Text | None = Field(
        None, description="With `batch`: until when, ISO 8601.", examples=["2026-12-01T06:00:00Z"]
    )
    min_replicas: Count | None = Field(None, description="Fewest replicas.")
    max_replicas: PositiveCount | None = Field(None, description="Most replicas.")
    scale_to_zero: bool = Field(False, description="Whether it may have no replica at all.")


class ClassEntry(StrictModel):
    """What the loop is told of the servers of one service class, as far as they tell nothing."""

    service_class: Name = Field(description="Its name in the fleet.")
    kind: Literal["realtime", "streaming", "batch"] = Field(description="How its requests come.")
    backlog_tokens: PositiveAmount | None = Field(
        None, description="With `batch`: output tokens that each server has to do by the deadline."
    )
    deadline: Text | None = Field(
        None, description="With `batch`: until when, ISO 8601.", examples=["2026-12-01T06:00:00Z"]
    )


class ControlDocument(StrictModel):
    """What the control loop is to do with a fleet."""

    version: Literal[1] = Field(description="Version of this format.")
    kind: Literal["control"] = Field(description="What this document is.")
    fleet: Text = Field(description="Fleet document, relative to this one, or a built-in name.")
    loop: LoopEntry = Field(default_factory=LoopEntry)
    metrics: MetricsEntry = Field(default_factory=MetricsEntry)
    forecast: ForecastEntry = Field(default_factory=ForecastEntry)
    stability: StabilityEntry = Field(default_factory=StabilityEntry)
    correction: CorrectionEntry = Field(default_factory=CorrectionEntry)
    transition: TransitionEntry = Field(default_factory=TransitionEntry)
    cluster: ClusterEntry = Field(default_factory=ClusterEntry)
    records: RecordsEntry = Field(default_factory=RecordsEntry)
    lease: LeaseEntry = Field(default_factory=LeaseEntry)
    service_classes: Annotated[list[ClassEntry], Field(max_length=1000)] = Field(
        default_factory=list
    )
    servers: Annotated[list[ServerEntry], Field(max_length=_Most)] = Field(default_factory=list)
