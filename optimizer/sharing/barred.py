"""What servers may not do together, though the fleet allows it: for plans under an edit."""

from __future__ import annotations

from dataclasses import dataclass, replace

from optimizer.sharing.sets import SharedWay


@dataclass(frozen=True, slots=True)
class Barred:
    """Ways to share replicas that are not tried.

    Attributes:
        sets: Sets of servers, by index, that may not share replicas by themselves; larger and
            smaller sets may.
        uses: Servers with the accelerators, both by index, that they may share on with nobody.
        among: Servers that may share at all; None for everybody.
    """

    sets: frozenset[frozenset[int]] = frozenset()
    uses: frozenset[tuple[int, int]] = frozenset()
    among: frozenset[int] | None = None

    def allows(self, way: SharedWay) -> bool:
        """Return whether a way is tried."""
        if frozenset(way.members) in self.sets:
            return False
        if self.among is not None and not self.among.issuperset(way.members):
            return False
        return not any((member, way.accelerator) in self.uses for member in way.members)

    def and_set(self, members: frozenset[int]) -> Barred:
        """Return the same, with a set more."""
        return replace(self, sets=self.sets | {members})

    def and_use(self, server: int, accelerator: int) -> Barred:
        """Return the same, with an accelerator of a server more."""
        return replace(self, uses=self.uses | {(server, accelerator)})

    def only(self, servers: frozenset[int]) -> Barred:
        """Return the same, with nobody but these servers."""
        return replace(self, among=servers if self.among is None else self.among & servers)


NOTHING_BARRED = Barred()
"""Everything that the fleet allows is tried."""
