"""The row of a measured operating point: what each field may hold, and how it becomes a value.

Units stand in the names: `_ms` is milliseconds, `_rps` requests per second, `_tps` tokens per
second, `_s` seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from data.fields import Name
from data.measurements.draft import Draft, Unrecorded
from data.measurements.plausibility import implausible
from data.problems import problems_from_validation
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.measurement import Arrival, LatencyFigures, LoadKind, Measurement

_LARGEST = 1e12
_MOST = 1_000_000_000

BESIDE = {
    "model": "--served-model",
    "gpu": "--gpu",
    "n_gpus": "--n-gpus",
}
"""Fields that every row needs and benchmark files may lack, with the option that gives them."""


def _whole(value: object) -> object:
    """Let 16.0 pass as 16: JSON and CSV have one kind of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_Positive = Annotated[float, Field(gt=0, le=_LARGEST)]
_NotNegative = Annotated[float, Field(ge=0, le=_LARGEST)]
_Count = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=_MOST)]


class RowEntry(BaseModel):
    """A row as it is written. Keys beyond these are ignored: recorders add their own."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, allow_inf_nan=False)

    model: Name
    gpu: Name
    n_gpus: _Count
    engine: str | None = None
    precision: str | None = None
    load_kind: Annotated[LoadKind, Field(strict=False)]
    load: _Positive
    arrival: str | None = None
    arrival_cv: _NotNegative | None = None
    in_tokens: _NotNegative
    out_tokens: Annotated[float, Field(ge=1, le=_LARGEST)]
    in_tokens_std: _NotNegative | None = None
    out_tokens_std: _NotNegative | None = None
    max_batch: _Count | None = None
    max_num_batched_tokens: _Count | None = None
    max_clients: _Count | None = None
    prefix_cache: bool | None = None
    ttft_ms_mean: _Positive | None = None
    ttft_ms_p50: _Positive | None = None
    ttft_ms_p90: _Positive | None = None
    ttft_ms_p99: _Positive | None = None
    itl_ms_mean: _Positive | None = None
    itl_ms_p50: _Positive | None = None
    itl_ms_p90: _Positive | None = None
    itl_ms_p99: _Positive | None = None
    e2e_ms_mean: _Positive | None = None
    e2e_ms_p50: _Positive | None = None
    e2e_ms_p90: _Positive | None = None
    e2e_ms_p99: _Positive | None = None
    throughput_rps: _Positive | None = None
    output_tps: _Positive | None = None
    concurrency_mean: _Positive | None = None
    n_requests: _Count | None = None
    duration_s: _Positive | None = None
    quality: str | None = None
    source: str | None = None
    id: str | None = None
    notes: str | None = None


FIELDS = tuple(RowEntry.model_fields)
"""The fields of a row, in the order in which they are documented."""

_LOADS = {"rate": LoadKind.RATE, "concurrency": LoadKind.CONCURRENCY}


def measurement_of(
    draft: Draft, file: str, beside: Unrecorded, *, measured: bool = True
) -> Measurement:
    """Return a draft as a measurement.

    Args:
        draft: The row as found.
        file: Name of the file, for errors.
        beside: What is known of the server beside the file.
        measured: Whether a row without any TTFT or ITL is refused. Operating points to predict
            have none.

    Raises:
        InvalidInputError: With every problem of the row.
    """
    if draft.problems:
        raise InvalidInputError(
            [Problem(item.path, item.message, item.allowed, file) for item in draft.problems]
        )
    known = {key: value for key, value in asdict(beside).items() if value is not None}
    own = {key: value for key, value in _with_load(draft.values).items() if value is not None}
    try:
        entry = RowEntry.model_validate(known | own)
    except ValidationError as error:
        found = problems_from_validation(error, file, "", RowEntry)
        raise InvalidInputError([_placed(problem, draft) for problem in found]) from error
    row = measurement_of_entry(entry, draft.where)
    problems = [
        Problem(draft.place(item.field), item.message, item.allowed, file)
        for item in implausible(row)
    ]
    if measured and row.ttft.typical_ms is None and row.itl.mean_ms is None:
        allowed = "at least one of ttft_ms_mean, ttft_ms_p50, itl_ms_mean"
        problems.append(Problem(draft.where, "has neither a TTFT nor an ITL", allowed, file))
    if problems:
        raise InvalidInputError(problems)
    return row


def _with_load(values: Mapping[str, object]) -> dict[str, object]:
    """Return the values with `rate` or `concurrency` spelled out as kind and amount of the load."""
    row = dict(values)
    for name, kind in _LOADS.items():
        amount = row.pop(name, None)
        if amount is not None and row.get("load") is None:
            row |= {"load_kind": kind, "load": amount}
    return row


def _placed(problem: Problem, draft: Draft) -> Problem:
    """Return a problem of a field with its place in the file."""
    name, allowed = problem.path, problem.allowed
    message = problem.message
    if message == "is missing" and name in BESIDE:
        message, allowed = "is not recorded", f"{allowed}, here or by {BESIDE[name]}"
    elif message == "is missing" and name in ("load", "load_kind"):
        allowed = "load_kind (rate or concurrency) and load, or one of rate and concurrency"
    return Problem(draft.place(name), message, allowed, problem.file)


def measurement_of_entry(entry: RowEntry, where: str) -> Measurement:
    """Return a row whose fields were checked; it bears its place where it has no name."""
    return Measurement(
        model=entry.model,
        gpu=entry.gpu,
        n_gpus=entry.n_gpus,
        load_kind=entry.load_kind,
        load=entry.load,
        in_tokens=entry.in_tokens,
        out_tokens=entry.out_tokens,
        engine=entry.engine or None,
        precision=entry.precision or None,
        arrival=_arrival(entry),
        arrival_cv=entry.arrival_cv,
        in_tokens_std=entry.in_tokens_std,
        out_tokens_std=entry.out_tokens_std,
        max_batch=entry.max_batch,
        max_num_batched_tokens=entry.max_num_batched_tokens,
        max_clients=entry.max_clients or _noted_clients(entry.notes),
        prefix_cache=entry.prefix_cache,
        ttft=LatencyFigures(
            entry.ttft_ms_mean, entry.ttft_ms_p50, entry.ttft_ms_p90, entry.ttft_ms_p99
        ),
        itl=LatencyFigures(entry.itl_ms_mean, entry.itl_ms_p50, entry.itl_ms_p90, entry.itl_ms_p99),
        e2e=LatencyFigures(entry.e2e_ms_mean, entry.e2e_ms_p50, entry.e2e_ms_p90, entry.e2e_ms_p99),
        throughput_rps=entry.throughput_rps,
        output_tps=entry.output_tps,
        concurrency_mean=entry.concurrency_mean,
        n_requests=entry.n_requests,
        duration_s=entry.duration_s,
        quality=entry.quality or "",
        source=entry.source or "",
        name=entry.id or where,
        notes=entry.notes or "",
    )


def _noted_clients(notes: str | None) -> int | None:
    """Return the limit on requests in flight that notes tell as `client cap N`."""
    found = re.search(r"\bclient cap (\d{1,6})\b", notes or "")
    return int(found[1]) if found and int(found[1]) > 0 else None


def _arrival(entry: RowEntry) -> Arrival:
    """Return how requests arrived; a closed loop that tells nothing else is plainly closed."""
    pattern = Arrival.of(entry.arrival)
    if pattern is Arrival.UNKNOWN and entry.load_kind is LoadKind.CONCURRENCY:
        return Arrival.CLOSED
    return pattern


def row_drafts(rows: Iterable[tuple[str, object]]) -> Iterable[Draft]:
    """Return drafts of decoded rows in Stoker's own form.

    Args:
        rows: Where each row stands, and what stands there.
    """
    for where, row in rows:
        if isinstance(row, Mapping):
            yield Draft(where, row)
        else:
            yield Draft.unreadable(where, "is not an object", "an object with the fields of a row")
