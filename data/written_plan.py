"""What documents of plans hold, as they were written, and the words that they may use."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, Field

from data.fields import Count, Name
from data.latency_fields import LatencyTarget
from data.problems import Finding
from stoker.domain.latency import MEAN, Latency
from stoker.domain.plan import PlanStatus
from stoker.domain.pools import PriceKind
from stoker.domain.profile import EstimateKind
from stoker.domain.reasons import Rejection, UnplacedReason
from stoker.domain.routing import Router
from stoker.domain.settings import Analysis


class Written(BaseModel):
    """Base: what is not known here is passed over, what is must be right."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, allow_inf_nan=False)


class WrittenTargets(Written):
    """Targets, as a fleet has them."""

    ttft_ms: LatencyTarget = None
    itl_ms: LatencyTarget = None
    e2e_ms: LatencyTarget = None
    tps: float | None = None


class WrittenChoice(Written):
    """What a batch limit was preferred to."""

    largest: Count
    max_rate_rps: float | None = None
    binding: str | None = None


class WrittenParallelism(Written):
    """How the cards of a replica share its work."""

    tensor: Count = 1
    pipeline: Count = 1
    expert: Count = 1
    data: Count = 1


class WrittenPart(Written):
    """Replicas on one accelerator configuration."""

    accelerator: Name | None
    replicas: Count
    max_batch: Count = 0
    cost_per_hour: float
    cards: Count = 0
    card_type: Name | None = None
    arrival_rate_rps: float | None = None
    max_rate_rps: float | None = None
    ttft_ms: float | None = None
    itl_ms: float | None = None
    utilization: float | None = None
    blocking: float | None = None
    binding: str | None = None
    kv_use: float | None = None
    preemptions_per_request: float | None = None
    latencies: dict[str, dict[str, float | None]] | None = None
    batch_choice: WrittenChoice | None = None
    configuration: str | None = None
    parallel: WrittenParallelism | None = None
    estimate: str | None = None


class WrittenPool(Written):
    """Replicas of a prefill or a decode pool."""

    role: str
    configuration: str | None = None
    parallel: WrittenParallelism | None = None
    replicas: Count
    router: str = Router.RANDOM.label
    max_batch: Count = 0
    cards: Count = 0
    cost_per_hour: float = 0.0


class WrittenPlacement(Written):
    """Replicas in a pool of cards."""

    pool: Name
    replicas: Count
    cards: Count = 0
    price_kind: str
    cost_per_hour: float = 0.0


class WrittenAllocation(WrittenPart):
    """What a server gets."""

    service_class: str = ""
    model: str = ""
    value: float = 0.0
    max_queue: Count | None = None
    router: str = Router.RANDOM.label
    fully_served: bool = True
    targets: WrittenTargets = WrittenTargets()
    mix: list[WrittenPart] = Field(default_factory=list)
    pools: list[WrittenPool] = Field(default_factory=list)
    sliced: bool = False
    shared_with: list[Name] = Field(default_factory=list)
    counted_with: Name | None = None
    engine_priority: Count | None = None
    placements: list[WrittenPlacement] = Field(default_factory=list)
    spare_replicas: Count = 0
    power_w: float | None = None
    idle_power_w: float | None = None


class WrittenUnplaced(Written):
    """Why a server is not served in full."""

    reason: str
    detail: str = ""
    remedy: str = ""
    rejections: dict[str, str] = Field(default_factory=dict)


class WrittenUsage(Written):
    """Cards of a type."""

    used: Count
    available: Count | None
    cost_per_hour: float = 0.0


class WrittenService(Written):
    """Servers of a priority."""

    priority: Count
    servers: Count
    served: Count
    bound: Count | None = None


class WrittenPoolUsage(Written):
    """Cards of a pool."""

    card_type: Name
    region: Name | None = None
    zone: Name | None = None
    cluster: Name | None = None
    price_kind: str
    used: Count
    available: Count
    replicas: Count = 0
    cost_per_hour: float = 0.0
    interruptions_per_hour: float = 0.0


class WrittenLimit(Written):
    """Use of a limit over the whole plan."""

    used: float
    limit: float
    unit: str


class WrittenObjective(Written):
    """What is reached in an objective."""

    name: str
    value: float
    bound: float | None = None
    unit: str


class WrittenPlan(Written):
    """A plan."""

    status: str
    objective: float = 0.0
    bound: float | None = None
    gap: float | None = None
    cost_per_hour: float
    currency: str
    analysis: str
    method: str
    backend: str | None = None
    allocations: dict[Name, WrittenAllocation]
    unplaced: dict[Name, WrittenUnplaced] = Field(default_factory=dict)
    usage: dict[Name, WrittenUsage] = Field(default_factory=dict)
    services: list[WrittenService] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    timings_ms: dict[str, float | None] = Field(default_factory=dict)
    pools: dict[Name, WrittenPoolUsage] = Field(default_factory=dict)
    limits: dict[str, WrittenLimit] = Field(default_factory=dict)
    objectives: list[WrittenObjective] = Field(default_factory=list)
    surge: float = Field(default=1.0, gt=0)


def unknown_words(plan: WrittenPlan) -> Iterator[Finding]:
    """Yield the words that are none of those a plan may use at their place."""

    def known(loc: tuple[str | int, ...], word: str, words: list[str]) -> Iterator[Finding]:
        if word not in words:
            yield Finding(loc, f'"{word}" is not known here', ", ".join(words))

    yield from known(("status",), plan.status, [item.value for item in PlanStatus])
    yield from known(("analysis",), plan.analysis, [item.value for item in Analysis])
    kinds_of_price = [kind.value for kind in PriceKind]
    for name, pool in plan.pools.items():
        yield from known(("pools", name, "price_kind"), pool.price_kind, kinds_of_price)
    for name, item in plan.allocations.items():
        loc = ("allocations", name)
        routers = [router.label for router in Router]
        yield from known((*loc, "router"), item.router, routers)
        for index, half in enumerate(item.pools):
            yield from known((*loc, "pools", index, "router"), half.router, routers)
        for index, stand in enumerate(item.placements):
            at = (*loc, "placements", index, "price_kind")
            yield from known(at, stand.price_kind, kinds_of_price)
        for index, part in enumerate((item, *item.mix)):
            where = loc if index == 0 else (*loc, "mix", index - 1)
            if part.estimate is not None:
                kinds = [kind.value for kind in EstimateKind]
                yield from known((*where, "estimate"), part.estimate, kinds)
            for latency in part.latencies or {}:
                words = [each.value for each in Latency]
                yield from known((*where, "latencies", latency), latency, words)
            for latency, figures in (part.latencies or {}).items():
                for statistic in figures:
                    if statistic != MEAN and percentile_of(statistic) is None:
                        place = (*where, "latencies", latency, statistic)
                        yield Finding(place, f'"{statistic}" is no statistic', "mean, p95, ...")
    for name, lacking in plan.unplaced.items():
        loc = ("unplaced", name)
        reasons = [reason.value for reason in UnplacedReason]
        yield from known((*loc, "reason"), lacking.reason, reasons)
        for accelerator, why in lacking.rejections.items():
            words = [item.value for item in Rejection]
            yield from known((*loc, "rejections", accelerator), why, words)


def percentile_of(name: str) -> float | None:
    """Return the percentile of a name such as ``p99.9``; None for no such name."""
    if not name.startswith("p"):
        return None
    try:
        value = float(name[1:])
    except ValueError:
        return None
    return value if 0 < value < 100 else None
