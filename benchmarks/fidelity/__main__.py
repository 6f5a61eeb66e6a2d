"""`python -m benchmarks.fidelity`: compare, print, and write the page."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from rich.console import Console

from benchmarks.fidelity import engine, examples
from benchmarks.fidelity.answer import answer
from benchmarks.fidelity.campaign import POINTS, SEED, SIZED, Analyses, Outcome, Settings, run
from benchmarks.fidelity.figures import (
    precision,
    reference_table,
    regime_table,
    sizing_table,
    verdict_table,
)
from benchmarks.fidelity.measurements import sections
from benchmarks.fidelity.predicted import reference
from benchmarks.fidelity.progress import progress
from benchmarks.fidelity.report import Section, write_page
from benchmarks.fidelity.store import ROOT
from benchmarks.fidelity.worst import worst_table

ANALYSES = Analyses(engine.full, engine.formulas, reference, engine.size)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, and return 0 if all limits hold."""
    options = _parser().parse_args(arguments)
    settings = Settings(
        points=options.points,
        seed=options.seed,
        sized=min(options.sized, options.points),
        jobs=options.jobs,
        most_runs=options.runs,
    )
    outcome = run(settings, ANALYSES, _simulating)
    further = sections()
    if options.format == "json":
        print(json.dumps(answer(outcome)))
    else:
        _print(outcome, further)
    docs = options.docs or (ROOT / "docs" if settings.is_published else None)
    if docs is not None:
        pictures = examples.examples(settings, engine.full, _simulating)
        for path in write_page(outcome, pictures, further, docs):
            print(f"wrote {path}", file=sys.stderr)
    simulated = all(verdict.holds for verdict in outcome.full.verdicts())
    return 0 if simulated and all(section.holds for section in further) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fidelity",
        description="Judge the analysis of the engine by simulation and by measurements. What was "
        "simulated before is kept in .fidelity/.",
    )
    parser.add_argument("--points", type=int, default=POINTS, help="operating points of the grid")
    parser.add_argument("--sized", type=int, default=SIZED, help="replicas to size")
    parser.add_argument("--seed", type=int, default=SEED, help="of the drawing")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes that simulate"
    )
    parser.add_argument(
        "--runs", type=int, default=4, help="independent runs of a point that stays imprecise"
    )
    parser.add_argument("--format", choices=("table", "json"), default="table")
    parser.add_argument(
        "--docs",
        type=Path,
        help="folder to write the page to (docs/ for the published grid, else none)",
    )
    return parser


def _simulating(title: str, total: int) -> AbstractContextManager[Callable[[], None]]:
    return progress(f"Simulating {title}", total)


def _print(outcome: Outcome, further: Sequence[Section]) -> None:
    console = Console(width=max(Console().width, 150))
    console.print(precision(outcome.full))
    for table in (
        verdict_table(outcome.full, outcome.formulas),
        regime_table(outcome.full),
        worst_table(outcome.full, 20),
        reference_table(outcome),
        sizing_table(outcome),
    ):
        console.print(table.rich())
    console.print(f"All points were predicted in {outcome.predicting_s:.2f} s.")
    for section in further:
        console.print(f"\n{section.title}\n\n{section.text}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
