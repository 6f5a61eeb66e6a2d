"""Nodes: machines with cards of one type, and the groups of cards that are joined."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LinkGroup:
    """Cards that NVLink, a PCIe switch or the like joins.

    Attributes:
        cards: Number of cards in it.
        taken: How many of them something else holds already.
    """

    cards: int
    taken: int = 0

    @property
    def free(self) -> int:
        """Number of cards that a replica may take."""
        return self.cards - self.taken


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of a fleet.

    Attributes:
        name: Unique name.
        card_type: Type of its cards, as capacity counts them.
        groups: Groups that its cards form, each card in one; a single group where every card
            reaches every other alike.
        zone: What it may fail together with; None where unknown. Nodes of no known zone are taken
            as one zone.
        pool: Name of the pool that its cards belong to; None where that is not told.
    """

    name: str
    card_type: str
    groups: tuple[LinkGroup, ...]
    zone: str | None = None
    pool: str | None = None

    @property
    def cards(self) -> int:
        """Number of its cards."""
        return sum(group.cards for group in self.groups)

    @property
    def taken(self) -> int:
        """Number of its cards that something else holds already."""
        return sum(group.taken for group in self.groups)

    @property
    def free(self) -> int:
        """Number of its cards that replicas may take."""
        return self.cards - self.taken

    @property
    def largest_group(self) -> int:
        """Cards of its largest group, taken or not."""
        return max((group.cards for group in self.groups), default=0)


def natural_order(name: str) -> tuple[tuple[bool, int, str], ...]:
    """Return a key that sorts names as people count: ``node-2`` before ``node-10``."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    # Numbers of equal size with more leading zeros are told apart by their text.
    return tuple(
        (not part[0].isdigit(), int(part) if part[0].isdigit() else 0, part) for part in parts
    )
