"""Objectives and limits: what money, power, slack, fairness and calm cost one another.

The load of the small fleet shifts while a plan runs, and there are too few cards for all of it.
What is best then depends on what is asked: the cheapest plan, the one of least power, the one
furthest from its targets, the fairest to those who go without, the one that leaves most servers
alone; or the cheapest within a limit of changes, of power, or of cards of one type.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from rich.table import Table

from data.fleets import read_fleet
from demos.aims_picture import Aim, Measure, aims_figure
from demos.measures import allocation_of, running, served_words, with_load
from demos.report import Report, numbers_table, publish, run
from optimizer.planner import plan_fleet
from stoker.cli.figures import money
from stoker.domain.fleet import Fleet
from stoker.domain.limits import Combination, Limits, Objective, ObjectiveName, Objectives
from stoker.domain.plan import Plan
from stoker.domain.pools import Pool
from stoker.domain.routing import Router
from stoker.domain.scaling import scale_capacity
from stoker.domain.settings import SaturationPolicy

LOAD = 0.25
"""Factor on the loads of the small fleet."""
CARDS = 0.12
"""Share of its cards that there are."""
SHIFT = {"Premium": 0.8, "Bronze": 1.3, "Free": 1.1}
"""How the arrival rates were before, over those now."""
WATTS_PER_USD = 190.0
"""Power that is worth a unit of money an hour in the weighted sum."""
MOST_CHANGES = 6
POWER_SHARE = 0.98
QUOTA_SHARE = 0.9
CARD = "A100"


@dataclass(frozen=True, slots=True)
class Asked:
    """A plan that is asked for.

    Attributes:
        fleet: What is planned.
        best: The measures that are minimized, for the picture.
        limit: The measure that is limited; None for none.
        most: Its limit.
    """

    fleet: Fleet
    best: tuple[Measure, ...] = (Measure.COST,)
    limit: Measure | None = None
    most: float | None = None


def main(output: Path, format: str = "table") -> dict[str, object]:
    """Run the demonstration; see the package for the arguments."""
    fleet = _fleet()
    first = plan_fleet(fleet)
    figures = {"cheapest": _figures(fleet, first)}
    asked = _asked(fleet, figures["cheapest"])
    plans = {"cheapest": first}
    for name, each in asked.items():
        if name not in plans:
            plans[name] = plan_fleet(each.fleet)
            figures[name] = _figures(fleet, plans[name])
    aims = [
        Aim(name, figures[name], asked[name].best, asked[name].limit, asked[name].most)
        for name in plans
    ]
    report = Report(
        title=f"{len(fleet.servers)} servers on {CARDS:.0%} of the cards: what a plan is best at",
        data={
            "currency": fleet.currency,
            "limits": {
                name: {"of": each.limit.value, "most": each.most}
                for name, each in asked.items()
                if each.limit is not None
            },
            "plans": {
                name: {
                    **{measure.value: value for measure, value in figures[name].items()},
                    "status": plan.status.value,
                    "served": [item.served for item in plan.services],
                    "without_by_class": _without(fleet, plan),
                }
                for name, plan in plans.items()
            },
        },
        tables=[_table(fleet, plans, figures)],
        findings=_findings(fleet, plans, figures),
        figures={"objectives.png": aims_figure(aims, fleet.currency)},
    )
    return publish(report, output, format)


def _fleet() -> Fleet:
    """Return the fleet after the shift, running what was cheapest before it."""
    whole = read_fleet("small")
    quiet = replace(whole.settings, saturation_policy=SaturationPolicy.NONE)
    fleet = scale_capacity(replace(whole, settings=quiet), CARDS)
    servers = tuple(with_load(server, LOAD) for server in fleet.servers)
    before = replace(
        fleet,
        servers=tuple(with_load(each, SHIFT.get(each.service_class, 1.0)) for each in servers),
    )
    # Aimed at cost in so many words, it is planned by the model that knows power and changes.
    aimed = Objectives(combine=Combination.WEIGHTED)
    plan = plan_fleet(replace(before, objectives=aimed))
    return replace(
        fleet,
        servers=tuple(running(server, plan) for server in servers),
        pools=tuple(Pool(item.card_type, item.card_type, item.count) for item in fleet.capacity),
    )


def _asked(fleet: Fleet, cheapest: Mapping[Measure, float]) -> dict[str, Asked]:
    """Return what is asked for by name; limits are told by the cheapest plan."""
    cost = ObjectiveName.COST
    power = round(POWER_SHARE * cheapest[Measure.POWER], -1)
    quota = math.floor(QUOTA_SHARE * cheapest[Measure.QUOTA])
    weights = (Objective(cost), Objective(ObjectiveName.ENERGY, weight=1.0 / WATTS_PER_USD))
    joined = tuple(replace(item, router=Router.SHORTEST_QUEUE) for item in fleet.servers)
    return {
        "cheapest": Asked(fleet),
        "least power": Asked(_aimed(fleet, ObjectiveName.ENERGY), (Measure.POWER,)),
        "cost and power, weighed": Asked(
            replace(fleet, objectives=Objectives(weights, Combination.WEIGHTED)),
            (Measure.COST, Measure.POWER),
        ),
        "most slack": Asked(_aimed(fleet, ObjectiveName.SLO_SLACK), (Measure.SLACK,)),
        "fairest": Asked(_aimed(fleet, ObjectiveName.FAIRNESS), (Measure.WITHOUT,)),
        "fewest changes": Asked(_aimed(fleet, ObjectiveName.CHANGES), (Measure.CHANGES,)),
        f"at most {MOST_CHANGES} changes": Asked(
            replace(fleet, limits=Limits(max_changes=MOST_CHANGES)),
            limit=Measure.CHANGES,
            most=MOST_CHANGES,
        ),
        f"at most {power:,.0f} W": Asked(
            replace(fleet, limits=Limits(power_w=power)), limit=Measure.POWER, most=power
        ),
        f"a quota of {quota} {CARD}": Asked(
            _with_quota(fleet, quota), limit=Measure.QUOTA, most=quota
        ),
        "to the shortest queue": Asked(replace(fleet, servers=joined)),
    }


def _aimed(fleet: Fleet, first: ObjectiveName) -> Fleet:
    terms = (Objective(first), Objective(ObjectiveName.COST))
    return replace(fleet, objectives=Objectives(terms))


def _with_quota(fleet: Fleet, quota: int) -> Fleet:
    pools = (replace(p, quota=quota) if p.card_type == CARD else p for p in fleet.pools)
    return replace(fleet, pools=tuple(pools))


def _figures(fleet: Fleet, plan: Plan) -> dict[Measure, float]:
    return {
        Measure.COST: plan.cost_per_hour,
        Measure.POWER: math.fsum(item.power_w or 0.0 for item in plan.allocations),
        Measure.SLACK: _slack_used(plan),
        Measure.WITHOUT: max(_without(fleet, plan).values()),
        Measure.CHANGES: float(_changed(fleet, plan)),
        Measure.QUOTA: float(sum(p.used for p in plan.pools if p.card_type == CARD)),
    }


def _slack_used(plan: Plan) -> float:
    """Return the mean share of its tightest mean target that a server in full service uses."""
    shares = [
        max(
            latency / target
            for latency, target in (
                (item.ttft_ms, item.ttft_target_ms),
                (item.itl_ms, item.itl_target_ms),
            )
            if latency is not None and target is not None
        )
        for item in plan.allocations
        if item.fully_served and item.replicas
    ]
    return math.fsum(shares) / max(1, len(shares))


def _changed(fleet: Fleet, plan: Plan) -> int:
    """Return the number of servers for which something else runs than before."""
    count = 0
    for server in fleet.servers:
        now, item = server.current, allocation_of(plan, server.name)
        before = None if now is None else (now.accelerator, now.replicas, now.max_batch)
        after = None if item is None else (item.accelerator, item.replicas, item.max_batch)
        count += before != after
    return count


def _without(fleet: Fleet, plan: Plan) -> dict[str, float]:
    """Return the share of its requests that each class goes without."""
    offered: dict[str, float] = {}
    carried: dict[str, float] = {}
    for server in fleet.servers:
        rate = server.load.arrival_rate_rps if server.load else 0.0
        item = allocation_of(plan, server.name)
        most = 0.0 if item is None else item.replicas * item.max_rate_rps
        name = server.service_class
        offered[name] = offered.get(name, 0.0) + rate
        # A server served in full has all of its load, whatever rounding says.
        whole = item is not None and item.fully_served
        carried[name] = carried.get(name, 0.0) + (rate if whole else min(rate, most))
    return {name: 1.0 - carried[name] / total for name, total in offered.items() if total > 0}


def _table(
    fleet: Fleet, plans: Mapping[str, Plan], figures: Mapping[str, Mapping[Measure, float]]
) -> Table:
    heads = (
        "plan",
        f"{fleet.currency}/h",
        "W",
        "of targets",
        "without",
        "changed",
        CARD,
        "served",
    )
    rows = [
        (
            name,
            money(found[Measure.COST]),
            f"{found[Measure.POWER]:,.0f}",
            f"{found[Measure.SLACK]:.0%}",
            f"{found[Measure.WITHOUT]:.0%}",
            f"{found[Measure.CHANGES]:.0f}",
            f"{found[Measure.QUOTA]:.0f}",
            served_words(plans[name]),
        )
        for name, found in figures.items()
    ]
    return numbers_table(heads, rows)


def _findings(
    fleet: Fleet, plans: Mapping[str, Plan], figures: Mapping[str, Mapping[Measure, float]]
) -> list[str]:
    cheapest, power, weighed, slack, fair, calm, _, dim, quota, queue = figures.values()
    currency = fleet.currency

    def more(found: Mapping[Measure, float]) -> str:
        change = found[Measure.COST] - cheapest[Measure.COST]
        return f"{money(abs(change))} {currency}/h {'more' if change >= 0 else 'less'}"

    first, fairest = plans["cheapest"], plans["fairest"]
    return [
        f"The cheapest plan costs {money(cheapest[Measure.COST])} {currency}/h and takes "
        f"{cheapest[Measure.POWER]:,.0f} W. The one of least power takes "
        f"{power[Measure.POWER]:,.0f} W, for {more(power)}; weighed at {WATTS_PER_USD:,.0f} W a "
        f"{currency}, it is {weighed[Measure.POWER]:,.0f} W for {more(weighed)}.",
        f"Servers use {cheapest[Measure.SLACK]:.0%} of their tightest target on average; "
        f"{slack[Measure.SLACK]:.0%} for {more(slack)}.",
        f"The class that goes without most lacks {cheapest[Measure.WITHOUT]:.0%} of its requests, "
        f"in the fairest plan {fair[Measure.WITHOUT]:.0%}, for {more(fair)}. Both serve as many in "
        f"full ({served_words(first)}, {served_words(fairest)}): priorities come first.",
        f"The cheapest plan changes {cheapest[Measure.CHANGES]:.0f} servers. As many served takes "
        f"{calm[Measure.CHANGES]:.0f} changes at least, for {more(calm)}. With no more than "
        f"{MOST_CHANGES} changes {served_words(plans[list(plans)[6]])} are served.",
        f"Within {POWER_SHARE:.0%} of its power {served_words(plans[list(plans)[7]])} are served, "
        f"for {more(dim)}; with {QUOTA_SHARE:.0%} of its {CARD} "
        f"{served_words(plans[list(plans)[8]])}, for {more(quota)}.",
        f"Behind a router that knows the shortest queue the cheapest plan costs {more(queue)}: "
        f"{money(queue[Measure.COST])} {currency}/h, for {served_words(plans[list(plans)[9]])}.",
    ]


if __name__ == "__main__":
    run(main, "17-objectives")
