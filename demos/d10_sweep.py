"""Exploring: what fewer cards cost, and what the last servers cost.

The small fleet is swept over its cards and the price of one type of card: where a choice flips,
and where service goes. Then the frontier of cost against service: each step is proven to be the
cheapest way to serve so many servers.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from rich.table import Table

from data.fleets import read_fleet
from demos.report import Report, numbers_table, publish, run
from stoker.cli.figures import count_of, money
from stoker.cli.plots.pareto import pareto_figure
from stoker.cli.plots.sweep import sweep_figure
from stoker.domain.fleet import Fleet
from stoker.domain.settings import Analysis, SaturationPolicy
from studies.sweeping.attainment import Measure
from studies.sweeping.grid import grid_study
from studies.sweeping.pareto import ParetoResults, pareto_attainment
from studies.sweeping.rows import Cell, Row
from studies.sweeping.sweep import SweepResults, run_sweep

CARD = "A100"
CARDS = ("x0.05", "x0.1", "x0.2", "x0.4", "x0.6", "x0.8", "x1")
PRICES = ("0.2", "0.3", "0.4", "0.5", "0.6")


def main(output: Path, format: str = "table") -> dict[str, object]:
    """Run the demonstration; see the package for the arguments."""
    fleet = _fleet()
    varied = [f"cards={','.join(CARDS)}", f"price.{CARD}={','.join(PRICES)}"]
    results = run_sweep(grid_study(fleet, varied))
    frontier = pareto_attainment(fleet, Measure.SERVERS)
    report = Report(
        title=f"The {fleet.name} fleet at {count_of(len(results.rows), 'point')}, and its frontier",
        data={
            "currency": fleet.currency,
            "points": [_kept(row) for row in results.rows],
            "frontier": [
                {
                    "served": row["served"],
                    "servers": row["servers"],
                    "cost_per_hour": row["cost_per_hour"],
                    "gap": row["gap"],
                }
                for row in frontier.rows
            ],
            "claim": frontier.claim,
        },
        tables=[_sweep_table(results, fleet.currency), _frontier_table(frontier, fleet.currency)],
        findings=_findings(results, frontier, fleet.currency),
        figures={
            "sweep.png": sweep_figure(results.columns, results.rows),
            "frontier.png": pareto_figure(frontier),
        },
    )
    return publish(report, output, format)


def _fleet() -> Fleet:
    """Return the small fleet by the analysis on means, which a sweep runs through in seconds."""
    fleet = read_fleet("small")
    settings = replace(
        fleet.settings, analysis=Analysis.REFERENCE, saturation_policy=SaturationPolicy.NONE
    )
    return replace(fleet, settings=settings)


def _kept(row: Row) -> dict[str, Cell]:
    """Return what a plan says; timings differ from run to run."""
    return {name: cell for name, cell in row.items() if not name.endswith("_ms")}


def _at(results: SweepResults, cards: str, price: str) -> Row:
    return next(
        row
        for row in results.rows
        if row["cards"] == cards and _number(row[f"price.{CARD}"]) == float(price)
    )


def _sweep_table(results: SweepResults, currency: str) -> Table:
    """Return cost and servers served: a line for each number of cards, a column for each price."""
    rows = [
        (
            cards.replace("x", "× "),
            *(
                f"{money(_number(row['cost_per_hour']))} ({row['served']})"
                for row in (_at(results, cards, price) for price in PRICES)
            ),
        )
        for cards in CARDS
    ]
    heads = [f"{CARD} at {price}" for price in PRICES]
    return numbers_table((f"cards: {currency}/h (served)", *heads), rows)


def _frontier_table(frontier: ParetoResults, currency: str) -> Table:
    costs = [_number(row["cost_per_hour"]) for row in frontier.rows]
    rows = [
        (
            f"{row['served']} of {row['servers']}",
            money(cost),
            money(cost - before) if index else "",
        )
        for index, (row, cost, before) in enumerate(
            zip(frontier.rows, costs, [0.0, *costs], strict=False)
        )
    ]
    return numbers_table(("servers served", f"least {currency}/h", "more than before"), rows)


def _findings(results: SweepResults, frontier: ParetoResults, currency: str) -> list[str]:
    cheap, dear = _at(results, "x1", PRICES[0]), _at(results, "x1", PRICES[-1])
    used = f"cards_{CARD}"
    least = next(
        (cards for cards in CARDS if _at(results, cards, "0.4")["served"] == cheap["served"]),
        CARDS[-1],
    )
    costs = [_number(row["cost_per_hour"]) for row in frontier.rows]
    steps = [after - before for before, after in pairwise(costs)]
    most = int(_number(frontier.rows[-1]["served"]))
    last = steps[-1] / costs[-1]
    return [
        f"With all its cards the fleet uses {cheap[used]:,} of {CARD} at {PRICES[0]} {currency}/h "
        f"and {dear[used]:,} at {PRICES[-1]}: "
        f"{_number(dear['cost_per_hour']) / _number(cheap['cost_per_hour']) - 1:+.0%} in cost for "
        f"{float(PRICES[-1]) / float(PRICES[0]) - 1:+.0%} in price.",
        f"{float(least[1:]):.0%} of the cards serve as many servers as all of them; with "
        f"{float(CARDS[0][1:]):.0%} it is {_served(_at(results, CARDS[0], '0.4'))}.",
        f"The last of {most} servers takes {last:.0%} of the {money(costs[-1])} {currency}/h; half "
        f"of them are served for {money(_cost_of_half(frontier, most))}. {frontier.claim}",
    ]


def _served(row: Row) -> str:
    return f"{row['served']} of {row['servers']}"


def _cost_of_half(frontier: ParetoResults, most: int) -> float:
    return next(
        _number(row["cost_per_hour"]) for row in frontier.rows if 2 * _number(row["served"]) >= most
    )


def _number(cell: Cell) -> float:
    return float(cell) if isinstance(cell, int | float) else 0.0


if __name__ == "__main__":
    run(main, "10-sweep")
