"""Settings of the control loop, in groups; every duration and share names its unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stoker.domain.control.choices import (
    Actuation,
    ClassKind,
    EngineKind,
    ForecastMethod,
    Mode,
    TransitionKind,
)
from stoker.domain.control.cluster import WorkloadRef
from stoker.domain.control.quiet import QuietHours


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """The rhythm of the loop.

    Attributes:
        mode: What it may do.
        period_s: Time from the start of one cycle to the start of the next.
        deadline_s: Longest time that a cycle may take; what is not done by then is not done.
        solver_time_limit_s: Longest time for the plan, within the deadline.
        dry_run: Whether writes are only tried: the API server checks them and keeps nothing.
    """

    mode: Mode = Mode.OBSERVE
    period_s: float = 30.0
    deadline_s: float = 25.0
    solver_time_limit_s: float = 10.0
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class MetricSettings:
    """How signals are read.

    Attributes:
        prometheus_url: Address of Prometheus; empty for none.
        bearer_token_file: File with a token for it; empty for none.
        ca_file: Certificates to verify it with; empty for the system's.
        verify_tls: Whether its certificate is verified.
        timeout_s: Longest wait for one query.
        window_s: Time over which rates and percentiles are taken.
        stale_s: Age from which a sample is too old to act on.
        engine: Whose metric names are looked for.
        model_label: Label that tells a server's series apart, for the engines' own metrics.
        duplicate_labels: Labels that tell scrapes of one pod apart, beside the usual ones.
        distinct_labels: Labels that tell pods apart, though they usually tell scrapes apart.
        fresh_replica_s: Time after getting ready in which a replica need not report yet.
        reporting_share: Share of the ready, no longer fresh replicas that must report for a
            server's figures to count.
    """

    prometheus_url: str = ""
    bearer_token_file: str = ""
    ca_file: str = ""
    verify_tls: bool = True
    timeout_s: float = 5.0
    window_s: float = 60.0
    stale_s: float = 90.0
    engine: EngineKind = EngineKind.AUTO
    model_label: str = "model_name"
    duplicate_labels: tuple[str, ...] = ()
    distinct_labels: tuple[str, ...] = ()
    fresh_replica_s: float = 60.0
    reporting_share: float = 0.8


@dataclass(frozen=True, slots=True)
class ForecastSettings:
    """How load is foretold.

    Attributes:
        method: The method.
        quantile: Quantile of the load planned for; 0.5 is the middle.
        season_s: Length of the season of `holt-winters`.
        history_s: How much of the past a line is drawn through; a season has its own past.
        startup_s: Start-up time of a replica where none was observed.
    """

    method: ForecastMethod = ForecastMethod.LINEAR
    quantile: float = 0.9
    season_s: float = 86_400.0
    history_s: float = 600.0
    startup_s: float = 120.0


@dataclass(frozen=True, slots=True)
class StabilitySettings:
    """What keeps the loop calm.

    Attributes:
        scale_down_window_s: A smaller size must have been enough for so long; the largest size
            asked for in this time is kept.
        hysteresis: Share of its size by which a server's load must fall before it shrinks.
        max_step_up: Most replicas that a server gains in a cycle; None for any.
        max_step_down: Most replicas that it loses in a cycle; None for any.
        cooldown_up_s: Least time between two growths of a server.
        cooldown_down_s: Least time between any change of a server and its next shrinking.
        cooldown_move_s: Least time between two moves of a server to another accelerator.
        zero_after_s: Time without any request after which a server that may scales to zero.
        max_cards_change: Most cards that one cycle may add or take, over the fleet; None for any.
        max_cost_change_per_hour: Most cost per hour that one cycle may add; None for any.
        quiet_hours: Times in which nothing shrinks and nothing moves.
    """

    scale_down_window_s: float = 300.0
    hysteresis: float = 0.1
    max_step_up: int | None = None
    max_step_down: int | None = None
    cooldown_up_s: float = 0.0
    cooldown_down_s: float = 60.0
    cooldown_move_s: float = 600.0
    zero_after_s: float = 600.0
    max_cards_change: int | None = None
    max_cost_change_per_hour: float | None = None
    quiet_hours: tuple[QuietHours, ...] = ()


@dataclass(frozen=True, slots=True)
class CorrectionSettings:
    """Correction of profiles from what is observed.

    Attributes:
        enabled: Whether profiles are corrected.
        largest_factor: Times are multiplied by at most this, and at least by its inverse.
    """

    enabled: bool = True
    largest_factor: float = 2.0


@dataclass(frozen=True, slots=True)
class TransitionSettings:
    """How a server moves from one workload to another.

    Attributes:
        kind: In which steps.
        surge_replicas: Most replicas above the larger of both sizes while it moves; None for as
            many as free cards allow.
        ready_timeout_s: Longest wait for new replicas before going back.
        canary_steps: Shares of the replicas that move in each step, ascending to 1.
        canary_hold_s: Time that each step is watched.
        breach_factor: A step is taken back when a latency exceeds its target by this factor.
        drain_s: Longest wait for the last old replicas to finish their requests, before a move
            counts as over; how long they may take is for their own grace period to say.
    """

    kind: TransitionKind = TransitionKind.ROLLING
    surge_replicas: int | None = None
    ready_timeout_s: float = 900.0
    canary_steps: tuple[float, ...] = (0.1, 0.5, 1.0)
    canary_hold_s: float = 120.0
    breach_factor: float = 1.2
    drain_s: float = 300.0


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """Where the fleet runs.

    Attributes:
        namespaces: Namespaces looked at; empty for all.
        kubeconfig: File with the way to the API server; empty for the pod's own or the usual one.
        context: Context of that file; empty for its current one.
        selector: Label selector of managed workloads.
        product_labels: Card type of the fleet by the value of the nodes' product label.
        sole_tenant: Whether no pod outside these namespaces holds cards of the nodes; else such
            pods are counted, and cards are unknown where they may not be read.
        resource: Name of the resource that counts cards.
        field_manager: Name under which fields are owned in server-side applies.
        actuation: Who writes replicas.
        allow_batch_limit: Whether batch limits are written.
        set_batch_limit_by: `argument` (``--max-num-seqs`` and its kin) or the name of an
            environment variable.
    """

    namespaces: tuple[str, ...] = ()
    kubeconfig: str = ""
    context: str = ""
    selector: str = "stoker.dev/managed=true"
    product_labels: Mapping[str, str] = field(default_factory=dict)
    sole_tenant: bool = False
    resource: str = "nvidia.com/gpu"
    field_manager: str = "stoker"
    actuation: Actuation = Actuation.SCALE
    allow_batch_limit: bool = False
    set_batch_limit_by: str = "argument"


@dataclass(frozen=True, slots=True)
class ServerControl:
    """What the loop is told of one server.

    Attributes:
        server: Its name in the fleet.
        workloads: Its workloads by name of the accelerator configuration, beside those that carry
            labels.
        queries: PromQL by name of the signal, instead of the engines' names.
        ages: PromQL for the age of what these answer, in seconds, by name of the signal.
        match: Labels that its series carry, beside the model's; empty for the model alone.
        engine: Whose metric names are looked for; AUTO for the fleet's.
        kind: How its requests come; None for unknown.
        backlog_tokens: With `batch`: output tokens to do by the deadline.
        deadline: With `batch`: until when, in seconds since the epoch.
        min_replicas: Fewest replicas, whatever is planned; None for the fleet's.
        max_replicas: Most replicas, whatever is planned; None for the fleet's.
        scale_to_zero: Whether it may have no replica at all.
    """

    server: str
    workloads: Mapping[str, WorkloadRef] = field(default_factory=dict)
    queries: Mapping[str, str] = field(default_factory=dict)
    ages: Mapping[str, str] = field(default_factory=dict)
    match: Mapping[str, str] = field(default_factory=dict)
    engine: EngineKind = EngineKind.AUTO
    kind: ClassKind | None = None
    backlog_tokens: float | None = None
    deadline: float | None = None
    min_replicas: int | None = None
    max_replicas: int | None = None
    scale_to_zero: bool = False


@dataclass(frozen=True, slots=True)
class ServiceClassControl:
    """What the loop is told of the servers of a service class, as far as they tell nothing.

    Attributes:
        kind: How their requests come.
        backlog_tokens: With `batch`: output tokens that each of them has to do by the deadline.
        deadline: With `batch`: until when, in seconds since the epoch.
    """

    kind: ClassKind
    backlog_tokens: float | None = None
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class RecordSettings:
    """Where cycles are written down.

    Attributes:
        folder: Folder of the records; empty for one beside the control document.
        retention_days: Days that they are kept.
        retention_mb: Megabytes that the database may take, and as many the lines of JSON; the
            oldest records go first.
        compatible_metrics: Whether the metric names of other autoscalers are emitted too.
        events: Whether events are written to the cluster.
    """

    folder: str = ""
    retention_days: float = 30.0
    retention_mb: float = 1000.0
    compatible_metrics: bool = False
    events: bool = True


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """Election of the one loop that acts.

    Attributes:
        enabled: Whether one is elected at all.
        namespace: Namespace of the Lease.
        name: Its name.
        duration_s: Time after which a silent leader may be replaced.
        renew_s: Time between renewals.
    """

    enabled: bool = True
    namespace: str = "default"
    name: str = "stoker"
    duration_s: float = 15.0
    renew_s: float = 5.0


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """All settings of one loop.

    Attributes:
        fleet: Path of the fleet document, relative to the document of these settings.
        loop: Its rhythm.
        metrics: How signals are read.
        forecast: How load is foretold.
        stability: What keeps it calm.
        correction: Correction of profiles.
        transition: How servers move.
        cluster: Where the fleet runs.
        records: Where cycles are written down.
        lease: Election of a leader.
        servers: What is told of single servers, by name; with what they take from their class.
        service_classes: What is told of the servers of a service class, by its name.
    """

    fleet: str = ""
    loop: LoopSettings = field(default_factory=LoopSettings)
    metrics: MetricSettings = field(default_factory=MetricSettings)
    forecast: ForecastSettings = field(default_factory=ForecastSettings)
    stability: StabilitySettings = field(default_factory=StabilitySettings)
    correction: CorrectionSettings = field(default_factory=CorrectionSettings)
    transition: TransitionSettings = field(default_factory=TransitionSettings)
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    records: RecordSettings = field(default_factory=RecordSettings)
    lease: LeaseSettings = field(default_factory=LeaseSettings)
    servers: Mapping[str, ServerControl] = field(default_factory=dict)
    service_classes: Mapping[str, ServiceClassControl] = field(default_factory=dict)
