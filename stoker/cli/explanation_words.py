"""An explanation in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from optimizer.explaining.plan_words import names_of, replicas_words, signed
from stoker.cli.figures import count_of, duration_ms, money, target_ms
from stoker.cli.spare_words import spare_words
from stoker.domain.explanation import (
    AllocationExplanation,
    ChoiceLimit,
    CountLimit,
    Forbidden,
    LatencyMargin,
    Regret,
    ReplicaRange,
    ShadowPrice,
)
from stoker.domain.latency import MEAN, Latency
from stoker.domain.limits import ObjectiveName
from stoker.domain.plan_change import Evidence, ObjectiveChange, OwnAllocation, PlanChange
from stoker.domain.profile import EstimateKind
from stoker.domain.unplaced_explanation import (
    FittingLoad,
    ReachableTargets,
    Scope,
    UnplacedExplanation,
)

_CENT = 0.005
_COST = ObjectiveName.COST.value


def statistic_words(path: str) -> str:
    """Return a statistic in words: ``p95 ITL`` for ``itl_ms.p95``; other words stay."""
    shorts = {latency.value: latency.short for latency in Latency}
    key, _, statistic = path.partition(".")
    if key not in shorts:
        return path
    return f"{'mean' if statistic == MEAN else statistic} {shorts[key]}"


def percent(share: float) -> str:
    """Return a share in percent, to two digits below ten."""
    figure = 100 * share
    return f"{figure:.1f}%" if abs(figure) < 10 else f"{figure:,.0f}%"


def own_words(own: OwnAllocation) -> str:
    """Return what a server gets: ``3 × H100``, ``2 × A100 + 1 × L4``, ``nothing``."""
    parts = [
        replicas_words(
            part.replicas, part.accelerator, part.configuration, prefill=part.prefill_replicas
        )
        for part in own.parts
        if part.accelerator
    ]
    words = " + ".join(parts) or ("nothing needed" if own.served else "nothing")
    return f"{words}, shared with {names_of(own.shared_with)}" if own.shared_with else words


def margin_words(item: LatencyMargin) -> str:
    """Return a latency beside its target: ``p95 ITL 38.1 of 40 ms (1.9 ms, 4.8% to spare)``."""
    name = statistic_words(item.statistic)
    margin, share = item.margin_ms, item.margin_share
    if margin is None or share is None:
        return f"{name}: target {target_ms(item.target_ms)} ms, prediction unknown"
    verdict = "to spare" if margin >= 0 else "over"
    return (
        f"{name} {duration_ms(item.predicted_ms)} of {target_ms(item.target_ms)} ms "
        f"({duration_ms(abs(margin))} ms, {percent(abs(share))} {verdict})"
    )


def tightest(margins: Sequence[LatencyMargin]) -> LatencyMargin | None:
    """Return the latency with the least share of its target to spare; None where none is known."""
    known = [(share, item) for item in margins if (share := item.margin_share) is not None]
    return min(known, key=lambda pair: pair[0])[1] if known else None


def allocation_sentences(item: AllocationExplanation, currency: str) -> Iterator[str]:
    """Yield why a server has what it has, a sentence a line."""
    yield from _bound(item)
    if item.shared_with:
        yield f"shared with {names_of(item.shared_with)}"
    if item.margins:
        yield "margins: " + "; ".join(map(margin_words, item.margins))
    yield from _choice(item, currency)
    for each in item.forbidden:
        yield forbidden_words(each, currency)
    if item.estimate not in (None, EstimateKind.DECLARED):
        yield f"its figures rest on a profile that is {item.estimate}"
    if item.replica_range is not None:
        yield range_words(item.replica_range, item.replicas, item.spare_replicas, currency)


def _bound(item: AllocationExplanation) -> Iterator[str]:
    match item.count_limit:
        case CountLimit.UNKNOWN_LOAD:
            yield "kept as it runs: its load is unknown"
            return
        case CountLimit.NOTHING:
            yield "needs nothing"
            return
        case CountLimit.RUNNING:
            yield "left as it runs, though it is not served in full: all else would be a change"
            return
        case CountLimit.CARDS:
            short = "" if item.load_headroom is None else f" {percent(-item.load_headroom)} of"
            yield f"best effort with what is left: lacks{short or ' a part of'} what it needs"
        case CountLimit.MINIMUM:
            yield "as many replicas as its minimum asks for; the load needs fewer"
        case CountLimit.SPARE:
            yield spare_words(item)
        case CountLimit.SURGE:
            yield (
                "one replica less would carry the load, but not the surge that is planned for, "
                f"{item.surge:g} times the load"
            )
        case CountLimit.LOAD:
            times = "" if item.surge == 1.0 else f" {item.surge:g} times over, as the surge asks"
            more = (
                ""
                if item.load_headroom is None
                else f", and carry {percent(item.load_headroom)} more"
            )
            yield f"one replica less would not carry the load{times}; these do{more}"
    if item.binding is not None:
        yield f"{statistic_words(item.binding)} keeps a replica from carrying more"


def _choice(item: AllocationExplanation, currency: str) -> Iterator[str]:
    if item.choice_limit is ChoiceLimit.ONLY_ONE and item.keep_accelerator:
        yield "it must stay on the accelerator that it runs on (keep_accelerator)"
    elif item.choice_limit is ChoiceLimit.ONLY_ONE:
        yield "no other accelerator can serve it"
    elif item.choice_limit is ChoiceLimit.LEAST_VALUE:
        dearer = all(each.cost_per_hour >= item.cost_per_hour - _CENT for each in item.options)
        counting = "" if dearer else ", counting the change"
        yield f"no other candidate of it costs less{counting}"
    elif item.preferred is not None and item.accelerator is not None:
        preferred = item.preferred
        saved = item.cost_per_hour - preferred.cost_per_hour
        why = f"{preferred.card_type} cards are short, and others need them or save more with them"
        if preferred.fits:
            why = (
                "the cards would be there, but limits, aims or places of the plan decide otherwise"
            )
        elif not preferred.enough_cards:
            cards = count_of(preferred.cards, "card")
            why = f"it takes {cards} of {preferred.card_type}, more than there are"
        less = f"{money(saved)} {currency}/h less" if saved > 0 else "less, counting the change,"
        other = replicas_words(
            preferred.replicas,
            preferred.accelerator or "",
            preferred.configuration,
            prefill=preferred.prefill_replicas,
        )
        yield f"{other} would cost {less}: {why}"


def forbidden_words(item: Forbidden, currency: str) -> str:
    """Return what happens without an accelerator, or apart: own and plan's difference."""
    barred = item.accelerator
    if item.shared_with:
        barred = f"sharing in this set ({names_of(item.shared_with)})"
    opening = f"without {barred}: {own_words(item.own)}"
    if item.own_cost_change is not None:
        opening += f", {signed(item.own_cost_change, currency)} for itself"
    return f"{opening}; {change_words(item.change, currency)}"


def change_words(change: PlanChange, currency: str) -> str:
    """Return what becomes of the plan: whom it serves, and the value."""
    parts = []
    if change.no_longer_served:
        parts.append(f"the plan no longer serves {names_of(change.no_longer_served)}")
    if change.newly_served:
        parts.append(f"the plan serves {names_of(change.newly_served)} in addition")
    if not change.served_change:
        parts += [objective_words(each) for each in objectives_moved(change)]
        parts.append(f"{signed(change.value_change, currency)} for the plan{_doubt(change)}")
    else:
        parts.append(f"cost {signed(change.cost_change, currency)}")
    if change.moved:
        parts.append(f"{count_of(len(change.moved), 'other server')} would change")
    return ", ".join(parts)


def objectives_moved(change: PlanChange) -> tuple[ObjectiveChange, ...]:
    """Return what a plan is better or worse at, beside cost, which is told as money."""
    return tuple(each for each in change.objectives if each.change and each.name != _COST)


def objective_words(item: ObjectiveChange) -> str:
    """Return the change of what is minimized: ``energy -17.2 W``."""
    return f"{item.name} {item.change:+,.4g} {item.unit}"


def _doubt(change: PlanChange) -> str:
    """Return how exact a difference is, where that is not to the cent."""
    if change.evidence is Evidence.RELAXED:
        return " (linear relaxation)"
    if change.below is None or change.above is None:
        return " (unproven)"
    if max(change.below, change.above) < _CENT:
        return ""
    return f" (-{money(change.below)}/+{money(change.above)}: the gap)"


def range_words(item: ReplicaRange, planned: int, spare: int, currency: str) -> str:
    """Return the range of replicas, and what is missed or overpaid at its ends.

    Args:
        item: The range.
        planned: Replicas of the plan.
        spare: How many of them are beyond what the load needs.
        currency: Currency of all money.
    """
    most = "no number" if item.most is None else f"{item.most:,}"
    fewest = "?" if item.fewest is None else f"{item.fewest:,}"
    text = f"profile off by {percent(item.error)}: {fewest} to {most} replicas, planned {planned:,}"
    if item.missed:
        worst = "; ".join(
            f"{statistic_words(each.statistic)} {duration_ms(each.predicted_ms)} of "
            f"{target_ms(each.target_ms)} ms"
            for each in item.missed
        )
        text += f"; if slower, {worst}"
        if item.short_cost_per_hour:
            text += f", mended for {signed(item.short_cost_per_hour, currency)}"
    elif item.short_cost_per_hour:
        more = signed(item.short_cost_per_hour, currency)
        kept = "the spare ones" if spare else "the margin that sizing leaves below targets"
        text += f"; if slower, {more} to keep {kept}"
    if item.spare_cost_per_hour:
        text += f"; if faster, {money(item.spare_cost_per_hour)} {currency}/h too much"
    return text


def shadow_words(item: ShadowPrice, currency: str) -> str:
    """Return what one more of something changes."""
    change = item.change
    same = not change.served_change and not objectives_moved(change)
    if same and change.value_change == 0:
        exact = change.evidence is Evidence.PROVEN
        return "changes nothing: everybody has the best already" if exact else "changes nothing"
    return change_words(change, currency)


def unplaced_sentences(item: UnplacedExplanation, currency: str) -> Iterator[str]:
    """Yield what would serve a server that is not served."""
    yield f"{item.reason.value}: {item.detail}"
    for nearest in item.reachable:
        yield _reachable_words(nearest)
    for load in item.loads:
        yield _load_words(load)
    if item.purchases:
        parts = [
            f"{count_of(each.cards, 'card')} of {each.card_type} "
            f"({own_words(each.own)}, {signed(each.cost_change, currency)})"
            for each in item.purchases
        ]
        yield "cards to buy, the fewest of one type that it can run on: " + "; or ".join(parts)
    yield f"remedy: {item.remedy}"


def _reachable_words(item: ReachableTargets) -> str:
    targets = ", ".join(
        f"{statistic_words(path)} {duration_ms(limit)} ms"
        for path, limit in item.targets_ms.items()
    )
    return (
        f"nearest targets {_scope(item.scope)}: × {item.factor:g} ({targets}), "
        f"with {own_words(item.own)}"
    )


def _load_words(item: FittingLoad) -> str:
    return (
        f"load that would fit {_scope(item.scope)}: {percent(item.share)} "
        f"({item.arrival_rate_rps:.4g} requests/s), with {own_words(item.own)}"
    )


def _scope(scope: Scope) -> str:
    if scope is Scope.CARDS_LEFT:
        return "with the cards left"
    return "if others may move"


def regret_sentences(item: Regret, currency: str) -> Iterator[str]:
    """Yield what the plan fails or overpays if the profiles are off."""
    known = count_of(item.profiles, "profile")
    unknown = f"; of {item.unknown:,} more the error is unknown" if item.unknown else ""
    yield f"{known} off by the error each{unknown}"
    missed = names_of(item.missed) if item.missed else "nobody"
    yield f"if all are slower, {missed} would miss a target; planned for that: " + _regret_change(
        item.slower, currency
    )
    yield "if all are faster, planned for that: " + _regret_change(item.faster, currency)


def _regret_change(change: PlanChange, currency: str) -> str:
    if not change.served_change:
        return f"{signed(change.cost_change, currency)}"
    return change_words(change, currency)
