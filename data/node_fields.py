"""Nodes in documents: their schema, checks beyond it, and the values of the domain."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from data.document import entries, number_at, text_at
from data.fields import Count, Name, StrictModel
from data.problems import Finding
from data.wording import Loc, shown
from stoker.domain.nodes import LinkGroup, Node

MOST_CARDS = 1024
"""Cards that one node may have."""

MOST_NODES = 100_000
"""Nodes that a document may tell of."""

_NodeCards = Annotated[int, Field(ge=1, le=MOST_CARDS)]


class LinkGroupEntry(StrictModel):
    """Cards that NVLink, a PCIe switch or the like joins."""

    cards: _NodeCards = Field(description="Cards in it.")
    cards_taken: Count = Field(0, description="Cards of it that something else holds already.")


class NodeEntry(StrictModel):
    """A node, or several that are alike."""

    name: Name = Field(
        description="Unique name; with `count`, what the names `name-1`, `name-2`, ... start with.",
        examples=["gpu-a"],
    )
    count: Annotated[int, Field(ge=1, le=MOST_NODES)] | None = Field(
        None, description="Nodes that are like this; one, of just that name, where left out."
    )
    card_type: Name = Field(description="Type of its cards, as in `capacity`.")
    cards: _NodeCards = Field(description="Cards on it.")
    cards_taken: Count | None = Field(
        None, description="Cards that something else holds already; with `link_groups`, told there."
    )
    link_groups: Annotated[list[LinkGroupEntry], Field(min_length=1)] | None = Field(
        None,
        description="Groups that all its cards form; a single one, where left out. A card that is "
        "joined to no other is a group of one.",
    )
    zone: Name | None = Field(
        None, description="What it may fail together with, e.g. a rack or a zone of a cloud."
    )
    pool: Name | None = Field(
        None, description="Pool of the fleet that its cards belong to; see its `pools`."
    )


def check_nodes(value: Mapping[str, object]) -> Iterator[Finding]:
    """Yield what is wrong with the section `nodes` of a document, beyond its types."""
    first: dict[str, Loc] = {}
    told = list(entries(value, "nodes"))
    total = sum(_count(entry) for _, entry in told)
    if total > MOST_NODES:
        yield Finding(
            ("nodes",),
            f"the entries stand for {shown(total)} nodes",
            f"at most {shown(MOST_NODES)}",
        )
        return
    for loc, entry in told:
        yield from _check_cards(loc, entry)
        for name in _names(entry):
            if name in first:
                yield Finding(
                    (*loc, "name"), f"the name {shown(name)} is already used", "a name of its own"
                )
                break
            first[name] = loc


def _check_cards(loc: Loc, entry: Mapping[str, object]) -> Iterator[Finding]:
    cards = number_at(entry, "cards")
    groups = [(inner, group) for inner, group in entries(entry, "link_groups")]
    for at, holder in [((), entry), *groups]:
        own, taken = number_at(holder, "cards"), number_at(holder, "cards_taken")
        if own is not None and taken is not None and taken > own:
            yield Finding(
                (*loc, *at, "cards_taken"),
                f"{shown(taken)} is more than cards, {shown(own)}",
                f"at most {shown(own)}",
            )
    if not groups:
        return
    if entry.get("cards_taken") is not None:
        yield Finding(
            (*loc, "cards_taken"),
            "cannot stand beside link_groups, as it does not tell which group they are of",
            "cards_taken of each link group",
        )
    sizes = [number_at(group, "cards") for _, group in groups]
    known = [size for size in sizes if size is not None]
    if cards is not None and len(known) == len(sizes) and sum(known) != cards:
        yield Finding(
            (*loc, "link_groups"),
            f"the groups hold {shown(sum(known))} cards, and the node {shown(cards)}",
            "every card in one group; a card that is joined to no other is a group of one",
        )


def _count(entry: Mapping[str, object]) -> int:
    count = entry.get("count")
    # What is no count of one entry is told by its own check.
    return count if type(count) is int and 1 <= count <= MOST_NODES else 1


def _names(entry: Mapping[str, object]) -> Iterable[str]:
    name, count = text_at(entry, "name"), number_at(entry, "count")
    if name is None:
        return ()
    if isinstance(count, int) and 1 <= count <= MOST_NODES:
        return (f"{name}-{number}" for number in range(1, count + 1))
    return (name,)


def nodes_from_entries(found: Iterable[NodeEntry]) -> tuple[Node, ...]:
    """Return the nodes that validated entries stand for."""
    return tuple(
        Node(name, entry.card_type, _groups(entry), entry.zone, entry.pool)
        for entry in found
        for name in (
            [entry.name]
            if entry.count is None
            else [f"{entry.name}-{number}" for number in range(1, entry.count + 1)]
        )
    )


def _groups(entry: NodeEntry) -> tuple[LinkGroup, ...]:
    if entry.link_groups is None:
        return (LinkGroup(entry.cards, entry.cards_taken or 0),)
    return tuple(LinkGroup(group.cards, group.cards_taken) for group in entry.link_groups)


def node_to_document(node: Node) -> dict[str, object]:
    """Return an entry of one node; values at their defaults are left out."""
    document: dict[str, object] = {
        "name": node.name,
        "card_type": node.card_type,
        "cards": node.cards,
    }
    if len(node.groups) > 1:
        document["link_groups"] = [
            {"cards": group.cards} | ({"cards_taken": group.taken} if group.taken else {})
            for group in node.groups
        ]
    elif node.taken:
        document["cards_taken"] = node.taken
    if node.zone is not None:
        document["zone"] = node.zone
    if node.pool is not None:
        document["pool"] = node.pool
    return document


def nodes_section(nodes: Iterable[Node]) -> list[dict[str, object]]:
    """Return the entries of nodes; alike ones named ``x-1``, ``x-2``, ... in a row as one entry."""
    section: list[dict[str, object]] = []
    first: Node | None = None
    stem, count = "", 0
    for node in nodes:
        alike = first is not None and replace(node, name=first.name) == first
        if alike and count and node.name == f"{stem}-{count + 1}" and count < MOST_NODES:
            count += 1
            section[-1] = {"name": stem, "count": count, **_without_name(section[-1])}
            continue
        section.append(node_to_document(node))
        numbered = re.fullmatch(r"(.+)-1", node.name, re.DOTALL)
        first, stem, count = node, numbered[1] if numbered else "", 1 if numbered else 0
    return section


def _without_name(entry: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in entry.items() if key not in ("name", "count")}


def free_cards(nodes: Iterable[Node]) -> dict[str, int]:
    """Return the cards of each type that are free on nodes."""
    free: dict[str, int] = {}
    for node in nodes:
        free[node.card_type] = free.get(node.card_type, 0) + node.free
    return free
