"""Answers of a simulation as a table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from stoker.cli.figures import UNKNOWN, duration_ms, share, small_share

if TYPE_CHECKING:
    from stoker.cli.simulation_answer import AnswerDocument

_LATENCIES = (("TTFT", "ttft_ms"), ("ITL", "itl_ms"), ("E2E", "e2e_ms"))


def simulation_table(answers: Sequence[tuple[int, AnswerDocument]]) -> Table:
    """Return a table with one row an answer.

    Args:
        answers: Line number and answer, in order.
    """
    table = Table(
        title="Simulated replicas (latencies in ms, ± 95% of the mean)",
        box=box.SIMPLE_HEAD,
        title_justify="left",
    )
    names = list(dict.fromkeys(name for _, answer in answers for name in _percents(answer)))
    table.add_column("Line", justify="right")
    table.add_column("Status")
    for heading in ("Offered\nreq/s", "Carried\nreq/s", "Slots\nin use", "Turned\naway"):
        table.add_column(heading, justify="right")
    for label, _ in _LATENCIES:
        for name in ("mean", *names):
            table.add_column(f"{label}\n{name}", justify="right")
    table.add_column("Message", overflow="fold", min_width=30)
    for number, answer in answers:
        table.add_row(
            str(number),
            str(answer["status"]),
            _rate(_number(answer.get("offeredRPS"))),
            _rate(_number(answer.get("throughput"))),
            share(_number(answer.get("utilization"))),
            small_share(_number(answer.get("blocking"))),
            *(_cell(answer, key, name) for _, key in _LATENCIES for name in ("mean", *names)),
            str(answer["message"]),
        )
    return table


def _percents(answer: AnswerDocument) -> list[str]:
    latency = answer.get("ttft_ms")
    if not isinstance(latency, Mapping):
        return []
    return [name for name in latency if name not in ("mean", "ci95")]


def _cell(answer: AnswerDocument, key: str, name: str) -> str:
    latency = answer.get(key)
    if not isinstance(latency, Mapping):
        return UNKNOWN
    text = duration_ms(_number(latency.get(name)))
    widths = latency.get("ci95")
    width = _number(widths.get(name)) if isinstance(widths, Mapping) else None
    return f"{text} ±{width:.2g}" if name == "mean" and width is not None else text


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _rate(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.4g}"
