"""Throughput grids over input and output tokens, as AIBrix and Mélange keep them.

AIBrix (github.com/vllm-project/aibrix, ``gpu_optimizer/optimizer/profiling``): one JSON object a
card, ``tputs[output][input]`` in requests per second with ``indexes`` ``[output tokens, input
tokens]``, ``e2e`` and, where a target on it was set, ``ttft`` of the same shape in seconds; a rate
of 0 means that no rate kept the targets in ``slos``.

Mélange (github.com/tyler-griggs/melange-release): ``gpu_info`` by name of the card with ``cost``
and ``tputs[input][output]``. The lengths of its buckets stand nowhere in it and must be given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from data.measurements.numbers import finite
from data.wording import shown
from stoker.domain.errors import InvalidInputError, Problem

Rates = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class ThroughputGrid:
    """Most requests per second that a replica carries, over lengths of requests.

    Grids are of the shape (output tokens, input tokens).

    Attributes:
        gpu: Name of the card or deployment.
        cost_per_hour: Its price; None where it is not told.
        input_tokens: Input lengths, ascending.
        output_tokens: Output lengths, ascending.
        rates_rps: Requests per second; 0 where no rate kept the targets.
        e2e_s: Mean time from arrival to last token at that rate; None where it is not told.
        ttft_s: Mean time to first token at that rate; None where it is not told.
        slos: Targets that the rates keep, in the names and units of the file.
        created: When it was made, in seconds since 1970; None where it is not told.
    """

    gpu: str
    cost_per_hour: float | None
    input_tokens: tuple[int, ...]
    output_tokens: tuple[int, ...]
    rates_rps: Rates
    e2e_s: Rates | None = None
    ttft_s: Rates | None = None
    slos: Mapping[str, float] = field(default_factory=dict)
    created: float | None = None


def is_aibrix(document: object) -> bool:
    """Return whether a decoded document is a grid of AIBrix."""
    return isinstance(document, Mapping) and "tputs" in document and "indexes" in document


def is_melange(document: object) -> bool:
    """Return whether a decoded document is the input of Mélange's solver."""
    return isinstance(document, Mapping) and isinstance(document.get("gpu_info"), Mapping)


@dataclass(frozen=True, slots=True)
class GridReading:
    """What was read.

    Attributes:
        grids: The grids, one a card.
        left_out: What was wrong with the cells that were left out; their rate is 0.
    """

    grids: tuple[ThroughputGrid, ...]
    left_out: tuple[Problem, ...] = ()


def read_aibrix(
    document: Mapping[str, object], file: str = "", *, skip_bad_cells: bool = False
) -> GridReading:
    """Return the grid of a decoded document of AIBrix.

    Args:
        document: The document.
        file: Its name, for errors.
        skip_bad_cells: Leave out cells that cannot be used, and tell them.

    Raises:
        InvalidInputError: Every problem, with the row and column of each bad figure.
    """
    problems: list[Problem] = []
    bad: list[Problem] = []
    indexes = document.get("indexes")
    axes: list[tuple[int, ...]] = []
    if not isinstance(indexes, list) or len(indexes) != 2:
        allowed = "a list of output tokens and a list of input tokens"
        raise InvalidInputError([Problem("indexes", "is no pair of lists", allowed, file)])
    for index, values in enumerate(indexes):
        axes.append(_axis(values, f"indexes[{index}]", problems))
    gpu = document.get("gpu")
    if not isinstance(gpu, str) or not gpu:
        problems.append(Problem("gpu", "is missing", "name of the card"))
    grids = {
        name: _grid(document[name], name, (len(axes[0]), len(axes[1])), problems, bad)
        for name in ("tputs", "e2e", "ttft")
        if document.get(name) is not None
    }
    if problems or (bad and not skip_bad_cells):
        raise _refused([*problems, *bad], file)
    slos = document.get("slos")
    told = slos if isinstance(slos, Mapping) else {}
    grid = ThroughputGrid(
        str(gpu),
        finite(document.get("cost")),
        axes[1],
        axes[0],
        grids["tputs"],
        grids.get("e2e"),
        grids.get("ttft"),
        {str(key): value for key, item in told.items() if (value := finite(item)) is not None},
        finite(document.get("created")),
    )
    return GridReading((grid,), _told(bad, file))


def aibrix_document(grid: ThroughputGrid) -> dict[str, object]:
    """Return a grid as AIBrix writes it."""
    document: dict[str, object] = {
        "gpu": grid.gpu,
        "cost": 1.0 if grid.cost_per_hour is None else grid.cost_per_hour,
        "tputs": _lists(grid.rates_rps),
        "indexes": [list(grid.output_tokens), list(grid.input_tokens)],
    }
    if grid.created is not None:
        document["created"] = grid.created
    if grid.e2e_s is not None:
        document["e2e"] = _lists(grid.e2e_s)
    if grid.ttft_s is not None:
        document["ttft"] = _lists(grid.ttft_s)
    document["slos"] = dict(grid.slos)
    return document


def read_melange(
    document: Mapping[str, object],
    input_tokens: Sequence[int],
    output_tokens: Sequence[int],
    file: str = "",
    *,
    skip_bad_cells: bool = False,
) -> GridReading:
    """Return the grids of a decoded input of Mélange's solver, one a card.

    Args:
        document: The document.
        input_tokens: Input length of each row.
        output_tokens: Output length of each column.
        file: Its name, for errors.
        skip_bad_cells: Leave out cells that cannot be used, and tell them.

    Raises:
        InvalidInputError: Every problem, with the row and column of each bad figure.
    """
    problems: list[Problem] = []
    bad: list[Problem] = []
    found = []
    cards = document.get("gpu_info")
    assert isinstance(cards, Mapping)  # told by `is_melange`
    shape = (len(input_tokens), len(output_tokens))
    for name, card in cards.items():
        place = f"gpu_info.{name}"
        if not isinstance(card, Mapping) or "tputs" not in card:
            problems.append(Problem(f"{place}.tputs", "is missing", "rows of requests per second"))
            continue
        rates = _grid(card["tputs"], f"{place}.tputs", shape, problems, bad)
        turned = tuple(zip(*rates, strict=True)) if rates else ()
        cost = finite(card.get("cost"))
        found.append(
            ThroughputGrid(str(name), cost, tuple(input_tokens), tuple(output_tokens), turned)
        )
    if not cards:
        problems.append(Problem("gpu_info", "is empty", "one card or more"))
    if problems or (bad and not skip_bad_cells):
        raise _refused([*problems, *bad], file)
    return GridReading(tuple(found), _told(bad, file))


def melange_document(
    grids: Sequence[ThroughputGrid], rate_rps: float = 1.0, slice_factor: int = 1
) -> dict[str, object]:
    """Return grids as the input of Mélange's solver, under a load spread evenly over all lengths.

    Args:
        grids: Grids over the same lengths.
        rate_rps: Requests per second in all.
        slice_factor: Slices of each bucket.
    """
    first = grids[0]
    width, height = len(first.output_tokens), len(first.input_tokens)
    share = 1.0 / (width * height)
    return {
        "gpu_info": {
            grid.gpu: {
                "cost": 1.0 if grid.cost_per_hour is None else grid.cost_per_hour,
                "tputs": [list(row) for row in zip(*grid.rates_rps, strict=True)],
            }
            for grid in grids
        },
        "workload_distribution": [[share] * width for _ in range(height)],
        "total_request_rate": rate_rps,
        "slice_factor": slice_factor,
    }


def _lists(grid: Rates) -> list[list[float]]:
    return [list(row) for row in grid]


def _axis(values: object, place: str, problems: list[Problem]) -> tuple[int, ...]:
    if not isinstance(values, list) or not values:
        problems.append(Problem(place, "is no list of lengths", "whole numbers, ascending"))
        return ()
    found: list[int] = []
    for index, value in enumerate(values):
        number = finite(value)
        if number is None or number < 1 or not number.is_integer():
            message = f"{shown(value)} is no length"
            problems.append(Problem(f"{place}[{index}]", message, "a whole number, at least 1"))
            continue
        if found and number <= found[-1]:
            message = f"{shown(value)} follows {found[-1]}"
            problems.append(Problem(f"{place}[{index}]", message, "lengths that ascend"))
        found.append(int(number))
    return tuple(found)


def _grid(
    value: object,
    place: str,
    shape: tuple[int, int],
    problems: list[Problem],
    bad: list[Problem],
) -> Rates:
    """Return a grid, 0 for bad cells.

    Args:
        value: What should be one.
        place: Where it stands.
        shape: Rows and columns.
        problems: Takes what is wrong with its shape.
        bad: Takes what is wrong with its cells, with row and column.
    """
    if not isinstance(value, list) or len(value) != shape[0]:
        have = f"{len(value)} rows" if isinstance(value, list) else shown(value)
        problems.append(Problem(place, f"holds {have}", f"{shape[0]} rows, one a length"))
        return ()
    rows: list[tuple[float, ...]] = []
    for number, row in enumerate(value):
        if not isinstance(row, list) or len(row) != shape[1]:
            have = f"{len(row)} values" if isinstance(row, list) else shown(row)
            allowed = f"{shape[1]} values, one a length"
            problems.append(Problem(f"{place}[{number}]", f"holds {have}", allowed))
            continue
        figures = []
        for column, cell in enumerate(row):
            figure = finite(cell)
            if figure is None or figure < 0:
                where = f"{place}[{number}][{column}]"
                bad.append(Problem(where, f"{shown(cell)} is out of bounds", "0 or more"))
                figure = 0.0
            figures.append(figure)
        rows.append(tuple(figures))
    return tuple(rows)


def _refused(problems: Sequence[Problem], file: str) -> InvalidInputError:
    return InvalidInputError(_told(problems, file))


def _told(problems: Sequence[Problem], file: str) -> tuple[Problem, ...]:
    return tuple(Problem(item.path, item.message, item.allowed, file) for item in problems)
