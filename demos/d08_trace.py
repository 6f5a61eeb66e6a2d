"""A trace of requests: the smallest fleet that keeps its targets, and planning it by the hour.

Requests come in a wave, in lengths that vary. Analysis proposes a number of replicas for each
accelerator, the simulator plays the requests themselves, and every smaller number is refuted. The
cheapest fleet is then held against planning that follows the load.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.table import Table

from data.fleets import read_fleet
from demos.report import Report, numbers_table, publish, run
from stoker.cli.figures import money
from stoker.cli.plots import trace as trace_plots
from stoker.cli.plots.backtest import cost_figure, replicas_figure
from studies.traces.backtest import Backtest, BacktestSettings, Forecast, backtest
from studies.traces.goal import TraceGoal
from studies.traces.options import replica_options
from studies.traces.requests import RequestTrace
from studies.traces.search import MinimumFleet, SearchSettings
from studies.traces.study import TraceStudy, search_fleets

MODEL = "granite_13b"
ACCELERATORS = ("A100", "G2", "4xA100")
GOAL = TraceGoal(0.95, ttft_ms=2000.0, itl_ms=120.0)
INTERVAL_S, STARTUP_S = 15.0, 5.0


def main(output: Path, format: str = "table") -> dict[str, object]:
    """Run the demonstration; see the package for the arguments."""
    trace = _requests()
    fleet = read_fleet("small")
    options = replica_options(
        fleet,
        float(trace.output_tokens.mean()),
        models=(MODEL,),
        accelerators=ACCELERATORS,
    )
    study = search_fleets(options, trace, GOAL, SearchSettings(), currency=fleet.currency)
    best = study.best(MODEL)
    assert best is not None, "the targets are loose enough for each accelerator"
    settings = BacktestSettings(1000 * INTERVAL_S, 1000 * STARTUP_S, Forecast.PEAK, headroom=1.3)
    replayed = backtest(best.option, trace, GOAL, settings)
    report = Report(
        title=f"{len(trace):,} requests in {trace.span_ms / 60_000:.1f} minutes, "
        f"{GOAL.share:.0%} of them within TTFT {GOAL.ttft_ms:g} ms and ITL {GOAL.itl_ms:g} ms",
        data={
            "fleets": {item.option.accelerator.name: _row(item) for item in study.fleets},
            "best": best.option.accelerator.name,
            "policies": {
                item.name: {"attainment": item.attainment, "cost": item.cost}
                for item in replayed.policies
            },
            "least_cost": replayed.least_cost,
        },
        tables=[_table(study), _policies(replayed, fleet.currency)],
        findings=_findings(study, best, replayed, fleet.currency),
        figures={
            "load.png": trace_plots.trace_load_figure(trace),
            "attainment.png": trace_plots.attainment_figure(study, MODEL),
            "replicas.png": replicas_figure(replayed),
            "cost.png": cost_figure(replayed, fleet.currency),
        },
    )
    return publish(report, output, format)


def _requests() -> RequestTrace:
    random = np.random.default_rng(8)
    count = 3000
    wave = 1 + 0.6 * np.sin(np.linspace(0, 2 * np.pi, count))
    return RequestTrace.of(
        np.cumsum(random.exponential(40.0, count) / wave),
        np.clip(random.lognormal(5.5, 0.8, count), 1, 3000).astype(np.int64),
        np.clip(random.lognormal(4.6, 0.6, count), 1, 800).astype(np.int64),
    )


def _row(item: MinimumFleet) -> dict[str, object]:
    answer, less = item.answer, item.one_less
    return {
        "replicas": item.replicas,
        "attainment": None if answer is None else answer.attainment,
        "one_less": None if less is None else less.attainment,
        "refuted_below": item.refuted_below,
        "bound": item.bound.replicas,
        "cost_per_hour": item.cost_per_hour,
    }


def _table(study: TraceStudy) -> Table:
    rows = [
        (
            item.option.accelerator.name,
            f"{item.replicas}",
            "–" if item.answer is None else f"{item.answer.attainment:.1%}",
            "–" if item.one_less is None else f"{item.one_less.attainment:.1%}",
            f"{item.refuted_below}",
            f"{item.bound.replicas}",
            money(item.cost_per_hour or 0.0),
        )
        for item in study.of_model(MODEL)
    ]
    heads = ("accelerator", "replicas", "attained", "one less", "at least", "any router", "USD/h")
    return numbers_table(heads, rows)


def _policies(found: Backtest, currency: str) -> Table:
    rows = [
        (item.name, f"{item.attainment:.1%}", f"{item.replica_hours:.2f}", f"{item.cost:.3f}")
        for item in found.policies
    ]
    rows.append(("any, at least", "–", f"{found.least_hours:.2f}", f"{found.least_cost:.3f}"))
    return numbers_table(("replicas", "attained", "replica hours", currency), rows)


def _findings(study: TraceStudy, best: MinimumFleet, found: Backtest, currency: str) -> list[str]:
    words = [
        f"{best.replicas} × {best.option.accelerator.name} is the cheapest fleet: "
        f"{money(best.cost_per_hour or 0.0)} {currency} an hour."
    ]
    less = best.one_less
    if less is not None:
        words.append(
            f"With one replica less, {less.attainment:.1%} of the requests keep their targets, and "
            "every smaller number was refuted."
        )
    off = [
        item.proposed - item.replicas
        for item in study.fleets
        if item.proposed is not None and item.replicas is not None
    ]
    words.append(f"Analysis proposed {', '.join(f'{each:+d}' for each in off)} replicas beside it.")
    if found.hindsight is not None and found.static is not None:
        saved = 1 - found.hindsight.cost / found.static.cost
        words.append(
            f"The best replicas found in hindsight cost {saved:.0%} less than a fixed fleet; "
            f"planning without it keeps the targets of {found.planned.attainment:.1%} at "
            f"{found.planned.cost / found.hindsight.cost - 1:+.0%} of their cost. It is proven "
            f"that nothing costs less than {found.least_cost / found.hindsight.cost:.0%} of that."
        )
    return words


if __name__ == "__main__":
    run(main, "08-trace")
