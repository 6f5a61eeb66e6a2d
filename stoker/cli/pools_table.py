"""Pools and splits of cards, of answers about replicas, as tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich import box
from rich.table import Table

from stoker.cli.figures import UNKNOWN, share

_POOLS = ("prefill", "decode")


def pools_tables(answers: Sequence[tuple[int, Mapping[str, object]]]) -> Iterator[Table]:
    """Yield a table of the pools, and one of the splits of cards, where answers have any.

    Args:
        answers: Line number and answer in the field names of the JSON format, in order.
    """
    if any("prefill" in answer for _, answer in answers):
        yield _pools(answers)
    if any("splits" in answer for _, answer in answers):
        yield _splits(answers)


def _pools(answers: Sequence[tuple[int, Mapping[str, object]]]) -> Table:
    table = _table("Pools")
    table.add_column("Line", justify="right")
    table.add_column("Pool")
    for heading in ("Replicas", "Load", "In\nservice", "Slots\nin use"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for number, answer in answers:
        for name in _POOLS:
            pool = answer.get(name)
            if isinstance(pool, Mapping):
                table.add_row(
                    str(number),
                    name,
                    str(pool["replicas"]),
                    share(_number(pool.get("load"))),
                    _figure(pool.get("avgNumInServ")),
                    share(_number(pool.get("utilization"))),
                    "bottleneck" if answer.get("bottleneck") == name else "",
                )
    return table


def _splits(answers: Sequence[tuple[int, Mapping[str, object]]]) -> Table:
    table = _table("Splits of the cards")
    for heading in (
        "Line",
        "Prefill\nreplicas",
        "Decode\nreplicas",
        "Cards",
        "Within\ntargets req/s",
        "Largest\nreq/s",
    ):
        table.add_column(heading, justify="right")
    table.add_column("")
    for number, answer in answers:
        splits, taken = answer.get("splits"), _taken(answer)
        for split in splits if isinstance(splits, Sequence) else ():
            own = split["prefillReplicas"], split["decodeReplicas"]
            table.add_row(
                str(number),
                *map(str, own),
                str(split["cards"]),
                _figure(split["RPS"]),
                _figure(split["maxRPS"]),
                "taken" if own == taken else "",
            )
    return table


def _taken(answer: Mapping[str, object]) -> tuple[object, object] | None:
    """Return the replicas of both pools; None where the answer has no figures of them."""
    pools = [answer.get(name) for name in _POOLS]
    first, second = (pool["replicas"] if isinstance(pool, Mapping) else None for pool in pools)
    return None if first is None else (first, second)


def _table(title: str) -> Table:
    return Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _figure(value: object) -> str:
    number = _number(value)
    return UNKNOWN if number is None else f"{number:.4g}"
