"""Explanations and differences of plans as documents; the order of keys is fixed.

What is unknown is null, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping

from data.plan_format import Json, known, money
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.explanation import (
    AllocationExplanation,
    Explanation,
    Forbidden,
    LatencyMargin,
    Option,
    Regret,
    ReplicaRange,
    ShadowPrice,
)
from stoker.domain.plan_change import OwnAllocation, PlanChange
from stoker.domain.plan_difference import Cause, PlanDifference
from stoker.domain.unplaced_explanation import UnplacedExplanation


def explanation_to_document(explanation: Explanation) -> Json:
    """Return an explanation as a document."""
    return {
        "currency": explanation.currency,
        "cost_per_hour": money(explanation.cost_per_hour),
        "objective": money(explanation.objective),
        "method": explanation.method,
        "allocations": {item.server: _allocation(item) for item in explanation.allocations},
        "unplaced": {item.server: _unplaced(item) for item in explanation.unplaced},
        "shadow_prices": [_shadow(item) for item in explanation.shadow_prices],
        "regret": None if explanation.regret is None else _regret(explanation.regret),
        "notes": list(explanation.notes),
    }


def difference_to_document(difference: PlanDifference) -> Json:
    """Return a difference of two plans as a document."""
    return {
        "currency": difference.currency,
        "cost_per_hour": {
            "before": money(difference.cost_before),
            "after": money(difference.cost_after),
            "change": money(difference.cost_change),
        },
        "served": {
            "before": _by_priority(difference.served_before),
            "after": _by_priority(difference.served_after),
        },
        "newly_served": list(difference.newly_served),
        "no_longer_served": list(difference.no_longer_served),
        "cards_used": dict(difference.cards),
        "causes": [_cause(item) for item in difference.causes],
        "servers": {
            item.server: {
                "change": item.change.value,
                "before": _brief(item.before),
                "after": _brief(item.after),
                "cost_change": money(item.cost_change),
                "causes": [_cause(cause) for cause in item.causes],
            }
            for item in difference.servers
        },
        "unchanged": difference.unchanged,
    }


def _allocation(item: AllocationExplanation) -> Json:
    return {
        "accelerator": item.accelerator,
        "configuration": item.configuration or None,
        "replicas": item.replicas,
        "shared_with": list(item.shared_with),
        "cost_per_hour": money(item.cost_per_hour),
        "fully_served": item.fully_served,
        "estimate": None if item.estimate is None else item.estimate.value,
        "binding": item.binding,
        "count_limit": item.count_limit.value,
        "spare_replicas": item.spare_replicas,
        "spare_for": [rule.value for rule in item.spare_for],
        "choice_limit": None if item.choice_limit is None else item.choice_limit.value,
        "keep_accelerator": item.keep_accelerator,
        "preferred": None if item.preferred is None else _option(item.preferred),
        "margins": [_margin(margin) for margin in item.margins],
        "load_headroom": known(item.load_headroom),
        "runner_up": None if item.runner_up is None else _forbidden(item.runner_up),
        "forbidden": [_forbidden(each) for each in item.forbidden],
        "options": [_option(each) for each in item.options],
        "replica_range": None if item.replica_range is None else _range(item.replica_range),
    }


def _margin(item: LatencyMargin) -> Json:
    return {
        "statistic": item.statistic,
        "predicted_ms": known(item.predicted_ms),
        "target_ms": item.target_ms,
        "margin_ms": known(item.margin_ms),
        "margin_share": known(item.margin_share),
    }


def _option(item: Option) -> Json:
    return {
        "accelerator": item.accelerator,
        "replicas": item.replicas,
        "max_batch": item.max_batch,
        "configuration": item.configuration or None,
        "prefill_replicas": item.prefill_replicas,
        "cost_per_hour": money(item.cost_per_hour),
        "value": money(item.value),
        "cards": item.cards,
        "card_type": item.card_type,
        "fits": item.fits,
        "enough_cards": item.enough_cards,
    }


def _own(item: OwnAllocation) -> Json:
    return {
        "served": item.served,
        "cost_per_hour": money(item.cost_per_hour),
        "value": money(item.value),
        "pools": dict(item.placements),
        "shared_with": list(item.shared_with),
        "parts": [
            {
                "accelerator": part.accelerator,
                "replicas": part.replicas,
                "max_batch": part.max_batch,
                "configuration": part.configuration or None,
                "prefill_replicas": part.prefill_replicas,
            }
            for part in item.parts
        ],
    }


def _change(item: PlanChange) -> Json:
    return {
        "evidence": item.evidence.value,
        "served_change": _by_priority(item.served_change),
        "value_change": money(item.value_change),
        "cost_change": money(item.cost_change),
        "value_change_error": {"below": money(item.below), "above": money(item.above)},
        "no_longer_served": list(item.no_longer_served),
        "newly_served": list(item.newly_served),
        "moved": list(item.moved),
        "objectives": [
            {"name": each.name, "change": each.change, "unit": each.unit}
            for each in item.objectives
        ],
    }


def _forbidden(item: Forbidden) -> Json:
    return {
        "without": item.accelerator,
        "without_sharing_with": list(item.shared_with),
        "own": _own(item.own),
        "own_cost_change": money(item.own_cost_change),
        "plan": _change(item.change),
    }


def _range(item: ReplicaRange) -> Json:
    return {
        "error": item.error,
        "source": item.source,
        "fewest": item.fewest,
        "most": item.most,
        "missed": [_margin(margin) for margin in item.missed],
        "blocking": known(item.blocking),
        "short_cost_per_hour": money(item.short_cost_per_hour),
        "spare_cost_per_hour": money(item.spare_cost_per_hour),
    }


def _shadow(item: ShadowPrice) -> Json:
    return {
        "kind": item.kind,
        "of": item.of,
        "amount": item.amount,
        "used": item.used,
        "available": item.available,
        "plan": _change(item.change),
    }


def _unplaced(item: UnplacedExplanation) -> Json:
    return {
        "reason": item.reason.value,
        "detail": item.detail,
        "remedy": item.remedy,
        "reachable": [
            {
                "scope": each.scope.value,
                "factor": each.factor,
                "targets_ms": dict(each.targets_ms),
                "own": _own(each.own),
            }
            for each in item.reachable
        ],
        "loads": [
            {
                "scope": each.scope.value,
                "share": each.share,
                "arrival_rate_rps": each.arrival_rate_rps,
                "own": _own(each.own),
            }
            for each in item.loads
        ],
        "purchases": [
            {
                "card_type": each.card_type,
                "cards": each.cards,
                "own": _own(each.own),
                "cost_change": money(each.cost_change),
            }
            for each in item.purchases
        ],
    }


def _regret(item: Regret) -> Json:
    return {
        "profiles": item.profiles,
        "unknown": item.unknown,
        "missed": list(item.missed),
        "slower": _change(item.slower),
        "faster": _change(item.faster),
    }


def _brief(item: PlannedAllocation | None) -> Json | None:
    if item is None:
        return None
    return {
        "accelerator": item.accelerator,
        "configuration": item.configuration or None,
        "prefill_replicas": item.prefill_replicas,
        "replicas": item.replicas,
        "max_batch": item.max_batch,
        "shared_with": list(item.shared_with),
        "pools": {part.pool: part.replicas for part in item.placements},
        "cost_per_hour": money(item.cost_per_hour),
        "fully_served": item.fully_served,
        "mix": [
            {
                "accelerator": part.accelerator,
                "configuration": part.configuration or None,
                "replicas": part.replicas,
            }
            for part in item.mix
        ],
    }


def _cause(item: Cause) -> Json:
    return {
        "kind": item.kind.value,
        "of": item.of or None,
        "before": item.before or None,
        "after": item.after or None,
    }


def _by_priority(counts: Mapping[int, int]) -> Json:
    return {str(priority): count for priority, count in counts.items()}
