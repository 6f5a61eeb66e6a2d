"""What every server of the fleet is offered in a cycle, by what runs for it and where it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from controller.offered import Offer, chooses_where_it_is, offer_to
from controller.places import unclear
from controller.stand_ins import with_offers
from controller.whereabouts import Place, Whereabouts, is_out_of_reach
from controller.world import running_variant
from stoker.domain.control.cluster import VariantState, WorkloadRef
from stoker.domain.control.configurations import Configurations, configurations_of
from stoker.domain.errors import StokerError
from stoker.domain.fleet import Fleet
from stoker.domain.limits import COST_ALONE, NO_LIMITS
from stoker.domain.plan import Plan
from stoker.domain.profile import ModelProfile
from stoker.domain.server import Server
from stoker.domain.settings import DEFAULT_ANALYSIS, Analysis, OptimizerSettings

Variants = Mapping[str, tuple[VariantState, ...]]
"""The workloads that can be managed, by server."""


@dataclass(frozen=True, slots=True)
class Offers:
    """The workloads of a fleet, and what follows from them for what its servers are offered.

    Attributes:
        fleet: The fleet, as in the documents.
        variants: Its workloads.
        headed: The workload that servers are on their way to.
        writable: Servers whose batch limit may be written now where they are.
        chosen: Batch limits that servers choose where they are, of those that had to be asked.
        configurations: Configurations of the fleet.
        profiles: Its profiles, by model.
    """

    fleet: Fleet
    variants: Variants
    headed: Mapping[str, WorkloadRef]
    writable: frozenset[str]
    chosen: Mapping[str, int] = field(default_factory=dict)
    configurations: Configurations = field(init=False)
    profiles: Mapping[str, list[ModelProfile]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "configurations", configurations_of(self.fleet))
        profiles: dict[str, list[ModelProfile]] = {}
        for item in self.fleet.profiles:
            profiles.setdefault(item.model, []).append(item)
        object.__setattr__(self, "profiles", profiles)

    def by_server(
        self, now: Fleet, pinned: frozenset[str], full: frozenset[tuple[str, Place]]
    ) -> dict[str, Offer]:
        """Return what servers are offered, by name, of those that are matched with their plans."""
        places: dict[str, set[Place]] = {}
        for name, place in full:
            places.setdefault(name, set()).add(place)
        return {
            server.name: self._offer(
                server,
                replace(
                    self._where(server),
                    stays=server.name in pinned,
                    full=frozenset(places.get(server.name, ())),
                ),
                now.settings.analysis,
            )
            for server in now.servers
            if self._is_matched(server)
        }

    def chosen_alone(self, now: Fleet, settings: OptimizerSettings) -> dict[str, int]:
        """Return the batch limits that servers choose where they are, had they all the cards.

        Only of those that are compared with places whose pods keep another limit.
        """
        choosing = {
            server.name: replace(server, keep_accelerator=True)
            for server in now.servers
            if self._is_matched(server)
            and chooses_where_it_is(server, self._where(server), self.configurations)
        }
        if not choosing:
            return {}
        alone = replace(
            now,
            servers=tuple(choosing.values()),
            quotas=(),
            wishes={},
            limits=NO_LIMITS,
            objectives=COST_ALONE,
        )
        offers = {
            name: self._offer(
                server, replace(self._where(server), stays=True), now.settings.analysis
            )
            for name, server in choosing.items()
        }
        free = replace(settings, unlimited=True, solver=None, heterogeneous=False, placement=False)
        try:
            plan = with_offers(alone, offers).planned(free)
        except StokerError:
            return {}
        return {each.server: each.max_batch for each in plan.allocations if each.max_batch}

    def with_missing(self, plan: Plan, now: Fleet) -> Plan:
        """Return the plan with the workloads that servers lack which it leaves out, in words."""
        servers = {each.name: each for each in now.servers}
        return replace(
            plan,
            unplaced=tuple(
                replace(each, detail=f"{each.detail}{self._missing_words(servers[each.server])}")
                for each in plan.unplaced
            ),
        )

    def at(self, server: Server) -> VariantState | None:
        """Return the workload that a server counts as being on."""
        own = self.variants.get(server.name, ())
        headed = self.headed.get(server.name)
        return next((each for each in own if each.ref == headed), None) or running_variant(own)

    def _missing_words(self, server: Server) -> str:
        if server.load is None or not self._is_matched(server):
            return ""
        places = self._where(server).places(server, self.configurations)
        missing = dict.fromkeys(
            f"{each.accelerator} {each.configuration}".strip()
            for each in self.profiles.get(server.model, ())
            if (each.accelerator, each.configuration) not in places
            and not is_out_of_reach(server, each.accelerator)
        )
        return f"; no workload of it runs {' or '.join(missing)}" if missing else ""

    def _offer(self, server: Server, where: Whereabouts, analysis: Analysis | None) -> Offer:
        return offer_to(
            server,
            where,
            self.profiles.get(server.model, ()),
            self.configurations,
            analysis or DEFAULT_ANALYSIS,
        )

    def _is_matched(self, server: Server) -> bool:
        own = self.variants.get(server.name, ())
        return bool(own) and not unclear(server, own, running_variant(own), self.configurations)

    def _where(self, server: Server) -> Whereabouts:
        return Whereabouts(
            self.variants.get(server.name, ()),
            self.at(server),
            writable=server.name in self.writable,
            chosen=self.chosen.get(server.name),
        )
