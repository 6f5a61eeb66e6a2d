"""Plans as CSV. What is unknown is empty, never NaN and never zero."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from data.plan_format import Json, known, money
from data.plan_pools import placement_words
from data.wording import shown
from stoker.domain.allocation import MixPart, PlannedAllocation
from stoker.domain.latency import MEAN_ITL, MEAN_TTFT, Latency
from stoker.domain.plan import Plan

_POOL_COLUMNS = ("placements", "spare_replicas", "power_w")
"""Columns of plans over pools, beside the rest."""

_SHARING_COLUMNS = ("shared_with", "counted_with", "engine_priority")
"""Columns of plans whose servers share replicas, beside the rest."""

_CSV_COLUMNS = (
    "server",
    "service_class",
    "model",
    "accelerator",
    "configuration",
    "parallel",
    "serving",
    "prefill_replicas",
    "replicas",
    "router",
    "max_batch",
    "max_queue",
    "cards",
    "card_type",
    "cost_per_hour",
    "currency",
    "arrival_rate_rps",
    "max_rate_rps",
    "ttft_ms",
    "ttft_target_ms",
    "itl_ms",
    "itl_target_ms",
    "e2e_ms",
    "percentile_targets",
    "tps_target",
    "binding",
    "utilization",
    "blocking",
    "estimate",
    "fully_served",
    "unplaced_reason",
)


def plan_to_csv(plan: Plan) -> str:
    """Return a plan as CSV: a row for each allocation, and for each part of a mixed one.

    Plans over pools have columns more: where replicas stand, spare ones, and power. So have plans
    whose servers share replicas: with whom, and whose row counts cards and cost.

    A server that got nothing has a row with the reason and no accelerator.
    """
    text = io.StringIO()
    columns = (
        *_CSV_COLUMNS,
        *(_POOL_COLUMNS if plan.pools else ()),
        *(_SHARING_COLUMNS if _shares(plan) else ()),
    )
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rows(plan))
    return text.getvalue()


def _shares(plan: Plan) -> bool:
    return any(item.shared_with for item in plan.allocations)


def _percentile_targets(item: PlannedAllocation) -> str:
    """Return targets beyond those of mean TTFT and ITL: ``ttft_ms.p95=800; e2e_ms.mean=9000``."""
    return "; ".join(
        f"{statistic.path}={limit_ms:.12g}"
        for statistic, limit_ms in (item.targets.limits() if item.targets else ())
        if statistic not in (MEAN_TTFT, MEAN_ITL)
    )


def _mean_e2e(figures: PlannedAllocation | MixPart) -> float | None:
    e2e = figures.latencies.get(Latency.E2E)
    return None if e2e is None else known(e2e.mean_ms)


def _rows(plan: Plan) -> Iterator[Json]:
    reasons = {item.server: item.reason.value for item in plan.unplaced}
    for item in plan.allocations:
        common: Json = {
            "server": item.server,
            "service_class": item.service_class,
            "model": item.model,
            "router": item.router.label,
            "max_queue": item.max_queue,
            "currency": plan.currency,
            "ttft_target_ms": known(item.ttft_target_ms),
            "itl_target_ms": known(item.itl_target_ms),
            "percentile_targets": _percentile_targets(item),
            "tps_target": known(item.tps_target),
            "fully_served": shown(item.fully_served),
            "unplaced_reason": reasons.pop(item.server, None),
        }
        if plan.pools:
            common |= {
                "placements": placement_words(item),
                "spare_replicas": item.spare_replicas,
                "power_w": known(item.power_w),
            }
        if item.shared_with:
            common |= {
                "shared_with": " ".join(item.shared_with),
                "counted_with": item.counted_with,
                "engine_priority": item.engine_priority,
            }
        for figures in item.mix or (item,):
            yield common | {
                "accelerator": figures.accelerator,
                "configuration": figures.configuration or None,
                "parallel": figures.parallel.label if figures.parallel else None,
                "serving": item.serving.value,
                "prefill_replicas": item.pools[0].replicas if item.pools else None,
                "replicas": figures.replicas,
                "max_batch": figures.max_batch,
                "cards": figures.cards,
                "card_type": figures.card_type,
                "cost_per_hour": money(figures.cost_per_hour),
                "arrival_rate_rps": known(figures.arrival_rate_rps),
                "max_rate_rps": known(figures.max_rate_rps),
                "ttft_ms": known(figures.ttft_ms),
                "itl_ms": known(figures.itl_ms),
                "e2e_ms": _mean_e2e(figures),
                "binding": figures.binding,
                "utilization": known(figures.utilization),
                "blocking": known(figures.blocking),
                "estimate": figures.estimate.value if figures.estimate is not None else None,
            }
    for server, reason in reasons.items():
        yield {
            "server": server,
            "currency": plan.currency,
            "fully_served": shown(False),
            "unplaced_reason": reason,
        }
