"""Pure changes of what servers are bound to, of quotas, and of what a plan is best at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from stoker.domain.fleet import Fleet
from stoker.domain.limits import Combination, Objective, ObjectiveName, Objectives
from stoker.domain.pools import NO_WISHES
from stoker.domain.profile import ModelProfile
from studies.sweeping.values import Value

OWN = "own"
"""The word for the fleet's own profiles."""


@dataclass(frozen=True, slots=True)
class ServerChange:
    """Change of a whole number that servers are bound to; the word ``none`` takes it away.

    Attributes:
        field: Field of `Server`.
        servers: Names of the servers.
    """

    field: str
    servers: frozenset[str]

    def apply(self, fleet: Fleet, value: Value) -> Fleet:
        """Return the fleet with that figure of the servers."""
        given: dict[str, object] = {self.field: _whole(value)}
        if self.field == "max_batch":
            # A limit that is given is neither derived nor chosen.
            given |= {"choose_batch": False, "batch_limits": ()}
        return replace(
            fleet,
            servers=tuple(
                replace(server, **given)  # type: ignore[arg-type]
                if server.name in self.servers
                else server
                for server in fleet.servers
            ),
        )


@dataclass(frozen=True, slots=True)
class SpreadChange:
    """Change of the zones that servers are spread over at least.

    Attributes:
        servers: Names of the servers.
    """

    servers: frozenset[str]

    def apply(self, fleet: Fleet, value: Value) -> Fleet:
        """Return the fleet with that wish."""
        zones = int(value.number or 1)
        wishes = dict(fleet.wishes)
        for server in fleet.servers:
            if server.name in self.servers:
                own = wishes.get(server.name, NO_WISHES)
                wishes[server.name] = replace(own, spread_zones=zones)
        return replace(fleet, wishes=wishes)


@dataclass(frozen=True, slots=True)
class QuotaChange:
    """Change of a quota, of a group of pools or of one pool; the word ``none`` lifts it.

    Attributes:
        name: Name of the group, or of the pool.
        of_group: Whether it is a group's.
    """

    name: str
    of_group: bool

    def apply(self, fleet: Fleet, value: Value) -> Fleet:
        """Return the fleet with that quota."""
        cards = _whole(value)
        if self.of_group:
            return _with_group(fleet, self.name, cards)
        pools = tuple(
            replace(pool, quota=cards) if pool.name == self.name else pool for pool in fleet.pools
        )
        return replace(fleet, pools=pools)


def _with_group(fleet: Fleet, name: str, cards: int | None) -> Fleet:
    """Return a fleet with that quota of a group, or without it: its pools may be given more yet."""
    if cards is not None:
        limited = (replace(q, cards=cards) if q.name == name else q for q in fleet.quotas)
        return replace(fleet, quotas=tuple(limited))
    pools = tuple(
        replace(pool, quota_group=None) if pool.quota_group == name else pool
        for pool in fleet.pools
    )
    return replace(fleet, quotas=tuple(q for q in fleet.quotas if q.name != name), pools=pools)


@dataclass(frozen=True, slots=True)
class WeightChange:
    """Change of the weight of an objective: all are added up then, others at their own weights.

    Attributes:
        name: The objective.
    """

    name: ObjectiveName

    def apply(self, fleet: Fleet, value: Value) -> Fleet:
        """Return the fleet whose plan is best at the weighted sum."""
        weight = value.number or 1.0
        terms = tuple(
            Objective(term.name, weight if term.name is self.name else term.weight)
            for term in fleet.objectives.terms
        )
        if not fleet.objectives.includes(self.name):
            terms += (Objective(self.name, weight),)
        return replace(fleet, objectives=Objectives(terms, Combination.WEIGHTED))


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """Profiles of a document in place of the fleet's own; the word ``own`` keeps those.

    Attributes:
        given: Profiles by the word that stands for them, by the fleet's names of models and
            accelerators.
    """

    given: Mapping[str, tuple[ModelProfile, ...]] = field(default_factory=dict)

    def apply(self, fleet: Fleet, value: Value) -> Fleet:
        """Return the fleet with those profiles."""
        if value.word == OWN:
            return fleet
        given = self.given[value.word]
        replaced = {(item.model, item.accelerator) for item in given}
        kept = (item for item in fleet.profiles if (item.model, item.accelerator) not in replaced)
        return replace(fleet, profiles=(*kept, *given))


def _whole(value: Value) -> int | None:
    return None if value.number is None else int(value.number)
