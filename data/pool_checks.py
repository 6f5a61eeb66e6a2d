"""Checks of pools, limits and objectives across a document, beyond the types of their fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from data.document import Document, entries, mapping_at, number_at, text_at
from data.name_checks import repeated, unresolved
from data.problems import Finding
from data.wording import Loc, shown


def check_pools(document: Document, value: Mapping[str, object]) -> Iterator[Finding]:
    """Yield what is wrong with pools, quotas, objectives, and what servers ask of pools."""
    pools = list(entries(value, "pools"))
    yield from repeated(
        document,
        [
            ((*loc, "name"), name, f"the name {shown(name)}")
            for loc, pool in pools
            if (name := text_at(pool, "name")) is not None
        ],
    )
    for loc, pool in pools:
        yield from _check_pool(loc, pool, value)
    yield from _check_capacity(value)
    yield from _check_objectives(value)
    yield from _check_wishes(value)


def _check_pool(
    loc: Loc, pool: Mapping[str, object], value: Mapping[str, object]
) -> Iterator[Finding]:
    types = _card_types(value)
    if types is not None:
        name = text_at(pool, "card_type")
        yield from unresolved((*loc, "card_type"), name, types, "card type of an accelerator")
    quotas = mapping_at(value, "quotas") or {}
    group = text_at(pool, "quota_group")
    yield from unresolved((*loc, "quota_group"), group, dict.fromkeys(quotas), "quota")
    if pool.get("price_per_card_hour") is not None and pool.get("price_factor") is not None:
        yield Finding(
            (*loc, "price_factor"),
            "stands beside price_per_card_hour, which decides the price alone",
            "one of price_per_card_hour and price_factor",
        )
    if number_at(pool, "interruptions_per_hour") and text_at(pool, "price_kind") != "spot":
        yield Finding(
            (*loc, "interruptions_per_hour"),
            "is told of cards that are not spot, which nobody takes away",
            "price_kind: spot, or no interruptions_per_hour",
        )
    nodes = pool.get("nodes")
    cards = number_at(pool, "cards")
    if isinstance(nodes, list) and nodes and cards is not None:
        told = [_node_cards(node) for node in nodes]
        known = [item for item in told if item is not None]
        if len(known) == len(told) and sum(known) != cards:
            yield Finding(
                (*loc, "nodes"),
                f"the nodes hold {shown(sum(known))} cards, and the pool {shown(cards)}",
                "nodes with all cards of the pool",
            )


def _node_cards(node: object) -> float | None:
    if not isinstance(node, dict):
        return None
    count, cards = number_at(node, "count"), number_at(node, "cards")
    return None if cards is None else cards * (1 if count is None else count)


def _card_types(value: Mapping[str, object]) -> dict[str, None] | None:
    """Return the card types of accelerators, or None where those cannot all be read."""
    section = value.get("accelerators")
    if not isinstance(section, list):
        return None
    found = [
        text_at(entry, "card_type") or text_at(entry, "name")
        for _, entry in entries(value, "accelerators")
    ]
    known = dict.fromkeys(name for name in found if name is not None)
    return known if len(found) == len(section) and None not in found else None


def _check_capacity(value: Mapping[str, object]) -> Iterator[Finding]:
    """A card type is counted in one place, or the same in both."""
    capacity = mapping_at(value, "capacity") or {}
    sums: dict[str, float] = {}
    for _, pool in entries(value, "pools"):
        name, cards = text_at(pool, "card_type"), number_at(pool, "cards")
        if name is not None and cards is not None:
            sums[name] = sums.get(name, 0) + cards
    for name, cards in sums.items():
        told = number_at(capacity, name)
        if told is not None and told != cards:
            yield Finding(
                ("capacity", name),
                f"{shown(told)} is not the {shown(cards)} cards that its pools hold",
                f"no count, or {shown(cards)}",
            )


def _check_objectives(value: Mapping[str, object]) -> Iterator[Finding]:
    found = list(entries(value, "objectives"))
    weighted = [entry.get("weight") is not None for _, entry in found]
    seen: dict[str, None] = {}
    for (loc, entry), own in zip(found, weighted, strict=True):
        name = text_at(entry, "name")
        if name is not None and name in seen:
            yield Finding(
                (*loc, "name"), f"the objective {shown(name)} is named twice", "each once"
            )
        if name is not None:
            seen[name] = None
        if any(weighted) and not own:
            yield Finding(
                (*loc, "weight"),
                "is missing, though another objective has one",
                "a weight of every objective, or of none",
            )
        if any(weighted) and entry.get("tolerance") is not None:
            yield Finding(
                (*loc, "tolerance"),
                "means nothing beside weights, which are added up",
                "objectives without weights, in order",
            )


def _check_wishes(value: Mapping[str, object]) -> Iterator[Finding]:
    names = [text_at(pool, "name") for _, pool in entries(value, "pools")]
    pooled = {text_at(pool, "card_type") for _, pool in entries(value, "pools")}
    alone = [name for name in mapping_at(value, "capacity") or {} if name not in pooled]
    known = dict.fromkeys([*(name for name in names if name is not None), *alone])
    for loc, server in entries(value, "servers"):
        for key in ("pools", "prefer_pools"):
            asked = server.get(key)
            for index, name in enumerate(asked if isinstance(asked, list) else []):
                if isinstance(name, str):
                    yield from unresolved((*loc, key, index), name, known, "pool")
        for key in ("current", "desired"):
            told = mapping_at(server, key)
            if told is not None:
                yield from _check_standing((*loc, key), told, known)


def _check_standing(
    loc: Loc, told: Mapping[str, object], known: dict[str, None]
) -> Iterator[Finding]:
    """Replicas that run stand in pools that there are, all of them."""
    counts = mapping_at(told, "pools")
    if counts is None:
        return
    for name in counts:
        yield from unresolved((*loc, "pools", name), name, known, "pool")
    replicas = number_at(told, "replicas")
    standing = [number_at(counts, name) for name in counts]
    total = sum(count for count in standing if count is not None)
    if None not in standing and replicas is not None and total != replicas:
        yield Finding(
            (*loc, "pools"),
            f"{shown(total)} replicas stand in pools, and {shown(replicas)} run",
            "pools of all replicas, or none",
        )
