"""Where cards stand and how they are paid for: zones, spot cards, a budget, and a home to prefer.

Servers of the small fleet run on A100 in two regions. First on demand alone, then with reserved and
with spot cards; then the plan keeps a part off spot, survives the loss of a zone, keeps the highest
class at home as far as it can, and at last lives on a budget.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rich.table import Table

from data.fleets import read_fleet
from demos.measures import served_words, with_load
from demos.report import Report, numbers_table, publish, run
from optimizer.planner import plan_fleet
from stoker.cli.figures import count_of, money
from stoker.cli.plots.pools import pools_figure
from stoker.domain.fleet import Fleet
from stoker.domain.limits import Headroom, Limits, Survival
from stoker.domain.plan import Plan
from stoker.domain.pools import Pool, PoolWishes, PriceKind
from stoker.domain.settings import SaturationPolicy

CARD = "A100"
LOAD = 0.25
"""Factor on the loads of the small fleet."""
POOLS = (
    Pool("west-a", CARD, 64, "west", "a", None, PriceKind.RESERVED, price_factor=0.6),
    Pool("west-b", CARD, 240, "west", "b"),
    Pool("east", CARD, 240, "east", "a"),
    Pool("east-spot", CARD, 240, "east", "a", None, PriceKind.SPOT, price_factor=0.35),
)
HOME = ("west-a", "west-b")
HOME_CLASS = "Premium"
BUDGET_SHARE = 0.6
"""Budget of the last plan, over what the one before it costs."""
SPOT_SHARE = 0.5


def main(output: Path, format: str = "table") -> dict[str, object]:
    """Run the demonstration; see the package for the arguments."""
    plans = _plans(quarter_fleet())
    currency = next(iter(plans.values())).currency
    report = Report(
        title=f"{len(quarter_fleet().servers)} servers on {CARD} of {len(POOLS)} pools",
        data={
            "currency": currency,
            "home": list(HOME),
            "plans": {name: _figures(plan) for name, plan in plans.items()},
        },
        tables=[_table(plans, currency)],
        findings=_findings(plans, currency),
        figures={
            "pools.png": pools_figure(
                "Reserved and spot cards save money; what is promised beyond takes some back",
                list(plans.items()),
            )
        },
    )
    return publish(report, output, format)


def quarter_fleet() -> Fleet:
    """Return the small fleet at a quarter of its load, without cards."""
    fleet = read_fleet("small")
    return replace(
        fleet,
        servers=tuple(with_load(server, LOAD) for server in fleet.servers),
        settings=replace(fleet.settings, saturation_policy=SaturationPolicy.NONE),
        capacity=(),
    )


def _plans(fleet: Fleet) -> dict[str, Plan]:
    """Return the plans by name, each with one thing more than the one before it."""
    on_demand = tuple(pool for pool in POOLS if pool.price_kind is PriceKind.ON_DEMAND)
    owned = tuple(pool for pool in POOLS if pool.price_kind is not PriceKind.SPOT)
    steady = Limits(max_server_spot_share=SPOT_SHARE)
    safe = replace(steady, headroom=Headroom(survive=Survival.ZONE))
    at_home = {
        server.name: PoolWishes(prefer_pools=HOME)
        for server in fleet.servers
        if server.service_class == HOME_CLASS
    }
    asked: dict[str, Fleet] = {
        "on demand alone": replace(fleet, pools=on_demand),
        "with reserved cards": replace(fleet, pools=owned),
        "with spot cards": replace(fleet, pools=POOLS),
        "half of each off spot": replace(fleet, pools=POOLS, limits=steady),
        "surviving a zone": replace(fleet, pools=POOLS, limits=safe),
        f"{HOME_CLASS} at home first": replace(fleet, pools=POOLS, limits=safe, wishes=at_home),
    }
    plans = {name: plan_fleet(each) for name, each in asked.items()}
    last = list(asked)[-1]
    budget = round(BUDGET_SHARE * plans[last].cost_per_hour, 2)
    limits = replace(safe, budget_per_hour=budget)
    plans[f"on {money(budget)} an hour"] = plan_fleet(replace(asked[last], limits=limits))
    return plans


def _figures(plan: Plan) -> dict[str, object]:
    return {
        "cost_per_hour": plan.cost_per_hour,
        "status": plan.status.value,
        "served": {str(item.priority): item.served for item in plan.services},
        "cards": {pool.pool: pool.used for pool in plan.pools},
        "cost_by_price": {
            kind.value: math.fsum(p.cost_per_hour for p in plan.pools if p.price_kind is kind)
            for kind in PriceKind
        },
        "spare_replicas": sum(item.spare_replicas for item in plan.allocations),
        "away": _away(plan),
        "unplaced": {item.server: item.reason.value for item in plan.unplaced},
    }


def _away(plan: Plan) -> int:
    """Return the replicas of the class that prefers its home which stand elsewhere."""
    return sum(
        part.replicas
        for item in plan.allocations
        if item.service_class == HOME_CLASS
        for part in item.placements
        if part.pool not in HOME
    )


def _table(plans: Mapping[str, Plan], currency: str) -> Table:
    rows = [
        (
            name,
            money(plan.cost_per_hour),
            served_words(plan),
            *(str(_used(plan, pool.name)) for pool in POOLS),
            str(sum(item.spare_replicas for item in plan.allocations)),
        )
        for name, plan in plans.items()
    ]
    heads = ("plan", f"{currency}/h", "served", *(pool.name for pool in POOLS), "spare replicas")
    return numbers_table(heads, rows)


def _used(plan: Plan, pool: str) -> int:
    return sum(item.used for item in plan.pools if item.pool == pool)


def _findings(plans: Mapping[str, Plan], currency: str) -> list[str]:
    first, owned, spot, steady, safe, home, poor = plans.values()
    names = list(plans)
    left = len(poor.unplaced)
    return [
        f"On demand alone it costs {money(first.cost_per_hour)} {currency}/h; reserved cards make "
        f"that {money(owned.cost_per_hour)}, spot cards {money(spot.cost_per_hour)}. With no more "
        f"than {SPOT_SHARE:.0%} of a server on spot it is {money(steady.cost_per_hour)}.",
        f"Surviving the loss of any zone costs {money(safe.cost_per_hour - steady.cost_per_hour)} "
        f"{currency}/h more, for {sum(i.spare_replicas for i in safe.allocations)} spare replicas.",
        f"{HOME_CLASS} prefers {' and '.join(HOME)}: its replicas elsewhere fall from "
        f"{_away(safe)} to {_away(home)}, for "
        f"{money(home.cost_per_hour - safe.cost_per_hour)} {currency}/h more.",
        f"{names[-1].capitalize()} the classes are served {served_words(poor)}, highest first; "
        f"{count_of(left, 'server')} left out, each told what is missing.",
    ]


if __name__ == "__main__":
    run(main, "11-pools")
