"""Answers of a simulation as a table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import RenderableType
from rich.table import Table

from stoker.cli.figures import UNKNOWN, duration_ms, share, small_share
from stoker.cli.replica_table import with_messages

if TYPE_CHECKING:
    from data.replica_answers import AnswerDocument

_LATENCIES = (("TTFT", "ttft_ms"), ("ITL", "itl_ms"), ("E2E", "e2e_ms"))


def simulation_table(answers: Sequence[tuple[int, AnswerDocument]]) -> RenderableType:
    """Return a table with one block an answer, and the messages of the answers below it.

    Args:
        answers: Line number and answer, in order.
    """
    table = Table(
        title="Simulated replicas (latencies in ms, ± 95% of the mean)",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        padding=(0, 1, 0, 0),
    )
    names = list(dict.fromkeys(name for _, answer in answers for name in _percents(answer)))
    table.add_column("Line", justify="right")
    table.add_column("Status")
    for heading in ("Offered\ncarried", "Slots\naway"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for name in ("mean", *names):
        table.add_column(name, justify="right", no_wrap=True)
    for number, answer in answers:
        rates = (_rate(_number(answer.get(key))) for key in ("offeredRPS", "throughput"))
        shares = (
            share(_number(answer.get("utilization"))),
            small_share(_number(answer.get("blocking"))),
        )
        table.add_row(
            str(number),
            str(answer["status"]),
            "\n".join(rates),
            "\n".join(shares),
            "\n".join(label for label, _ in _LATENCIES),
            *(
                "\n".join(_cell(answer, key, name) for _, key in _LATENCIES)
                for name in ("mean", *names)
            ),
        )
    return with_messages(table, answers)


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
