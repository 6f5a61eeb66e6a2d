"""The difference of two plans in words: what it costs, who is served, and each server's change."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.explaining.plan_words import names_of, replicas_words, signed
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.plan_difference import (
    Cause,
    CauseKind,
    PlanDifference,
    ServerChange,
    ServerDifference,
)


def total_words(difference: PlanDifference) -> Iterator[str]:
    """Yield what changes of the plan as a whole, a line each."""
    yield (
        f"cost {difference.cost_before:,.2f} → {difference.cost_after:,.2f} "
        f"{difference.currency}/h ({signed(difference.cost_change)})"
    )
    before, after = difference.served_before, difference.served_after
    for priority in sorted({*before, *after}):
        if before.get(priority, 0) != after.get(priority, 0):
            yield (
                f"priority {priority}: {before.get(priority, 0)} → {after.get(priority, 0)} "
                "servers served in full"
            )
    if difference.newly_served:
        yield f"newly served: {names_of(difference.newly_served)}"
    if difference.no_longer_served:
        yield f"no longer served: {names_of(difference.no_longer_served)}"
    if difference.cards:
        cards = ", ".join(f"{name} {change:+,}" for name, change in difference.cards.items())
        yield f"cards used: {cards}"
    for cause in difference.causes:
        yield cause_words(cause)
    unchanged = _servers(difference.unchanged)
    if not difference.servers:
        yield f"{unchanged} as before: nothing changes"
    else:
        yield f"{_servers(len(difference.servers))} changed, {unchanged} as before"


def server_words(item: ServerDifference, currency: str) -> str:
    """Return what changes of a server: ``chat: 2 × A100 → 3 × A100 (+4.00 USD/h)``."""
    before, after = allocation_words(item.before), allocation_words(item.after)
    cost = signed(item.cost_change, currency)
    match item.change:
        case ServerChange.ADDED:
            return f"{item.server}: new, {after} ({cost})"
        case ServerChange.REMOVED:
            return f"{item.server}: gone, had {before} ({cost})"
        case ServerChange.LOST:
            return f"{item.server}: no longer served in full, {before} → {after} ({cost})"
        case ServerChange.SERVED:
            return f"{item.server}: served in full now, {before} → {after} ({cost})"
        case ServerChange.MOVED:
            return f"{item.server}: moved from {before} to {after} ({cost})"
        case ServerChange.SHARED | ServerChange.RESIZED:
            return f"{item.server}: {before} → {after} ({cost})"
        case ServerChange.PLACED:
            places = f"{_places(item.before)} → {_places(item.after)}"
            return f"{item.server}: {after}, {places} ({cost})"
        case ServerChange.CHANGED:
            return f"{item.server}: {before}, changed ({cost})"


def because_words(item: ServerDifference) -> str:
    """Return why a server's allocation may have changed; empty where nothing is told."""
    causes = "; ".join(cause_words(cause) for cause in item.causes)
    return f"because {causes}" if causes else ""


def difference_words(difference: PlanDifference) -> tuple[str, ...]:
    """Return a difference in words, a sentence each: the plan as a whole, then each server."""
    lines = list(total_words(difference))
    for item in difference.servers:
        because = because_words(item)
        headline = server_words(item, difference.currency)
        lines.append(f"{headline}, {because}" if because else headline)
    return tuple(lines)


def allocation_words(item: PlannedAllocation | None) -> str:
    """Return what a server has: ``3 × H100 (tp2)``, ``2 × A100 + 1 × L4``, ``nothing``.

    Of replicas that others are on as well, they are named: ``2 × L4, shared with chat``.
    """
    if item is None or item.accelerator is None:
        return "nothing"
    if item.mix:
        return " + ".join(
            replicas_words(part.replicas, part.accelerator, part.configuration) for part in item.mix
        )
    words = replicas_words(
        item.replicas, item.accelerator, item.configuration, prefill=item.prefill_replicas
    )
    return f"{words}, shared with {names_of(item.shared_with)}" if item.shared_with else words


def cause_words(cause: Cause) -> str:
    """Return a cause as the end of a sentence."""
    change = f"{cause.before} → {cause.after}"
    match cause.kind:
        case CauseKind.LOAD:
            return f"its load changed: {change} requests/s"
        case CauseKind.TARGETS:
            return f"its targets changed: {change}"
        case CauseKind.PRICE:
            return f"a replica's price changed: {change} an hour"
        case CauseKind.CARRIES:
            return f"a replica carries otherwise: {change} requests/s"
        case CauseKind.BATCH:
            return f"its batch limit changed: {change}"
        case CauseKind.CARDS:
            return f"the cards of {cause.of} changed: {change}"
        case CauseKind.POOL:
            return f"the cards of pool {cause.of} changed: {change}"
        case CauseKind.ANALYSIS:
            return f"the analysis changed: {change}"
        case CauseKind.METHOD:
            return f"the method changed: {change}"
        case CauseKind.SURGE:
            return f"the surge changed: {change} times every load"
        case CauseKind.LIMIT:
            return f"the limit {cause.of} changed: {change}"
        case CauseKind.OBJECTIVES:
            return f"what is to be best changed: {change}"
        case CauseKind.OTHERS:
            return "others changed: its own load, targets and prices are the same"
        case CauseKind.UNTOLD:
            return "something changed that plans do not tell, such as a profile or a setting"


def _places(item: PlannedAllocation | None) -> str:
    """Return where replicas stand: ``2 in east, 1 in west``."""
    placements = () if item is None else item.placements
    return ", ".join(f"{part.replicas:,} in {part.pool}" for part in placements)


def _servers(count: int) -> str:
    return f"{count:,} server{'' if count == 1 else 's'}"
