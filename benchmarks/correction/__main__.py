"""`python -m benchmarks.correction`: simulate examples, fit the networks, and judge them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.correction.examples import missing, read, write
from benchmarks.correction.folds import FOLDS, folds
from benchmarks.correction.judging import judged, judged_margins
from benchmarks.correction.learning import Lesson, fitted
from benchmarks.correction.margins import CAREFUL, LESSON, SEVERAL, fitted_margins, margins
from benchmarks.correction.table import Table, tables
from benchmarks.fidelity.progress import progress
from benchmarks.fidelity.store import FOLDER, ROOT
from benchmarks.fidelity.work import as_they_come
from queueing.engine.correction import SIZED, careful_of, margin_of
from queueing.engine.network import Network

EXAMPLES = 42_000
HELD_BACK = 8
"""One example of so many is kept from the fit of margins that is judged."""
STORED = ROOT / "queueing" / "engine" / "correction.npz"


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate what is missing, fit, print how good that is, and write the networks."""
    options = _parser().parse_args(arguments)
    path: Path = options.examples
    if tasks := missing(options.count, read(path) if path.exists() else []):
        with progress("Simulating examples", len(tasks)) as on_done:
            for _ in write((example for _, example in as_they_come(tasks, options.jobs)), path):
                on_done()
    examples = read(path)
    wide = np.array([example.replica.family == "wide" for example in examples])
    lesson = Lesson(passes=options.passes)
    known = tables(examples)
    with progress("Fitting to parts", FOLDS * len(known) * lesson.passes) as on_done:
        by = folds(known, lesson, on_done)
    networks: dict[str, Network] = {}
    for name, table in known.items():
        with progress(f"Fitting {name}", lesson.passes) as on_done:
            networks[name] = _fitted(table, lesson, on_done)
        Console(width=100).print(judged(name, by.told(name, table.traits), table, wide))
    for name in SIZED:
        with progress(f"Fitting {name} carefully", CAREFUL.passes) as on_done:
            networks[careful_of(name)] = _fitted(known[name], CAREFUL, on_done)
        table = margins(name, examples, by)
        held = table.example % HELD_BACK == 0
        with progress(f"Fitting margins of {name}", 2 * SEVERAL * LESSON.passes) as on_done:
            trial = fitted_margins(table.take(~held), on_done)
            networks[margin_of(name)] = fitted_margins(table, on_done)
        Console(width=100).print(judged_margins(name, trial, table.take(held)))
    if not options.dry_run:
        arrays = {
            f"{name}.{key}": values
            for name, network in networks.items()
            for key, values in network.arrays().items()
        }
        np.savez_compressed(STORED, allow_pickle=False, **arrays)
        print(f"wrote {STORED.relative_to(ROOT)}", file=sys.stderr)
    return 0


def _fitted(table: Table, lesson: Lesson, on_pass: Callable[[], None]) -> Network:
    return fitted(table.traits, table.missed, table.weight, lesson, on_pass)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.correction",
        description="Fit the correction of the analysis of the engine to simulated replicas.",
    )
    parser.add_argument("--count", type=int, default=EXAMPLES, help="examples to have at least")
    parser.add_argument(
        "--examples", type=Path, default=FOLDER / "examples.jsonl", help="file they are kept in"
    )
    parser.add_argument("--passes", type=int, default=Lesson().passes, help="of the fit")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes that simulate"
    )
    parser.add_argument("--dry-run", action="store_true", help="judge, and write nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
