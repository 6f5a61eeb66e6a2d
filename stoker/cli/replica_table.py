"""Answers about replicas as a table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from stoker.cli.figures import UNKNOWN, duration_ms, share, small_share
from stoker.cli.pools_table import pools_tables
from stoker.domain.replica import ReplicaQuestion

_TITLES = {
    ReplicaQuestion.SOLVE: "Replicas at their arrival rates",
    ReplicaQuestion.TARGET: "Largest arrival rate within the targets",
    ReplicaQuestion.CONCURRENCY: "Smallest batch limit with near-peak throughput",
}


def replica_table(
    question: ReplicaQuestion, answers: Sequence[tuple[int, Mapping[str, object]]]
) -> RenderableType:
    """Return a table with one row an answer, and the messages of the answers below it.

    Args:
        question: What was asked.
        answers: Line number and answer in the field names of the JSON format, in order.
    """
    with_batch = question is ReplicaQuestion.CONCURRENCY
    table = Table(
        title=_TITLES[question], box=box.SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0)
    )
    table.add_column("Line", justify="right")
    table.add_column("Status", min_width=len("infeasible"))
    if with_batch:
        table.add_column("Batch", justify="right")
    for heading in (
        "Offered\nreq/s",
        "Carried\nreq/s",
        "TTFT\nms",
        "ITL\nms",
        "Slots\nin use",
        "Turned\naway",
        "Largest\nreq/s",
    ):
        table.add_column(heading, justify="right")
    for number, answer in answers:
        cells = [str(number), str(answer["status"])]
        if with_batch:
            batch = answer.get("concurrency")
            cells.append(UNKNOWN if batch is None else f"{batch}")
        cells += [
            _rate(_number(answer, "offeredRPS")),
            _rate(_number(answer, "throughput")),
            duration_ms(_number(answer, "avgTTFT")),
            duration_ms(_number(answer, "avgITL")),
            share(_number(answer, "utilization")),
            small_share(_number(answer, "blocking")),
            _rate(_number(answer, "maxRPS")),
        ]
        table.add_row(*cells)
    return with_messages(table, answers)


def with_messages(
    table: Table, answers: Sequence[tuple[int, Mapping[str, object]]]
) -> RenderableType:
    """Return a table, those of pools and splits, and the messages of its answers below them.

    Args:
        table: The table.
        answers: Line number and answer, in order.
    """
    messages = [
        Text(f"{'' if text.startswith('line ') else f'line {number}: '}{text}")
        for number, answer in answers
        if (text := str(answer["message"]))
    ]
    return Group(table, *pools_tables(answers), *messages)


def _number(answer: Mapping[str, object], key: str) -> float | None:
    value = answer.get(key)
    return float(value) if isinstance(value, int | float) else None


def _rate(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.4g}"
