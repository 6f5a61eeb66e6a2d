"""Why a plan is as it is, what it hangs on, and how it differs from another.

Every difference is between two plans of the whole fleet: the plan explained, and the one made under
an edit (an accelerator forbidden, a card more). Positive money is more expensive.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stoker.domain.plan_change import OwnAllocation, PlanChange
from stoker.domain.profile import EstimateKind
from stoker.domain.unplaced_explanation import UnplacedExplanation


class ShadowMethod(StrEnum):
    """How the price of one more of something is found."""

    EXACT = "exact"
    """By planning again with one more."""
    LP = "lp"
    """By the dual values of the linear relaxation: an estimate, for large fleets."""


class CountLimit(StrEnum):
    """Why an allocation has as many replicas as it has."""

    LOAD = "load"
    """One replica less would not carry the load within the targets."""
    MINIMUM = "min_replicas"
    """The server's minimum of replicas; its load needs fewer."""
    SPARE = "spare"
    """Some are beyond what the load, or the minimum, needs: a rule of the plan asks for them."""
    SURGE = "surge"
    """One replica less would carry the load, but not times the surge that is planned for."""
    CARDS = "cards"
    """Best effort: the cards that were left, fewer than the load needs."""
    RUNNING = "running"
    """Not served in full: what runs is left as it is, because anything else is a change."""
    UNKNOWN_LOAD = "unknown_load"
    """Its load is unknown, so what runs was kept."""
    NOTHING = "nothing"
    """It needs nothing."""


class SpareRule(StrEnum):
    """What asks for more replicas than the load needs."""

    REPLICA_LOST = "survive: replica"
    """The headroom: those left after the loss of a replica are to be enough."""
    NODE_LOST = "survive: node"
    """The headroom: those left after the loss of a node are to be enough."""
    ZONE_LOST = "survive: zone"
    """The headroom: those left after the loss of a zone are to be enough."""
    ZONES = "spread_zones"
    """Replicas are to stand in so many zones."""
    ZONE_SHARE = "max_zone_share"
    """No more than a share of the replicas is to stand in one zone."""
    SPOT_SHARE = "max_spot_share"
    """No more than a share is to be on spot cards, of the server's replicas or of all cards."""
    CURRENT = "current"
    """As many run now, and to change that counts as a change."""


class ChoiceLimit(StrEnum):
    """Why a server has the accelerator that it has."""

    LEAST_VALUE = "least_value"
    """No other candidate of the server costs less, counted with the penalty for a change."""
    OTHERS = "others"
    """Another candidate would cost less by itself; the plan as a whole is better so."""
    ONLY_ONE = "only_one"
    """It is the only accelerator that can serve it."""


@dataclass(frozen=True, slots=True)
class LatencyMargin:
    """A latency beside its target.

    Attributes:
        statistic: Which, by its place in documents: ``ttft_ms.p95``.
        predicted_ms: What the plan predicts; None where unknown.
        target_ms: What is promised.
    """

    statistic: str
    predicted_ms: float | None
    target_ms: float

    @property
    def margin_ms(self) -> float | None:
        """The target less what is predicted; negative where it is missed."""
        return None if self.predicted_ms is None else self.target_ms - self.predicted_ms

    @property
    def margin_share(self) -> float | None:
        """The margin as a share of the target; None where unknown, and of a target of 0."""
        if self.predicted_ms is None or self.target_ms == 0:
            return None
        return 1.0 - self.predicted_ms / self.target_ms


@dataclass(frozen=True, slots=True)
class Forbidden:
    """The plan in which a server may not use one accelerator, or not share replicas as it does.

    Attributes:
        accelerator: The accelerator that it may not use; None where sharing is what is forbidden.
        own: What the server gets then.
        own_cost_change: What it costs more per hour than in the plan; None where it is served in
            one of both plans alone, or shares replicas in one of them.
        change: What becomes of the whole plan.
        shared_with: The servers that it may not share replicas with, in just that set; empty where
            an accelerator is what is forbidden.
    """

    accelerator: str | None
    own: OwnAllocation
    own_cost_change: float | None
    change: PlanChange
    shared_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Option:
    """A candidate of a server by itself, whatever the others take.

    Over pools it stands where it costs the server least.

    Attributes:
        accelerator: Accelerator configuration.
        replicas: Replicas that carry the load within the targets, those of two pools together.
        max_batch: Batch limit of a replica.
        configuration: Configuration of the model on the accelerator; empty where it has no name.
        prefill_replicas: How many of the replicas compute prompts for the others; 0 for none.
        cost_per_hour: Cost of all replicas.
        value: Cost of the change as the objective counts it.
        cards: Cards of all replicas.
        card_type: Their type; None for an empty allocation.
        fits: Whether the cards that the plan leaves, and the server's own, are enough.
        enough_cards: Whether all cards of the fleet are enough, with nobody else on them.
    """

    accelerator: str | None
    replicas: int
    max_batch: int
    configuration: str
    prefill_replicas: int
    cost_per_hour: float
    value: float
    cards: int
    card_type: str | None
    fits: bool
    enough_cards: bool = True


@dataclass(frozen=True, slots=True)
class ReplicaRange:
    """Replicas of an allocation if its profile is off by its error, all times alike.

    Attributes:
        error: Relative error of the profile's times, in both directions.
        source: Where the error comes from, in words.
        fewest: Replicas that the plan would have there if everything is faster by the error: what
            carries the load, with the spare replicas that rules of headroom and zones ask for
            beside; None where even then no number does, or it is unknown.
        most: The same if everything is slower; None where no number allowed does.
        missed: Targets that the replicas planned miss if everything is slower.
        blocking: Fraction of requests that they turn away then; None where unknown.
        short_cost_per_hour: What the replicas lacking would cost; None where no number does.
        spare_cost_per_hour: What the replicas too many cost if everything is faster; None where
            unknown.
    """

    error: float
    source: str
    fewest: int | None
    most: int | None
    missed: tuple[LatencyMargin, ...]
    blocking: float | None
    short_cost_per_hour: float | None
    spare_cost_per_hour: float | None


@dataclass(frozen=True, slots=True)
class AllocationExplanation:
    """Why a server has what it has.

    Attributes:
        server: Name of the server.
        accelerator: Accelerator of its largest part; None where it needs nothing.
        replicas: Replicas, over all parts.
        cost_per_hour: Cost of all of them.
        fully_served: Whether its targets hold for its whole load.
        binding: What keeps one replica from carrying more (`PlannedAllocation.binding`); None where
            unknown, and for a mix.
        count_limit: Why it has as many replicas.
        choice_limit: Why it has this accelerator; None without the fleet, for a mix, and on
            replicas that others share.
        preferred: The server's own candidate of least value on another accelerator, where that has
            less value than what the server has.
        margins: Every latency that is promised beside its target.
        load_headroom: Share of the load that the same replicas would carry beyond it; 0.25 is a
            quarter more. None where unknown, and without load.
        options: All candidates of the server, by value.
        forbidden: The plans without each accelerator that it uses, and the one in which those who
            share its replicas may not. To forbid anything else changes nothing.
        runner_up: The one of them that changes the plan least; None where unknown.
        replica_range: Replicas if the profile is off by its error; None where that is unknown.
        configuration: Configuration of the model on the accelerator; empty where it has no name.
        estimate: Kind of the profile behind the figures, of a mix the least trustworthy; None where
            they rest on none.
        shared_with: Names of the servers on the same replicas; empty for replicas of its own.
        spare_replicas: How many of the replicas are beyond those that the load, or the minimum,
            needs.
        spare_for: Rules that one spare replica less would break, wherever it is taken from; empty
            where none are spare, and where that is unknown.
        surge: Factor on the load that the plan is made for; headroom is beyond it.
        keep_accelerator: Whether it must stay on the accelerator that it runs on.
    """

    server: str
    accelerator: str | None
    replicas: int
    cost_per_hour: float
    fully_served: bool
    binding: str | None
    count_limit: CountLimit
    choice_limit: ChoiceLimit | None = None
    preferred: Option | None = None
    margins: tuple[LatencyMargin, ...] = ()
    load_headroom: float | None = None
    options: tuple[Option, ...] = ()
    forbidden: tuple[Forbidden, ...] = ()
    runner_up: Forbidden | None = None
    replica_range: ReplicaRange | None = None
    configuration: str = ""
    estimate: EstimateKind | None = None
    shared_with: tuple[str, ...] = ()
    spare_replicas: int = 0
    spare_for: tuple[SpareRule, ...] = ()
    surge: float = 1.0
    keep_accelerator: bool = False


@dataclass(frozen=True, slots=True)
class ShadowPrice:
    """What one more unit of something changes.

    Attributes:
        kind: ``cards``, ``pool`` or ``limit``.
        of: What there is more of: a type of cards, a pool of them, or a limit by its name.
        amount: How much more.
        used: How much of it the plan uses; None where it does not tell.
        available: How much of it there is.
        change: What becomes of the whole plan.
    """

    kind: str
    of: str
    amount: float
    used: float | None
    available: float
    change: PlanChange


@dataclass(frozen=True, slots=True)
class Regret:
    """What the plan costs too much, or whom it fails, if every profile is off by its error.

    Attributes:
        profiles: Number of profiles in use whose error is known.
        unknown: Number of profiles in use whose error is not known; they count as right.
        missed: Servers that miss a target with what the plan gives them if all is slower.
        slower: What becomes of the plan if it is made anew, knowing that all is slower.
        faster: The same if all is faster: what is saved is what the plan pays too much.
    """

    profiles: int
    unknown: int
    missed: tuple[str, ...]
    slower: PlanChange
    faster: PlanChange


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that is known about why a plan is as it is.

    Attributes:
        currency: Currency of all money.
        cost_per_hour: Cost of the plan.
        objective: Value of the plan.
        method: How the plan was made, and so every plan under an edit.
        allocations: By server, in the plan's order.
        unplaced: By server, in the plan's order.
        shadow_prices: Of one more card of each type or pool, and of one more unit of each limit.
        regret: If the profiles are off; None where no error is known.
        notes: What a reader should know, in sentences.
    """

    currency: str
    cost_per_hour: float
    objective: float
    method: str
    allocations: tuple[AllocationExplanation, ...]
    unplaced: tuple[UnplacedExplanation, ...] = ()
    shadow_prices: tuple[ShadowPrice, ...] = ()
    regret: Regret | None = None
    notes: tuple[str, ...] = ()
