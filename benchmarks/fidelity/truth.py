"""How far fitted models are from measurements on real accelerators that they did not see.

Usage: ``python -m benchmarks.fidelity.truth [FOLDER]``, with the folder of the measurements
(``../shared/truth`` by default). Every error is a mean relative error of the median TTFT (of the
mean where the median is unknown) and of the mean ITL, and every prediction knows the offered load,
the lengths, the limits of the engine and the length of the run: nothing that was measured in it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.fidelity.tables import Table, share
from benchmarks.fidelity.truth_percentiles import percentile_rows
from benchmarks.fidelity.truth_rows import TRUTH, TruthRow, rows_of
from profiler.fit import CrossValidation, FitResult, fit, predict
from profiler.fit.points import Points
from profiler.fit.shapes import shapes
from stoker.domain.measurement import LoadKind, Measurement

SHAPES = "llama8b_h100_vllm_shapes.jsonl"
LOOPS = "closed_loop_sweeps.jsonl"
_CLOSED_MODEL = "Llama-3.1-70B"
_LEAST_ROWS = 10
_DIAGONAL = 0.5
"""Logarithm of output over prompt tokens within which a shape is on the diagonal."""


def report(path: Path = TRUTH) -> list[TruthRow]:
    """Return all errors; none where there are no measurements."""
    if not path.is_dir():
        return []
    return [*shape_rows(path), *loop_rows(path), *percentile_rows(path)]


def shape_rows(path: Path, model: str = "overlap") -> list[TruthRow]:
    """Return the errors on sixteen shapes of requests in open loop, left out in three ways."""
    rows = rows_of(path / SHAPES)
    latency = [row for row in rows if "saturated" not in row.quality]
    group = _name(rows[0])
    whole = fit(rows, model, cross_validation=CrossValidation.SHAPE)
    diagonal = [row for row in latency if _on_diagonal(row)]
    others = [row for row in latency if not _on_diagonal(row)]
    top = _top_loads(latency, 2)
    below = [row for row in latency if row.name not in {each.name for each in top}]
    return [
        _validated("leave one shape out", group, whole, {"TTFT": 0.13, "ITL": 0.06}),
        _held_out(
            "four diagonal shapes, the other twelve",
            group,
            fit(diagonal, model, cross_validation=CrossValidation.NONE),
            others,
            {"TTFT": 0.20, "ITL": 0.10},
        ),
        _held_out(
            "without the top two loads of each shape, those",
            group,
            fit(below, model, cross_validation=CrossValidation.NONE),
            top,
            {},
        ),
    ]


def loop_rows(path: Path, model: str = "overlap") -> list[TruthRow]:
    """Return the errors of closed loops, one shape left out, for each deployment with ten rows."""
    results = []
    for members in _groups(rows_of(path / LOOPS)):
        if len(members) < _LEAST_ROWS:
            continue
        limits = {"TTFT": 0.20, "ITL": 0.08} if _CLOSED_MODEL in members[0].model else {}
        result = fit(members, model, cross_validation=CrossValidation.SHAPE)
        if result.cross_validated is not None:
            name = "leave one shape out, closed loop"
            results.append(_validated(name, _name(members[0]), result, limits))
    return sorted(results, key=lambda row: (not row.limits, row.group))


def table(rows: Iterable[TruthRow], title: str = "Against real accelerators") -> Table:
    """Return errors as a table; those above their limit are marked."""
    headers = ["predicted", "deployment", "model", "points", "TTFT", "ITL", "percentiles", ""]
    return Table(title, headers, [_cells(row) for row in rows], text_columns=3)


def _cells(row: TruthRow) -> list[str]:
    def cell(name: str) -> str:
        if name not in row.errors:
            return ""
        limit = f" (≤ {share(row.limits[name])})" if name in row.limits else ""
        return f"{share(row.errors[name])}{limit}"

    rest = [f"{name} {cell(name)}" for name in row.errors if name not in {"TTFT", "ITL"}]
    missed = f"missed: {', '.join(row.missed)}" if row.missed else ""
    what = [row.test, row.group, row.model, f"{row.n}"]
    return [*what, cell("TTFT"), cell("ITL"), "; ".join(rest), missed]


def _validated(test: str, group: str, result: FitResult, limits: dict[str, float]) -> TruthRow:
    error = result.cross_validated
    if error is None or error.ttft is None or error.itl is None:
        raise ValueError(f"{group}: no cross-validation of {result.model}")
    errors = {"TTFT": error.ttft, "ITL": error.itl}
    return TruthRow(test, group, result.model, error.n, errors, limits)


def _held_out(
    test: str, group: str, result: FitResult, held: Sequence[Measurement], limits: dict[str, float]
) -> TruthRow:
    predicted = predict(result.model, result.parameters, held, result.table)
    errors = {
        "TTFT": _mean_error(
            predicted.typical_ttft_ms(held).tolist(), held, lambda row: row.ttft.typical_ms
        ),
        "ITL": _mean_error(predicted.itl_ms.tolist(), held, lambda row: row.itl.mean_ms),
    }
    return TruthRow(test, group, result.model, len(held), errors, limits)


def _mean_error(
    predicted: Sequence[float],
    rows: Sequence[Measurement],
    measured: Callable[[Measurement], float | None],
) -> float:
    pairs = [(p, measured(row)) for p, row in zip(predicted, rows, strict=True)]
    return float(np.mean([abs(p / m - 1.0) for p, m in pairs if m is not None]))


def _on_diagonal(row: Measurement) -> bool:
    return abs(float(np.log(row.out_tokens / row.in_tokens))) < _DIAGONAL


def _top_loads(rows: Sequence[Measurement], count: int) -> list[Measurement]:
    """Return the rows of the highest rates of each shape."""
    numbers = shapes(Points.of(rows))
    top = []
    for number in np.unique(numbers):
        members = [rows[int(index)] for index in np.flatnonzero(numbers == number)]
        rates = [row for row in members if row.load_kind is LoadKind.RATE]
        top += sorted(rates, key=lambda row: row.load)[-count:]
    return top


def _groups(rows: Iterable[Measurement]) -> list[list[Measurement]]:
    groups: dict[tuple[str | int | None, ...], list[Measurement]] = {}
    for row in rows:
        groups.setdefault(tuple(row.group().values()), []).append(row)
    return list(groups.values())


def _name(row: Measurement) -> str:
    parts = [row.model.split("/")[-1], f"{row.n_gpus}× {row.gpu}", row.precision, row.engine]
    return ", ".join(part for part in parts if part)


def main() -> int:
    """Print the table; 1 where a limit is missed."""
    rows = report(Path(sys.argv[1]) if len(sys.argv) > 1 else TRUTH)
    Console(width=200).print(table(rows).rich())
    return 1 if any(row.missed for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
