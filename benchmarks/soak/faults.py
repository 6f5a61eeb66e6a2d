"""`python -m benchmarks.soak.faults`: break the world of the loop in every way, several times.

The faults are those of `tests/control/test_faults*.py`; here each is caused more often, and what
came of it becomes the table of docs/reliability.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from benchmarks.soak.machine import ran_on
from demos.report import numbers_table

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- faults: generated -->", "<!-- faults: end -->"
TURNS, FINDINGS = "STOKER_FAULT_TURNS", "STOKER_FAULT_FINDINGS"
MOST_CYCLES = 2


@dataclass(frozen=True, slots=True)
class Injection:
    """What came of one fault that was caused once.

    Attributes:
        fault: What was caused, in words.
        wrong: Scale-downs that rested on something unknown, or went below what the load needs.
        lost: Crashes after which the loop did not go on.
        cycles: Cycles from the end of the fault, or from when its signal could be answered again,
            to the first one that decided as without it, that one included; None for never.
        seconds: Time from the end of the fault until that cycle had decided; None for never.
        beside: What the other server did meanwhile.
        status: What `stoker control status` said.
        metric: What the loop's metrics said.
        event: What the events said.
    """

    fault: str
    wrong: int
    lost: int
    cycles: int | None
    seconds: float | None
    beside: str
    status: str
    metric: str
    event: str

    @property
    def holds(self) -> bool:
        """Whether it went as promised."""
        calm = self.wrong == 0 and self.lost == 0
        return calm and self.cycles is not None and self.cycles <= MOST_CYCLES


def note(injection: Injection) -> None:
    """Write down what came of a fault, where the campaign asks for it."""
    path = os.environ.get(FINDINGS)
    if path:
        with Path(path).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(asdict(injection)) + "\n")


def read(path: Path) -> list[Injection]:
    """Return what was noted."""
    if not path.exists():
        return []
    return [Injection(**json.loads(line)) for line in path.read_text("utf-8").splitlines()]


HEADS = (
    "fault",
    "caused",
    "wrong scale-downs",
    "crashes without recovery",
    "cycles to recovery, at most",
    "seconds to recovery, at most",
    "the other server, while it lasts",
    "status",
    "metric",
    "event",
)


def rows(found: Sequence[Injection]) -> list[tuple[str, ...]]:
    """Return a row for each fault, in the order in which they were first caused."""
    by_fault: dict[str, list[Injection]] = {}
    for each in found:
        by_fault.setdefault(each.fault, []).append(each)
    return [(fault, *_figures(caused)) for fault, caused in by_fault.items()]


def _figures(caused: Sequence[Injection]) -> tuple[str, ...]:
    cycles = [each.cycles for each in caused]
    told = [each for each in cycles if each is not None]
    return (
        str(len(caused)),
        str(sum(each.wrong for each in caused)),
        str(sum(each.lost for each in caused)),
        str(max(told)) if len(told) == len(cycles) else "never",
        "never"
        if len(told) < len(cycles)
        else f"{max(each.seconds or 0.0 for each in caused):.0f}",
        caused[-1].beside,
        caused[-1].status,
        caused[-1].metric,
        caused[-1].event,
    )


def section(found: Sequence[Injection], command: str, machine: str) -> str:
    """Return the part of the page in Markdown."""
    total: Mapping[str, int] = {
        "caused": len(found),
        "wrong": sum(each.wrong for each in found),
        "lost": sum(each.lost for each in found),
    }
    never = sum(each.cycles is None for each in found)
    slowest = max((each.cycles for each in found if each.cycles is not None), default=0)
    longest_s = max((each.seconds for each in found if each.seconds is not None), default=0.0)
    return "\n".join(
        [
            BEGIN,
            "",
            f"`{command}`",
            "",
            machine,
            "",
            f"{total['caused']} faults were caused: {total['wrong']} wrong scale-downs, "
            f"{total['lost']} crashes without recovery, {never} without an end; recovery took "
            f"{slowest} cycle{'s' if slowest > 1 else ''}, or {longest_s:.0f} seconds, at most.",
            "",
            f"| {' | '.join(HEADS)} |",
            f"|{'---|' * len(HEADS)}",
            *(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows(found)),
            "",
            END,
        ]
    )


def write(page: Path, text: str) -> None:
    """Put the part into the page, in the place of the one that is there."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(before + text + after, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Cause the faults; return 0 if everything promised holds, 1 if not."""
    parser = argparse.ArgumentParser(prog="benchmarks.soak.faults", description=__doc__)
    parser.add_argument("--turns", type=int, default=3, help="how often each is caused")
    parser.add_argument(
        "--docs",
        type=lambda text: Path(text) if text else None,
        default=ROOT / "docs",
        metavar="DIR",
        help="where reliability.md is; empty to write nothing",
    )
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as folder:
        findings = Path(folder) / "findings.jsonl"
        tests = sorted(str(path) for path in (ROOT / "tests" / "control").glob("test_faults*.py"))
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *tests],
            cwd=ROOT,
            env={**os.environ, TURNS: str(options.turns), FINDINGS: str(findings)},
            check=False,
        )
        found = read(findings)
    Console(width=200).print(numbers_table(HEADS[:7], [row[:7] for row in rows(found)]))
    if options.docs is not None and found:
        write(options.docs / "reliability.md", section(found, "make soak", ran_on()))
    return 0 if ended.returncode == 0 and found and all(each.holds for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
