"""Servers that may share replicas in documents: schema, checks beyond it, and domain values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated

from pydantic import Field

from data.document import Document, entries, text_at
from data.fields import Name, StrictModel
from data.name_checks import repeated, unresolved
from data.problems import Finding
from data.wording import shown
from stoker.domain.sharing import SharingGroup

MOST_SERVERS = 12
"""Servers of one group: more have too many ways to share."""

_ALIKE = (
    ("model", "model", None),
    ("router", "router", "random"),
)
"""What servers on common replicas must agree in: key, word, value where it is left out."""


class SharingEntry(StrictModel):
    """Servers of one model that may share replicas, some of them or all."""

    name: Name = Field(description="Unique name.", examples=["llama"])
    servers: Annotated[list[Name], Field(min_length=2, max_length=MOST_SERVERS)] = Field(
        description="Names of entries of `servers`, of one model and behind one kind of router.",
        examples=[["chat", "mail"]],
    )
    priorities: bool = Field(
        False,
        description="Whether the engine admits requests by the priority of their service class; "
        "first come, first served, where left out.",
    )

    def to_domain(self) -> SharingGroup:
        """Return the group of a checked entry."""
        return SharingGroup(self.name, tuple(self.servers), self.priorities)


def check_sharing(document: Document, value: Mapping[str, object]) -> Iterator[Finding]:
    """Yield what is wrong with the section `sharing` of a document, beyond its types."""
    groups = list(entries(value, "sharing"))
    yield from repeated(
        document,
        [
            ((*loc, "name"), name, f"the name {shown(name)}")
            for loc, group in groups
            if (name := text_at(group, "name")) is not None
        ],
    )
    servers = {
        name: entry
        for _, entry in entries(value, "servers")
        if (name := text_at(entry, "name")) is not None
    }
    told = [
        ((*loc, "servers", index), name)
        for loc, group in groups
        if isinstance(group.get("servers"), list)
        for index, name in enumerate(_list(group.get("servers")))
        if isinstance(name, str)
    ]
    yield from repeated(document, [(loc, name, f"the server {shown(name)}") for loc, name in told])
    known = dict.fromkeys(servers)
    for loc, name in told:
        yield from unresolved(loc, name, known, "server")
        if name in servers:
            yield from _check_member(loc, servers[name])
    for loc, group in groups:
        names = [
            name
            for name in _list(group.get("servers"))
            if isinstance(name, str) and name in servers
        ]
        for key, word, usual in _ALIKE:
            found = {text_at(servers[name], key) or usual: name for name in reversed(names)}
            if len(found) > 1:
                told_words = ", ".join(f"{shown(own)} ({name})" for own, name in found.items())
                yield Finding(
                    (*loc, "servers"),
                    f"they have more than one {word}: {told_words}",
                    f"servers with the same {word}",
                )


def _check_member(loc: tuple[str | int, ...], server: Mapping[str, object]) -> Iterator[Finding]:
    if server.get("max_batch") == "auto":
        yield Finding(
            loc,
            "its max_batch is auto, which is chosen for a server alone",
            "a server whose max_batch is a number, a list, or left out",
        )
    serving = server.get("serving")
    if isinstance(serving, list) and "disaggregated" in serving:
        yield Finding(
            loc,
            "it may be served disaggregated, which common replicas cannot be",
            "a server that is served aggregated alone",
        )


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def sharing_section(groups: Iterable[SharingGroup]) -> list[dict[str, object]]:
    """Return the entries of groups; values at their defaults are left out."""
    return [
        {"name": group.name, "servers": list(group.servers)}
        | ({"priorities": True} if group.priorities else {})
        for group in groups
    ]
