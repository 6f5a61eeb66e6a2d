"""What a soak found, as a table to print and as a part of docs/reliability.md."""

from __future__ import annotations

import math
from pathlib import Path

from benchmarks.soak.measure import LEAST_ATTAINMENT, MOST_COST, MOST_TURNS, Verdict
from benchmarks.soak.scenario import (
    HIGH_RPS,
    ITL_P95_MS,
    LOW_RPS,
    PERIOD_S,
    TTFT_P95_MS,
    Rules,
    Shape,
    Soak,
)
from stoker.domain.errors import StokerError

_SHAPES = {
    Shape.RAMP: f"{LOW_RPS:g} requests/s, up to {HIGH_RPS:g} in a straight line, and back",
    Shape.SINUS: f"{(LOW_RPS + HIGH_RPS) / 2:g} requests/s, and then one sinus wave of 26 minutes "
    f"up to {HIGH_RPS:g}, down to {LOW_RPS:g} and back",
}
_RULES = {
    Rules.SHORT: "Memory and windows of the loop are those of a short day (below).",
    Rules.DEFAULT: "The control document names the mode `act` and nothing else: all settings are "
    "the defaults.",
}


def name_of(soak: Soak) -> str:
    """Return what a soak is called in the page: another name for each load and settings."""
    if (soak.shape, soak.rules) == (Shape.RAMP, Rules.SHORT):
        return "soak"
    return f"soak-{soak.rules}-{soak.shape}"


def picture_of(soak: Soak) -> str:
    """Return where its picture is, from the folder of the page."""
    return f"images/reliability/{name_of(soak)}.png"


def rows(verdict: Verdict) -> list[tuple[str, str, str]]:
    """Return what was promised, how it came out, and whether it holds."""
    holds = verdict.holds()
    said = {True: "holds", False: "missed"}
    most = max(phase.turns for phase in verdict.phases)
    first = ""
    if verdict.first_step_s is not None:
        end_s = verdict.first_step_s + verdict.startup_s
        first = f" ({verdict.first_step_s:.0f}–{end_s:.0f} s)"
    return [
        (
            f"requests within both targets, but for the start-up of the first step{first}: "
            f"at least {LEAST_ATTAINMENT:.0%}",
            f"{verdict.attainment_outside:.2%}",
            said[holds["attainment"]],
        ),
        (
            "left out by that, and how many of them were within both targets",
            f"{verdict.left_out:,}, {_share(verdict.attainment_left_out)}",
            "",
        ),
        ("the same of all requests", f"{verdict.attainment:.2%} of {verdict.requests:,}", ""),
        (
            "p95 of TTFT and ITL over the whole run",
            f"{verdict.ttft_p95_ms:.0f} ms, {verdict.itl_p95_ms:.1f} ms",
            "",
        ),
        (
            f"direction changes of the replicas in a phase: at most {MOST_TURNS}",
            f"{most}",
            said[holds["calm"]],
        ),
        (
            f"cost over that of one who knows the load: at most {MOST_COST:g}",
            f"{verdict.cost_ratio:.3f}",
            said[holds["cost"]],
        ),
        (
            "replica hours: the loop, and by hindsight",
            f"{verdict.replica_s / 3600:.3f}, {verdict.clairvoyant_s / 3600:.3f}",
            "",
        ),
        (
            "cycles; the slowest; those in which something was unknown",
            f"{verdict.cycles}; {verdict.slowest_cycle_s:.1f} s; {verdict.unknown_cycles}",
            "",
        ),
    ]


def phase_rows(verdict: Verdict) -> list[tuple[str, ...]]:
    """Return a row for each phase."""
    return [
        (
            phase.name,
            f"{phase.start_s:.0f}–{phase.end_s:.0f} s",
            f"{phase.requests:,}",
            _share(phase.attainment),
            _share(phase.attainment_outside),
            f"{phase.least}–{phase.most}",
            f"{phase.turns}",
        )
        for phase in verdict.phases
    ]


PHASE_HEADS = (
    "phase",
    "from–to",
    "requests",
    "attained",
    "but for the first start-up",
    "replicas",
    "direction changes",
)


def section(verdict: Verdict, soak: Soak, command: str, ran_on: str) -> str:
    """Return the part of the page in Markdown.

    Args:
        verdict: Its figures.
        soak: What was played.
        command: What plays it again.
        ran_on: On what it was played.
    """
    begin, end = marks(name_of(soak))
    return "\n".join(
        [
            begin,
            "",
            f"`{command}`",
            "",
            ran_on,
            "",
            f"Offered load: {_SHAPES[soak.shape]}; seed {soak.seed}. A cycle each "
            f"{PERIOD_S / verdict.speed:g} s, a replica starts in {verdict.startup_s:g} s, targets "
            f"TTFT p95 {TTFT_P95_MS:g} ms and ITL p95 {ITL_P95_MS:g} ms. "
            f"{_compressed(verdict.speed)} {_RULES[soak.rules]}",
            "",
            "| promised | found | |",
            "|---|---|---|",
            *(f"| {' | '.join(row)} |" for row in rows(verdict)),
            "",
            f"| {' | '.join(PHASE_HEADS)} |",
            f"|{'---|' * len(PHASE_HEADS)}",
            *(f"| {' | '.join(row)} |" for row in phase_rows(verdict)),
            "",
            f"![Load, replicas, latency and decisions of the soak]({picture_of(soak)})",
            "",
            end,
        ]
    )


def _compressed(speed: float) -> str:
    if speed == 1:
        return "Nothing was compressed."
    return (
        f"Compressed {speed:g} times: phases, cycles, start-up, windows and scrapes are that much "
        "shorter. Rates and the times of the requests themselves are not, so that a window holds "
        f"{speed:g} times fewer requests, and a request lasts {speed:g} times longer beside a "
        "cycle: both make it harder for the loop."
    )


def _share(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2%}"


def marks(name: str) -> tuple[str, str]:
    """Return the lines between which a part of the page is."""
    return f"<!-- {name}: generated -->", f"<!-- {name}: end -->"


def write(page: Path, name: str, text: str) -> None:
    """Put a part into the page, in the place of the one that is there.

    Raises:
        StokerError: The page has no such part, or has it more than once.
    """
    begin, end = marks(name)
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, ended, after = rest.partition(end)
    if not (found and ended):
        raise StokerError(f"{page.name} has no part from {begin!r} to {end!r}")
    if begin in after:
        raise StokerError(f"{page.name} has {begin!r} more than once: remove all but one")
    page.write_text(before + text + after, encoding="utf-8")
