"""Plans as they were written: the JSON of ``stoker solve --format json`` read back.

Keys that this version does not know are passed over, so that plans of later ones can be read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data.decode import Decoded, read_document
from data.document import Document
from data.fields import Count, Name
from data.latency_fields import LatencyTarget, mean_limit, percentile_limits
from data.problems import Finding, findings_from_validation
from stoker.domain.latency import MEAN, Latency, LatencyStatistics
from stoker.domain.plan import (
    BatchChoice,
    CardUsage,
    ClassService,
    MixPart,
    Plan,
    PlannedAllocation,
    PlanStatus,
    PoolPart,
    Rejection,
    Unplaced,
    UnplacedReason,
)
from stoker.domain.profile import EstimateKind
from stoker.domain.routing import Router
from stoker.domain.serving import Parallelism
from stoker.domain.settings import Analysis
from stoker.domain.slo import SloTarget


class _Written(BaseModel):
    """Base: what is not known here is passed over, what is must be right."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, allow_inf_nan=False)


class WrittenTargets(_Written):
    """Targets, as a fleet has them."""

    ttft_ms: LatencyTarget = None
    itl_ms: LatencyTarget = None
    e2e_ms: LatencyTarget = None
    tps: float | None = None


class WrittenChoice(_Written):
    """What a batch limit was preferred to."""

    largest: Count
    max_rate_rps: float | None = None
    binding: str | None = None


class WrittenParallelism(_Written):
    """How the cards of a replica share its work."""

    tensor: Count = 1
    pipeline: Count = 1
    expert: Count = 1
    data: Count = 1


class WrittenPart(_Written):
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


class WrittenPool(_Written):
    """Replicas of a prefill or a decode pool."""

    role: str
    configuration: str | None = None
    parallel: WrittenParallelism | None = None
    replicas: Count
    router: str = Router.RANDOM.label
    max_batch: Count = 0
    cards: Count = 0
    cost_per_hour: float = 0.0


class WrittenAllocation(WrittenPart):
    """What a server gets."""

    service_class: str = ""
    model: str = ""
    value: float = 0.0
    max_queue: Count | None = None
    router: str = Router.RANDOM.label
    fully_served: bool = True
    estimate: str | None = None
    targets: WrittenTargets = WrittenTargets()
    mix: list[WrittenPart] = Field(default_factory=list)
    pools: list[WrittenPool] = Field(default_factory=list)


class WrittenUnplaced(_Written):
    """Why a server is not served in full."""

    reason: str
    detail: str = ""
    remedy: str = ""
    rejections: dict[str, str] = Field(default_factory=dict)


class WrittenUsage(_Written):
    """Cards of a type."""

    used: Count
    available: Count | None
    cost_per_hour: float = 0.0


class WrittenService(_Written):
    """Servers of a priority."""

    priority: Count
    servers: Count
    served: Count
    bound: Count | None = None


class WrittenPlan(_Written):
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


def read_plan(path: str | Path) -> Plan:
    """Return the plan of a file.

    Raises:
        InvalidInputError: The file cannot be read, or every problem in it.
    """
    return _plan(read_document(Path(path)), str(path))


def parse_plan(document: object, *, file: str = "") -> Plan:
    """Return a decoded plan.

    Raises:
        InvalidInputError: Every problem of the document, in document order.
    """
    return _plan(Decoded(document), file)


def _plan(decoded: Decoded, file: str) -> Plan:
    document = Document.single(decoded.value, file, decoded.findings)
    wrong: list[Finding] = []
    written: WrittenPlan | None = None
    try:
        written = WrittenPlan.model_validate(decoded.value)
    except ValidationError as error:
        wrong.extend(findings_from_validation(error, WrittenPlan))
    if written is not None:
        wrong.extend(_unknown_words(written))
    document.refuse_if(wrong)
    assert written is not None  # no plan without findings, and those were raised
    return Plan(
        status=PlanStatus(written.status),
        objective=written.objective,
        bound=written.bound,
        gap=written.gap,
        cost_per_hour=written.cost_per_hour,
        currency=written.currency,
        allocations=tuple(_allocation(name, item) for name, item in written.allocations.items()),
        unplaced=tuple(
            Unplaced(
                name,
                UnplacedReason(item.reason),
                item.detail,
                item.remedy,
                {key: Rejection(value) for key, value in item.rejections.items()},
            )
            for name, item in written.unplaced.items()
        ),
        usage=tuple(
            CardUsage(name, item.used, item.available, item.cost_per_hour)
            for name, item in written.usage.items()
        ),
        services=tuple(
            ClassService(item.priority, item.servers, item.served, item.bound)
            for item in written.services
        ),
        analysis=Analysis(written.analysis),
        method=written.method,
        backend=written.backend or "",
        notes=tuple(written.notes),
        timings_ms={name: value for name, value in written.timings_ms.items() if value is not None},
    )


def _unknown_words(plan: WrittenPlan) -> Iterator[Finding]:
    """Yield the words that are none of those a plan may use at their place."""

    def known(loc: tuple[str | int, ...], word: str, words: list[str]) -> Iterator[Finding]:
        if word not in words:
            yield Finding(loc, f'"{word}" is not known here', ", ".join(words))

    yield from known(("status",), plan.status, [item.value for item in PlanStatus])
    yield from known(("analysis",), plan.analysis, [item.value for item in Analysis])
    for name, item in plan.allocations.items():
        loc = ("allocations", name)
        routers = [router.label for router in Router]
        yield from known((*loc, "router"), item.router, routers)
        for index, pool in enumerate(item.pools):
            yield from known((*loc, "pools", index, "router"), pool.router, routers)
        if item.estimate is not None:
            kinds = [kind.value for kind in EstimateKind]
            yield from known((*loc, "estimate"), item.estimate, kinds)
        for index, part in enumerate((item, *item.mix)):
            where = loc if index == 0 else (*loc, "mix", index - 1)
            for latency in part.latencies or {}:
                words = [each.value for each in Latency]
                yield from known((*where, "latencies", latency), latency, words)
            for latency, figures in (part.latencies or {}).items():
                for statistic in figures:
                    if statistic != MEAN and _percentile(statistic) is None:
                        place = (*where, "latencies", latency, statistic)
                        yield Finding(place, f'"{statistic}" is no statistic', "mean, p95, ...")
    for name, lacking in plan.unplaced.items():
        loc = ("unplaced", name)
        reasons = [reason.value for reason in UnplacedReason]
        yield from known((*loc, "reason"), lacking.reason, reasons)
        for accelerator, why in lacking.rejections.items():
            words = [item.value for item in Rejection]
            yield from known((*loc, "rejections", accelerator), why, words)


def _allocation(name: str, item: WrittenAllocation) -> PlannedAllocation:
    targets = SloTarget(
        model=item.model,
        ttft_ms=mean_limit(item.targets.ttft_ms),
        itl_ms=mean_limit(item.targets.itl_ms),
        e2e_ms=mean_limit(item.targets.e2e_ms),
        tps=item.targets.tps,
        percentiles=(
            *percentile_limits(Latency.TTFT, item.targets.ttft_ms),
            *percentile_limits(Latency.ITL, item.targets.itl_ms),
            *percentile_limits(Latency.E2E, item.targets.e2e_ms),
        ),
    )
    promised = targets.tps is not None or any(True for _ in targets.limits())
    return PlannedAllocation(
        server=name,
        service_class=item.service_class,
        model=item.model,
        accelerator=item.accelerator,
        replicas=item.replicas,
        max_batch=item.max_batch,
        max_queue=item.max_queue,
        cost_per_hour=item.cost_per_hour,
        value=item.value,
        arrival_rate_rps=_rate(item.arrival_rate_rps),
        ttft_ms=item.ttft_ms,
        itl_ms=item.itl_ms,
        utilization=item.utilization,
        blocking=item.blocking,
        max_rate_rps=_rate(item.max_rate_rps),
        ttft_target_ms=targets.ttft_ms,
        itl_target_ms=targets.itl_ms,
        tps_target=targets.tps,
        cards=item.cards,
        card_type=item.card_type,
        fully_served=item.fully_served,
        estimate=None if item.estimate is None else EstimateKind(item.estimate),
        mix=tuple(_part(part) for part in item.mix),
        targets=targets if promised else None,
        latencies=_latencies(item.latencies),
        binding=item.binding,
        kv_use=item.kv_use,
        preemptions_per_request=item.preemptions_per_request,
        router=_router(item.router),
        batch_choice=_choice(item.batch_choice),
        configuration=item.configuration or "",
        parallel=_parallel(item.parallel),
        pools=tuple(_pool(pool) for pool in item.pools),
    )


def _part(part: WrittenPart) -> MixPart:
    return MixPart(
        accelerator=part.accelerator or "",
        replicas=part.replicas,
        max_batch=part.max_batch,
        cost_per_hour=part.cost_per_hour,
        cards=part.cards,
        card_type=part.card_type or "",
        arrival_rate_rps=_rate(part.arrival_rate_rps),
        ttft_ms=part.ttft_ms,
        itl_ms=part.itl_ms,
        utilization=part.utilization,
        blocking=part.blocking,
        max_rate_rps=_rate(part.max_rate_rps),
        latencies=_latencies(part.latencies),
        binding=part.binding,
        kv_use=part.kv_use,
        preemptions_per_request=part.preemptions_per_request,
        batch_choice=_choice(part.batch_choice),
        configuration=part.configuration or "",
        parallel=_parallel(part.parallel),
    )


def _pool(pool: WrittenPool) -> PoolPart:
    return PoolPart(
        role=pool.role,
        configuration=pool.configuration or "",
        parallel=_parallel(pool.parallel),
        replicas=pool.replicas,
        max_batch=pool.max_batch,
        cards=pool.cards,
        cost_per_hour=pool.cost_per_hour,
        router=_router(pool.router),
    )


def _parallel(written: WrittenParallelism | None) -> Parallelism | None:
    if written is None:
        return None
    return Parallelism(written.tensor, written.pipeline, written.expert, written.data)


def _router(label: str) -> Router:
    return next(router for router in Router if router.label == label)


def _rate(value: float | None) -> float:
    """Return a rate; NaN, which a plan has for an unknown one, where it is null."""
    return math.nan if value is None else value


def _choice(choice: WrittenChoice | None) -> BatchChoice | None:
    if choice is None:
        return None
    return BatchChoice(choice.largest, choice.max_rate_rps, choice.binding)


def _latencies(
    written: Mapping[str, Mapping[str, float | None]] | None,
) -> dict[Latency, LatencyStatistics]:
    return {
        Latency(latency): LatencyStatistics(
            figures.get(MEAN),
            {
                percentile: value
                for name, value in figures.items()
                if (percentile := _percentile(name)) is not None
            },
        )
        for latency, figures in (written or {}).items()
    }


def _percentile(name: str) -> float | None:
    """Return the percentile of a name such as ``p99.9``; None for no such name."""
    if not name.startswith("p"):
        return None
    try:
        value = float(name[1:])
    except ValueError:
        return None
    return value if 0 < value < 100 else None
