"""`python -m benchmarks.soak`: play the soak, judge it, and write docs/reliability.md."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console, Group
from rich.text import Text

from benchmarks.soak import page
from benchmarks.soak.machine import ran_on
from benchmarks.soak.measure import Verdict, judge
from benchmarks.soak.scenario import (
    COST_PER_HOUR,
    ITL_P95_MS,
    LOAD,
    SERVER,
    TTFT_P95_MS,
    Rules,
    Shape,
    Soak,
    fleet_document,
)
from controller.record import CycleRecord
from demos.cluster.closed_loop import ClosedLoop, cluster, looping, wait_until
from demos.cluster.figures import course_figure, course_of
from demos.cluster.hindsight import rates_of_one
from demos.cluster.moment import Watched
from demos.report import numbers_table
from stoker.cli.plots import write_figure
from stoker.domain.errors import StokerError

ROOT = Path(__file__).parents[2]
_LAST_REQUESTS_S = 15.0
_TITLES = {
    Shape.RAMP: "A ramp to five times the load, and back",
    Shape.SINUS: "A wave of five times the load",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the soak; return 0 if everything promised holds, 1 if not, 2 if it cannot run."""
    parser = _parser()
    options = parser.parse_args(arguments)
    soak = Soak(options.speed, options.seed, Shape(options.load), Rules(options.settings))
    if soak.rules is Rules.DEFAULT and soak.speed != 1:
        parser.error(f"--speed is {soak.speed:g}, but default settings are not compressed: 1")
    try:
        with TemporaryDirectory() as folder, cluster(soak.setup(), Path(folder)) as found:
            with looping(found, lambda record: _tell(found, record)):
                wait_until(found, soak.load.duration_s, lambda _: None)
            time.sleep(_LAST_REQUESTS_S)  # those sent last are still on their way
            verdict = publish(soak, found, options.docs, options.format)
    except StokerError as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if all(verdict.holds().values()) else 1


def publish(soak: Soak, found: ClosedLoop, docs: Path | None, format: str) -> Verdict:
    """Judge a soak that is over, print the figures, and write them into the page."""
    one = rates_of_one(fleet_document(), {SERVER: LOAD})[SERVER]
    verdict = judge(soak, found, one)
    if format == "json":
        print(json.dumps({**asdict(verdict), "holds": verdict.holds()}))
    else:
        tables = (
            numbers_table(("promised", "found", ""), page.rows(verdict)),
            numbers_table(page.PHASE_HEADS, page.phase_rows(verdict)),
        )
        Console().print(Group(Text(""), tables[0], Text(""), tables[1]))
    if docs is not None:
        watched = Watched(SERVER, "H100", soak.load, TTFT_P95_MS, ITL_P95_MS, COST_PER_HOUR)
        course = course_of(found, watched, one, soak.load.duration_s)
        figure = course_figure([course], _TITLES[soak.shape], 60.0, "minutes")
        picture = docs / page.picture_of(soak)
        picture.parent.mkdir(parents=True, exist_ok=True)
        write_figure(figure, picture)
        text = page.section(verdict, soak, command_of(soak), ran_on())
        page.write(docs / "reliability.md", page.name_of(soak), text)
    return verdict


def command_of(soak: Soak) -> str:
    """Return the command that plays a soak."""
    plain = Soak()
    told = (
        ("speed", f"{soak.speed:g}", soak.speed != plain.speed),
        ("settings", soak.rules, soak.rules is not plain.rules),
        ("load", soak.shape, soak.shape is not plain.shape),
        ("seed", soak.seed, soak.seed != plain.seed),
    )
    options = " ".join(f"--{name} {value}" for name, value, other in told if other)
    return f"python -m benchmarks.soak {options}" if options else "make soak"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.soak", description=__doc__)
    parser.add_argument("--speed", type=float, default=1.0, help="what all times are divided by")
    parser.add_argument("--seed", type=int, default=0, help="of the requests")
    parser.add_argument(
        "--settings",
        choices=list(Rules),
        default=Rules.SHORT,
        help="what the loop is told: windows for a short day, or nothing (the defaults)",
    )
    parser.add_argument(
        "--load",
        choices=list(Shape),
        default=Shape.RAMP,
        help="how the load comes and goes",
    )
    parser.add_argument("--format", choices=["table", "json"], default="table")
    parser.add_argument(
        "--docs",
        type=lambda text: Path(text) if text else None,
        default=ROOT / "docs",
        metavar="DIR",
        help="where reliability.md is; empty to write nothing",
    )
    return parser


def _tell(found: ClosedLoop, record: CycleRecord) -> None:
    """Print a cycle in a line on standard error."""
    told = record.document["servers"][SERVER]
    rates = [
        "?" if part is None else f"{part['arrival_rate_rps']:.1f}"
        for part in (told["load"], told["forecast"])
    ]
    decision = told["decision"] or {}
    targets = ", ".join(
        f"{each['replicas_before']} -> {each['replicas']}" for each in decision.get("targets", ())
    )
    print(
        f"{record.at - found.began_at:7.1f} s  {rates[0]:>6} requests/s, planned for "
        f"{rates[1]:>6}: {targets or ', '.join(decision.get('held', ())) or 'stays'}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    sys.exit(main())
