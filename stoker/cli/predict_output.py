"""Predictions at operating points: made, as JSON lines, and as a table."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from stoker.cli.compared import ComparedPoint, itl_error, mean_error, relative_error, ttft_error
from stoker.cli.figures import UNKNOWN, duration_ms
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.measurement import LoadKind, Measurement

if TYPE_CHECKING:
    from data.measurements import FittedProfile
    from profiler.fit import Forecast


@dataclass(frozen=True, slots=True)
class Prediction:
    """A point and what a run at it would show. None is unknown.

    Attributes:
        point: The point, with what was measured there.
        e2e_ms: Arrival to last token.
        throughput_rps: Requests completed per second.
        concurrency: Mean requests in the system.
        saturated: Whether more is offered than the replica carries.
    """

    point: ComparedPoint
    e2e_ms: float | None
    throughput_rps: float | None
    concurrency: float | None
    saturated: bool

    @property
    def e2e_error(self) -> float | None:
        """Relative error of the mean E2E."""
        return relative_error(self.e2e_ms, self.point.row.e2e.mean_ms)

    @property
    def throughput_error(self) -> float | None:
        """Relative error of the throughput."""
        return relative_error(self.throughput_rps, self.point.row.throughput_rps)


def predictions(
    profile: FittedProfile, rows: Sequence[Measurement], wave_share: float = 0.0
) -> list[Prediction]:
    """Return what a profile predicts at points.

    Args:
        profile: The profile.
        rows: The points; latencies in them are not looked at.
        wave_share: Share of the requests of closed loops that all clients send at once.

    Raises:
        InvalidInputError: The profile's model cannot be predicted with.
    """
    forecast = _forecast(profile, rows, wave_share)
    ttft_ms = forecast.typical_ttft_ms(rows)
    return [
        Prediction(
            ComparedPoint(row, _known(ttft_ms[index]), _known(forecast.itl_ms[index]), used=False),
            _known(forecast.e2e_ms[index]),
            _known(forecast.throughput_rps[index]),
            _known(forecast.concurrency[index]),
            bool(forecast.saturated[index]),
        )
        for index, row in enumerate(rows)
    ]


def _forecast(profile: FittedProfile, rows: Sequence[Measurement], wave_share: float) -> Forecast:
    from profiler.fit import predict

    memory = math.inf if profile.kv_tokens is None else float(profile.kv_tokens)
    try:
        parameters = {**profile.parameters, "wave_share": wave_share, "kv_tokens": memory}
        return predict(profile.kind, parameters, rows, profile.curve)
    except ValueError as error:
        raise InvalidInputError([Problem("", str(error))]) from error


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def json_lines(made: Sequence[Prediction]) -> str:
    """Return predictions as JSON, a line a point; what is unknown is null."""
    return "".join(
        f"{json.dumps(point_document(item), ensure_ascii=False, allow_nan=False)}\n"
        for item in made
    )


def point_document(item: Prediction) -> dict[str, object]:
    """Return a prediction as a document; `error` stands only where something was measured."""
    row = item.point.row
    document: dict[str, object] = {
        "id": row.name,
        "model": row.model,
        "gpu": row.gpu,
        "n_gpus": row.n_gpus,
        "in_tokens": row.in_tokens,
        "out_tokens": row.out_tokens,
        row.load_kind.value: row.load,
        "ttft_ms": item.point.ttft_ms,
        "itl_ms": item.point.itl_ms,
        "e2e_ms": item.e2e_ms,
        "throughput_rps": item.throughput_rps,
        "concurrency_mean": item.concurrency,
        "saturated": item.saturated,
    }
    errors = {
        "ttft": item.point.ttft_error,
        "itl": item.point.itl_error,
        "e2e": item.e2e_error,
        "throughput": item.throughput_error,
    }
    if any(value is not None for value in errors.values()):
        document["error"] = errors
    return document


def points_table(made: Sequence[Prediction]) -> RenderableType:
    """Return predictions as a table, with measured figures and errors where there are any."""
    points = [item.point for item in made]
    measured = any(
        error is not None for point in points for error in (point.ttft_error, point.itl_error)
    )
    table = Table(
        title="Predicted operating points",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        padding=(0, 1),
    )
    table.add_column("Point", overflow="fold", max_width=30)
    for heading in ("Tokens\nin", "Tokens\nout", "Load", "TTFT\nms", "ITL\nms"):
        table.add_column(heading, justify="right")
    if measured:
        for heading in ("TTFT ms\nmeasured", "error", "ITL ms\nmeasured", "error"):
            table.add_column(heading, justify="right")
    for heading in ("E2E\nms", "Done\nreq/s", "In the\nsystem"):
        table.add_column(heading, justify="right")
    for item in made:
        table.add_row(*_cells(item, measured=measured))
    if not measured:
        return table
    means = (mean_error(points, ttft_error), mean_error(points, itl_error))
    told = ", ".join(
        f"{name} {UNKNOWN if mean is None else f'{mean:.1%}'}"
        for name, mean in zip(("TTFT", "ITL"), means, strict=True)
    )
    return Group(table, Text(f"Mean of |predicted − measured| / measured over all: {told}."))


def _cells(item: Prediction, *, measured: bool) -> list[str]:
    point, row = item.point, item.point.row
    unit = "req/s" if row.load_kind is LoadKind.RATE else "clients"
    cells = [
        row.name,
        f"{row.in_tokens:,.0f}",
        f"{row.out_tokens:,.0f}",
        f"{row.load:,.4g} {unit}",
        "grows" if point.ttft_ms is None and item.saturated else duration_ms(point.ttft_ms),
        duration_ms(point.itl_ms),
    ]
    if measured:
        cells += [
            duration_ms(row.ttft.typical_ms),
            _error(point.ttft_error),
            duration_ms(row.itl.mean_ms),
            _error(point.itl_error),
        ]
    return [
        *cells,
        duration_ms(item.e2e_ms),
        UNKNOWN if item.throughput_rps is None else f"{item.throughput_rps:,.4g}",
        UNKNOWN if item.concurrency is None else f"{item.concurrency:,.4g}",
    ]


def _error(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:+.1%}"
