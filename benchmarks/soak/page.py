"""What a soak found, as a table to print and as a part of docs/reliability.md."""

from __future__ import annotations

from pathlib import Path

from benchmarks.soak.measure import LEAST_ATTAINMENT, MOST_COST, MOST_TURNS, Verdict
from benchmarks.soak.scenario import (
    HIGH_RPS,
    ITL_P95_MS,
    LOW_RPS,
    PERIOD_S,
    STARTUP_S,
    TTFT_P95_MS,
)

BEGIN, END = "<!-- soak: generated -->", "<!-- soak: end -->"
PICTURE = "images/reliability/soak.png"


def rows(verdict: Verdict) -> list[tuple[str, str, str]]:
    """Return what was promised, how it came out, and whether it holds."""
    holds = verdict.holds()
    said = {True: "holds", False: "missed"}
    most = max(phase.turns for phase in verdict.phases)
    first = "" if verdict.first_step_s is None else f" (from {verdict.first_step_s:.0f} s on)"
    return [
        (
            f"requests within both targets, but for the start-up of the first step{first}: "
            f"at least {LEAST_ATTAINMENT:.0%}",
            f"{verdict.attainment_outside:.2%}",
            said[holds["attainment"]],
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
            f"{phase.attainment:.2%}",
            f"{phase.least}–{phase.most}",
            f"{phase.turns}",
        )
        for phase in verdict.phases
    ]


PHASE_HEADS = ("phase", "from–to", "requests", "attained", "replicas", "direction changes")


def section(verdict: Verdict, command: str) -> str:
    """Return the part of the page in Markdown."""
    return "\n".join(
        [
            BEGIN,
            "",
            f"`{command}`",
            "",
            f"Offered load: {LOW_RPS:g} requests/s, up to {HIGH_RPS:g} in a straight line, and "
            f"back. A cycle each {PERIOD_S / verdict.speed:g} s, a replica starts in "
            f"{STARTUP_S / verdict.speed:g} s, targets TTFT p95 {TTFT_P95_MS:g} ms and ITL p95 "
            f"{ITL_P95_MS:g} ms. {_compressed(verdict.speed)}",
            "",
            "| promised | found | |",
            "|---|---|---|",
            *(f"| {' | '.join(row)} |" for row in rows(verdict)),
            "",
            f"| {' | '.join(PHASE_HEADS)} |",
            f"|{'---|' * len(PHASE_HEADS)}",
            *(f"| {' | '.join(row)} |" for row in phase_rows(verdict)),
            "",
            f"![Load, replicas, latency and decisions of the soak]({PICTURE})",
            "",
            END,
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


def write(page: Path, text: str) -> None:
    """Put the part into the page, in the place of the one that is there."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(before + text + after, encoding="utf-8")
