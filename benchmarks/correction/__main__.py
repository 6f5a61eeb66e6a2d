"""`python -m benchmarks.correction`: simulate examples, fit the networks, and judge them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.correction.examples import missing, read, write
from benchmarks.correction.judging import judged
from benchmarks.correction.learning import Lesson, fitted
from benchmarks.correction.table import tables
from benchmarks.fidelity.progress import progress
from benchmarks.fidelity.store import FOLDER, ROOT
from benchmarks.fidelity.work import as_they_come
from queueing.engine.network import Network

EXAMPLES = 30_000
HELD_BACK = 8
"""One example of so many is kept from the fit that is judged."""
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
    networks: dict[str, Network] = {}
    for name, table in tables(examples).items():
        held = np.arange(len(examples)) % HELD_BACK == 0
        with progress(f"Fitting {name}", 2 * lesson.passes) as on_done:
            known = table.take(~held)
            trial = fitted(known.traits, known.missed, known.weight, lesson, on_done)
            networks[name] = fitted(table.traits, table.missed, table.weight, lesson, on_done)
        Console(width=100).print(judged(name, trial, table.take(held), wide[held]))
    if not options.dry_run:
        arrays = {
            f"{name}.{key}": values
            for name, network in networks.items()
            for key, values in network.arrays().items()
        }
        np.savez_compressed(STORED, allow_pickle=False, **arrays)
        print(f"wrote {STORED.relative_to(ROOT)}", file=sys.stderr)
    return 0


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
