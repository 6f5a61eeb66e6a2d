"""The figures of an outcome as tables."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.fidelity.campaign import EFFORT, Outcome
from benchmarks.fidelity.case import Replica
from benchmarks.fidelity.comparison import JUDGED, LIMITED, LOADED, Comparison
from benchmarks.fidelity.predicted import SATURATION, Figure
from benchmarks.fidelity.regimes import Regime, regimes
from benchmarks.fidelity.sizing import BEYOND, BROKEN, KEPT, TOLERANCE, SizingVerdict
from benchmarks.fidelity.tables import Table, pair, share
from queueing.arrays import BoolArray

FEWEST = 5
"""Points that a regime must have to be called worse."""


def verdict_table(comparison: Comparison, formulas: Comparison) -> Table:
    """Return errors and limits of every figure, and the errors of the formulas alone."""
    quiet = comparison.quiet()
    holds = {verdict.judged.name: verdict.holds for verdict in comparison.verdicts()}
    rows = []
    for judged in JUDGED:
        below = comparison.errors(judged.figure, quiet)
        above = comparison.errors(judged.figure, ~quiet)
        alone = formulas.errors(judged.figure, quiet)
        limit = (
            f"{100 * judged.median:g}% / {100 * judged.high:g}%"
            if judged.median is not None and judged.high is not None
            else ""
        )
        verdict = {True: "holds", False: "**missed**", None: ""}[holds.get(judged.name)]
        rows.append(
            [
                judged.name,
                pair(below.median, below.high),
                share(below.bias),
                limit,
                verdict,
                pair(above.median, above.high),
                pair(alone.median, alone.high),
            ]
        )
    return Table(
        f"Errors at the median / 90th percentile of {quiet.sum()} points up to load {LOADED:g}, "
        f"and of {(~quiet).sum()} above",
        (
            "figure",
            f"up to {LOADED:g}",
            "median, signed",
            "limit",
            "",
            f"above {LOADED:g}",
            f"formulas alone, up to {LOADED:g}",
        ),
        rows,
    )


_BY_REGIME: tuple[tuple[str, Figure], ...] = (
    ("mean ITL", ("itl", "mean")),
    ("p95 ITL", ("itl", "p95")),
    ("mean TTFT", ("ttft", "mean")),
    ("p50 TTFT", ("ttft", "p50")),
    ("p95 TTFT", ("ttft", "p95")),
    ("p99 TTFT", ("ttft", "p99")),
    ("saturation", SATURATION),
)


def regime_table(comparison: Comparison) -> Table:
    """Return errors by regime: over all loads in the groups of loads, else up to the limit's."""
    rows = []
    for regime, selected in _selected(comparison):
        errors = [comparison.errors(which, selected) for _, which in _BY_REGIME]
        rows.append(
            [
                regime.group,
                regime.name,
                str(int(selected.sum())),
                *(pair(item.median, item.high) for item in errors),
            ]
        )
    return Table(
        f"Errors by regime, median / 90th percentile; loads up to {LOADED:g} but in the rows of "
        "load",
        ("", "", "points", *(name for name, _ in _BY_REGIME)),
        rows,
        text_columns=2,
    )


def worse(comparison: Comparison) -> list[str]:
    """Return a sentence for each regime, up to the load of the limits, where one is exceeded."""
    sentences = []
    for regime, selected in _selected(comparison):
        rows = selected & comparison.quiet()
        if rows.sum() < FEWEST:
            continue
        exceeded = []
        for judged in LIMITED:
            errors = comparison.errors(judged.figure, rows)
            if errors.points < FEWEST or judged.median is None or judged.high is None:
                continue
            if errors.median > judged.median or errors.high > judged.high:
                exceeded.append(f"{judged.name} {pair(errors.median, errors.high)}")
        if exceeded:
            sentences.append(
                f"{regime.group} {regime.name} ({rows.sum()} points): {', '.join(exceeded)}"
            )
    return sentences


def _selected(comparison: Comparison) -> Iterator[tuple[Regime, BoolArray]]:
    for regime in regimes():
        rows = regime.rows(comparison.measured)
        if regime.group != "load":
            rows = rows & comparison.quiet()
        if rows.any():
            yield regime, rows


def reference_table(outcome: Outcome) -> Table:
    """Return the errors of both analyses at the points whose parameters the reference knows."""
    full = Comparison(
        outcome.reference.measured, outcome.full.predictions.at(outcome.reference_rows)
    )
    rows = []
    plain = np.array([_plain(item.point.replica) for item in full.measured], dtype=np.bool_)
    quiet = full.quiet()
    for name, figure in (
        ("mean ITL", ("itl", "mean")),
        ("mean TTFT", ("ttft", "mean")),
        ("mean E2E", ("e2e", "mean")),
        ("saturation throughput", SATURATION),
    ):
        row = [name]
        for selected in (quiet, quiet & plain, ~quiet):
            for comparison in (full, outcome.reference):
                errors = comparison.errors(figure, selected)
                row.append(pair(errors.median, errors.high))
        rows.append(row)
    counts = [int(selected.sum()) for selected in (quiet, quiet & plain, ~quiet)]
    headers = [""]
    for text, count in zip(
        (f"up to {LOADED:g}", "of these, plain", f"above {LOADED:g}"), counts, strict=True
    ):
        headers += [f"full: {count} points {text}", "reference"]
    return Table("Both analyses at the same points, median / 90th percentile", headers, rows)


def _plain(replica: Replica) -> bool:
    """Tell whether a replica has nothing that the reference leaves out but random lengths."""
    return (
        replica.arrival_cv == 1.0 and replica.kv_tokens is None and replica.prefix_hit_rate == 0.0
    )


def sizing_table(outcome: Outcome) -> Table:
    """Return what became of sized replicas."""
    verdict = SizingVerdict.of(outcome.sized)
    words = {True: "holds", False: "**missed**"}
    return Table(
        f"{verdict.replicas} replicas sized to p95 targets of TTFT and ITL, simulated",
        ("", "share", "limit", ""),
        [
            ["a rate was found", share(verdict.found), "", ""],
            [
                f"p95 at that rate within {TOLERANCE:g} × target",
                share(verdict.kept),
                f"at least {100 * KEPT:g}%",
                words[verdict.kept >= KEPT],
            ],
            [
                f"{BEYOND:g} × that rate breaks a target",
                share(verdict.broken),
                f"more than {100 * BROKEN:g}%",
                words[verdict.broken > BROKEN],
            ],
            ["largest p95 over target", f"{verdict.worst:.3f}", "", ""],
        ],
    )


def precision(comparison: Comparison) -> str:
    """Return a sentence on how precise the simulations are."""
    missing = np.array([EFFORT.missing(item.truth) for item in comparison.measured])
    means = np.array(
        [
            max(
                (
                    item.truth.half_width(latency, "mean")
                    for latency in ("ttft", "itl")
                    if not np.isnan(item.truth.half_width(latency, "mean"))
                ),
                default=0.0,
            )
            for item in comparison.measured
        ]
    )
    requests = [item.truth.requests for item in comparison.measured]
    return (
        f"{sum(requests):,} requests were simulated, {min(requests):,} to {max(requests):,} for a "
        f"point. At {int((missing > 1).sum())} of {len(missing)} points the longest run left a "
        f"judged figure with a half-width above what was asked for; {int((means > 0.02).sum())} "
        "of them have a mean TTFT or ITL with more than 2%. All count."
    )
