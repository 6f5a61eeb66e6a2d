"""Plans as they were written: the JSON of ``stoker solve --format json`` read back.

Keys that this version does not know are passed over, so that plans of later ones can be read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from data.decode import Decoded, read_document
from data.document import Document
from data.latency_fields import mean_limit, percentile_limits
from data.problems import Finding, findings_from_validation
from data.written_plan import (
    WrittenAllocation,
    WrittenChoice,
    WrittenParallelism,
    WrittenPart,
    WrittenPlan,
    WrittenPool,
    WrittenPoolUsage,
    percentile_of,
    unknown_words,
)
from stoker.domain.allocation import (
    BatchChoice,
    MixPart,
    PlannedAllocation,
    PoolPart,
    PoolPlacement,
)
from stoker.domain.errors import InvalidInputError
from stoker.domain.latency import MEAN, Latency, LatencyStatistics
from stoker.domain.plan import ClassService, ObjectiveValue, Plan, PlanStatus, Unplaced
from stoker.domain.pools import PriceKind
from stoker.domain.profile import EstimateKind
from stoker.domain.reasons import Rejection, UnplacedReason
from stoker.domain.routing import Router
from stoker.domain.serving import Parallelism
from stoker.domain.settings import Analysis
from stoker.domain.slo import SloTarget
from stoker.domain.usage import CardUsage, LimitUse, PoolUsage

_WRITTEN_BY = "a plan as `stoker solve FLEET --format json --output FILE` writes it"


def read_plan(path: str | Path) -> Plan:
    """Return the plan of a file.

    Raises:
        InvalidInputError: The file cannot be read, or every problem in it.
    """
    try:
        decoded = read_document(Path(path))
    except InvalidInputError as error:
        # A table of a plan that was written to a file looks like a plan to people alone.
        told = [replace(each, allowed=each.allowed or _WRITTEN_BY) for each in error.problems]
        raise InvalidInputError(told) from error
    return _plan(decoded, str(path))


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
        wrong.extend(unknown_words(written))
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
        pools=tuple(_pool_usage(name, item) for name, item in written.pools.items()),
        limits=tuple(
            LimitUse(name, item.used, item.limit, _own_unit(item.unit, written.currency))
            for name, item in written.limits.items()
        ),
        objectives=tuple(
            ObjectiveValue(item.name, item.value, item.bound, item.unit)
            for item in written.objectives
        ),
        surge=written.surge,
    )


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
        sliced=item.sliced,
        shared_with=tuple(item.shared_with),
        counted_with=item.counted_with,
        engine_priority=item.engine_priority,
        placements=tuple(
            PoolPlacement(
                pool=part.pool,
                replicas=part.replicas,
                cards=part.cards,
                price_kind=PriceKind(part.price_kind),
                cost_per_hour=part.cost_per_hour,
            )
            for part in item.placements
        ),
        spare_replicas=item.spare_replicas,
        power_w=item.power_w,
        idle_power_w=item.idle_power_w,
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
        estimate=None if part.estimate is None else EstimateKind(part.estimate),
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


def _pool_usage(name: str, item: WrittenPoolUsage) -> PoolUsage:
    return PoolUsage(
        pool=name,
        card_type=item.card_type,
        region=item.region,
        zone=item.zone,
        cluster=item.cluster,
        price_kind=PriceKind(item.price_kind),
        used=item.used,
        available=item.available,
        replicas=item.replicas,
        cost_per_hour=item.cost_per_hour,
        interruptions_per_hour=item.interruptions_per_hour,
    )


def _own_unit(unit: str, currency: str) -> str:
    """Return the unit of a limit as a plan has it: money has none there."""
    return "" if unit == f"{currency} per hour" else unit


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
                if (percentile := percentile_of(name)) is not None
            },
        )
        for latency, figures in (written or {}).items()
    }
