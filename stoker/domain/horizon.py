"""Planning over a horizon: demand by hour, terms of cards and replicas, and the schedule found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from stoker.domain.plan import PlanStatus
from stoker.domain.settings import Analysis
from stoker.domain.workload import Load


class Missing(StrEnum):
    """What an hour of a server means that nothing is told of."""

    ERROR = "error"
    """That the demand is refused."""
    PREVIOUS = "previous"
    """The load of the last hour before it that is known (the first known one at the beginning)."""
    LARGEST = "largest"
    """The largest rate of the server that is known."""


@dataclass(frozen=True, slots=True)
class HourlyDemand:
    """The load of each server in each hour of the horizon, all of it known.

    Attributes:
        servers: Names of servers.
        loads: Load of each server by hour; as many hours for each.
        quantile: Quantile that the loads were taken at; None where they are taken as told.
        source: Where they come from, in words.
    """

    servers: tuple[str, ...]
    loads: tuple[tuple[Load, ...], ...]
    quantile: float | None = None
    source: str = ""

    @property
    def hours(self) -> int:
        """Number of hours."""
        return len(self.loads[0]) if self.loads else 0


@dataclass(frozen=True, slots=True)
class ReservedTerms:
    """Cards committed for the whole horizon, used or not.

    Attributes:
        price_factor: Price of a committed card over its price on demand.
        most_cards: Cards that can be committed; None for any number.
        term_hours: Shortest time that is paid: the horizon is rounded up to a multiple of it. None
            where the horizon stands for the whole term (a typical week of a year), so that its own
            hours are paid.
    """

    price_factor: float
    most_cards: int | None = None
    term_hours: int | None = None


@dataclass(frozen=True, slots=True)
class SpotTerms:
    """Cards at a lower price that may be taken away.

    Attributes:
        price_factor: Price of a spot card over its price on demand.
        interruptions_per_hour: Mean number of times that a running replica is interrupted in an
            hour.
        most_share: Largest share of a server's replicas that may run on spot cards.
        most_cards: Spot cards that can be had at a time; None for any number.
    """

    price_factor: float
    interruptions_per_hour: float
    most_share: float
    most_cards: int | None = None


@dataclass(frozen=True, slots=True)
class CardTerms:
    """What is offered of one type of card.

    Attributes:
        reserved: Terms of commitment; None where there is none.
        spot: Terms of spot cards; None where there are none.
        cards: Cards of the type that there are, of all kinds together: one number for each hour, or
            a single one for all; None for the fleet's own count.
    """

    reserved: ReservedTerms | None = None
    spot: SpotTerms | None = None
    cards: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class HorizonTerms:
    """What the plan must heed beside the promises.

    Attributes:
        default: What is offered of a card type that has no entry of its own.
        by_type: What is offered of the others.
        start_up_hours: Hours that a replica is paid for before it serves.
        min_up_hours: Hours that a started replica keeps running, at least.
        switch_cost: Cost of moving a server to another accelerator, beside the start-up of its
            replicas; None where a server keeps one accelerator over the horizon.
        confidence: Probability, in each hour, that as many spot replicas are up as are counted on.
        unlimited: Whether the fleet's counts of cards are ignored.
    """

    default: CardTerms = field(default_factory=CardTerms)
    by_type: Mapping[str, CardTerms] = field(default_factory=dict)
    start_up_hours: int = 0
    min_up_hours: int = 1
    switch_cost: float | None = None
    confidence: float = 0.999
    unlimited: bool = False

    def of_type(self, card_type: str) -> CardTerms:
        """Return what is offered of a card type."""
        return self.by_type.get(card_type, self.default)


@dataclass(frozen=True, slots=True)
class ServerHour:
    """What a server has in one hour.

    Attributes:
        accelerator: What serves it; None where nothing has to.
        needed: Replicas that the promises take.
        firm: Replicas serving on reserved or on-demand cards.
        spot: Replicas serving on spot cards.
        counted_spot: Spot replicas that are counted on.
    """

    accelerator: str | None
    needed: int
    firm: int
    spot: int
    counted_spot: int


@dataclass(frozen=True, slots=True)
class ReplicaRun:
    """Replicas of a server on one accelerator, hour by hour; they may outlast their use.

    Attributes:
        accelerator: Accelerator configuration.
        configuration: Name of the way of serving among several of it; None for the only one.
        card_type: Type of its cards.
        cards_per_replica: Cards that one replica takes.
        cost_per_hour: Price of one replica on demand.
        firm: Replicas running on reserved or on-demand cards, by hour.
        firm_starting: Replicas that are starting there, paid and not serving yet.
        spot: Replicas running on spot cards.
        spot_starting: Replicas that are starting there.
    """

    accelerator: str
    configuration: str | None
    card_type: str
    cards_per_replica: int
    cost_per_hour: float
    firm: tuple[int, ...]
    firm_starting: tuple[int, ...]
    spot: tuple[int, ...]
    spot_starting: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ServerSchedule:
    """The schedule of one server.

    Attributes:
        server: Name.
        priority: Priority of its class.
        hours: What it has in each hour.
        runs: Its replicas, one entry an accelerator that it uses.
        switches: Times that it moves to another accelerator.
        cost: Cost of its replicas at the prices on demand and spot, and of its switches; what
            commitments save is counted by card type.
    """

    server: str
    priority: int
    hours: tuple[ServerHour, ...]
    runs: tuple[ReplicaRun, ...]
    switches: int
    cost: float


@dataclass(frozen=True, slots=True)
class CardSchedule:
    """Cards of one type over the horizon.

    Attributes:
        card_type: Type.
        price_per_hour: Price of a card on demand.
        reserved: Cards committed.
        reserved_used: Committed cards in use, by hour.
        on_demand: On-demand cards, by hour.
        spot: Spot cards, by hour.
        available: Cards that there are, by hour; None where unlimited.
        reserved_cost: Cost of the commitment over the horizon.
        on_demand_cost: Cost of on-demand cards, with what configurations cost beyond their cards.
        spot_cost: Cost of spot cards, likewise.
    """

    card_type: str
    price_per_hour: float
    reserved: int
    reserved_used: tuple[int, ...]
    on_demand: tuple[int, ...]
    spot: tuple[int, ...]
    available: tuple[int, ...] | None
    reserved_cost: float
    on_demand_cost: float
    spot_cost: float


@dataclass(frozen=True, slots=True)
class UnscheduledServer:
    """A server that is not part of the schedule.

    Attributes:
        server: Name.
        reason: ``no_candidate``; ``capacity``, which is proven; ``time_limit``, where neither a
            schedule nor a proof that there is none was found.
        detail: The reason in words.
    """

    server: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class HorizonPlan:
    """The cheapest schedule found.

    Attributes:
        status: ``optimal`` where it is proven within the gap asked for.
        hours: Hours of the horizon.
        currency: Of all costs.
        analysis: Performance model behind the replica counts.
        quantile: Quantile of the demand; None where it was taken as told.
        terms: What the plan heeds.
        cost: Cost over the horizon.
        bound: Proven lower bound of the cost of serving the same servers; None where unknown.
        gap: Distance of the two, relative to the cost; None where unknown.
        reserved_cost: Cost of commitments.
        on_demand_cost: Cost of on-demand cards.
        spot_cost: Cost of spot cards.
        switch_cost: Cost of switches.
        hour_by_hour_cost: Cost of planning each hour alone under the same rules, without
            commitments; None where that does not fit the cards.
        static_cost: Cost of running what each server's peak takes all the time, on demand.
        static_reserved_cost: The same on committed cards; None where none can be had.
        schedules: Schedules by server.
        cards: Cards by type.
        unscheduled: Servers without a schedule.
        method: ``milp`` or ``columns``.
        notes: Sentences for the reader.
        timings_ms: Milliseconds by phase.
    """

    status: PlanStatus
    hours: int
    currency: str
    analysis: Analysis
    quantile: float | None
    terms: HorizonTerms
    cost: float
    bound: float | None
    gap: float | None
    reserved_cost: float
    on_demand_cost: float
    spot_cost: float
    switch_cost: float
    hour_by_hour_cost: float | None
    static_cost: float | None
    static_reserved_cost: float | None
    schedules: tuple[ServerSchedule, ...]
    cards: tuple[CardSchedule, ...]
    unscheduled: tuple[UnscheduledServer, ...]
    method: str
    notes: tuple[str, ...] = ()
    timings_ms: Mapping[str, float] = field(default_factory=dict)
