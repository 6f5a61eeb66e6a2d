"""Sections on measurements of real accelerators, where their files are at hand."""

from __future__ import annotations

from benchmarks.fidelity import truth
from benchmarks.fidelity.report import Section
from tests.roofline.report import TRUTH, comparisons, errors_by_group, macro, table

ITL_LIMIT, LIGHT_LIMIT, CLOSED_LIMIT = 0.20, 0.40, 0.55
"""Largest mean over the groups of their median errors: ITL; TTFT in open loop and with one client;
TTFT in closed loop."""


def sections() -> list[Section]:
    """Return the sections; none where the measurements are missing."""
    if not TRUTH.is_dir():
        return []
    return [_fits(), _roofline()]


def _fits() -> Section:
    rows = truth.report()
    missed = [f"{row.test} ({row.group})" for row in rows if row.missed]
    verdict = f"**Limits are missed: {'; '.join(missed)}.**" if missed else "**All limits hold.**"
    return Section(
        "Against measurements on real accelerators",
        "Models fitted to some rows of public measurements predict rows that the fit did not see, "
        "from the offered load, the lengths, the limits of the engine and the length of the run. "
        "Mean relative errors of median TTFT and mean ITL; percentiles are those of single "
        f"requests.\n\n{verdict}\n\n{truth.table(rows).markdown()}",
        holds=not missed,
    )


def _roofline() -> Section:
    whole = macro(errors_by_group(comparisons()).values())
    judged = [
        (name, error, limit)
        for name, error, limit in (
            ("ITL", whole.itl, ITL_LIMIT),
            ("TTFT in open loop and with one client", whole.ttft_light, LIGHT_LIMIT),
            ("TTFT in closed loop", whole.ttft_closed, CLOSED_LIMIT),
        )
        if error is not None
    ]
    verdicts = [
        f"{name} {error:.1%} (limit {limit:.0%}{'' if error <= limit else ', **missed**'})"
        for name, error, limit in judged
    ]
    return Section(
        "Estimates from specifications",
        "The `roofline` estimate knows a model and a card from public specifications alone "
        "([estimates.md](estimates.md)). Median error of each group, against "
        f"{whole.rows} measured rows; over all groups alike: {'; '.join(verdicts)}.\n\n{table()}",
        holds=all(error <= limit for _, error, limit in judged),
    )
