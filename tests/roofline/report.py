"""Roofline estimates against measurements on real accelerators.

`python -m tests.roofline.report` prints the table of docs/estimates.md.
"""

from __future__ import annotations

import csv
import json
import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from data.catalogue import load_catalogue
from queueing.roofline import Deployment, Engine
from stoker.domain.catalogue import Precision
from tests.roofline.mean_field import Latency, Load, closed_loop, open_loop, static_batch

TRUTH = Path(__file__).resolve().parents[3] / "shared" / "truth"

_CATALOGUE = load_catalogue()
# What is no steady state of the engine: bursts, overload, leftovers of an earlier run.
_LEFT_OUT = frozenset({"saturated-burst", "overload", "kv-saturated", "leftover-load"})
_BLOCK_TOKENS = 16.0  # a cached prompt still computes its last block
_PRECISIONS: Mapping[str | None, Precision | None] = {
    "bf16": Precision.BF16,
    "fp16": Precision.FP16,
    "bf16/fp16": Precision.BF16,
    "fp8": Precision.FP8,
    "fp4": None,  # the released formats
    None: None,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One measured row beside its estimate; errors are relative, None where not comparable."""

    model: str
    accelerator: str
    engine: str
    cards: int
    closed: bool
    load: float
    itl_error: float | None
    ttft_error: float | None
    itl_ratio: float | None
    ttft_ratio: float | None


@dataclass(frozen=True, slots=True)
class GroupErrors:
    """Median errors of a model on an accelerator with an engine; None where no row has any.

    Attributes:
        rows: Rows compared.
        itl: Inter-token latency.
        ttft_light: TTFT in open loop and with one client or one sequence.
        ttft_closed: TTFT with several clients.
    """

    rows: int
    itl: float | None
    ttft_light: float | None
    ttft_closed: float | None


Group = tuple[str, str, str]


@cache
def comparisons() -> tuple[Comparison, ...]:
    """Compare every row of a steady state, in the order of the files."""
    rows = [row for path in sorted(TRUTH.glob("*.jsonl")) for row in _rows(path)]
    found = [_compare(row) for row in rows if row["quality"] not in _LEFT_OUT]
    return (*found, _burst(TRUTH / "requests" / "llmservingsim_RTX4090_Llama-3.1-8B.csv"))


def errors_by_group(found: Iterable[Comparison]) -> dict[Group, GroupErrors]:
    """Return the median errors of each model, accelerator and engine."""
    groups: dict[Group, list[Comparison]] = defaultdict(list)
    for item in found:
        groups[item.model, item.accelerator, item.engine].append(item)
    return {
        group: GroupErrors(
            rows=len(items),
            itl=_median(item.itl_error for item in items),
            ttft_light=_median(i.ttft_error for i in items if not i.closed),
            ttft_closed=_median(i.ttft_error for i in items if i.closed),
        )
        for group, items in sorted(groups.items())
    }


def macro(groups: Iterable[GroupErrors]) -> GroupErrors:
    """Return the mean over groups of each error, every group counting once."""
    known = list(groups)

    def mean(values: Iterable[float | None]) -> float | None:
        present = [value for value in values if value is not None]
        return statistics.fmean(present) if present else None

    return GroupErrors(
        sum(group.rows for group in known),
        mean(group.itl for group in known),
        mean(group.ttft_light for group in known),
        mean(group.ttft_closed for group in known),
    )


def table() -> str:
    """Return the errors as a Markdown table."""
    groups = errors_by_group(comparisons())
    lines = [
        "| model | card | engine | rows | ITL | TTFT, open or one client | TTFT, closed loop |",
        "|---|---|---|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {model} | {card} | {engine} | {_cells(errors)} |"
        for (model, card, engine), errors in groups.items()
    ]
    lines.append(f"| **mean of the groups** | | | {_cells(macro(groups.values()))} |")
    return "\n".join(lines)


def _cells(errors: GroupErrors) -> str:
    shares = (errors.itl, errors.ttft_light, errors.ttft_closed)
    return " | ".join([str(errors.rows), *("" if s is None else f"{s:.1%}" for s in shares)])


def _rows(path: Path) -> Iterator[dict[str, object]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _compare(row: Mapping[str, object]) -> Comparison:
    deployment = _deployment(
        str(row["model"]), str(row["gpu"]), _number(row, "n_gpus"), row["precision"]
    )
    if "2023" in str(row["engine"]):  # before its CUDA graphs, vLLM 0.2.6 of December 2023
        deployment = replace(deployment, engine=Engine.EAGER)
    clients = _number(row, "load")
    load = _load(row)
    one = clients == 1
    if row["load_kind"] == "rate":
        latency = open_loop(deployment, load, clients)
    elif row["arrival"] == "static batch":
        latency = static_batch(deployment, load, clients)
    else:
        latency = closed_loop(deployment, load, clients, in_waves=_in_waves(row))
    median = row["ttft_ms_p50"]
    return _comparison(
        deployment,
        str(row["engine"]),
        closed=row["load_kind"] != "rate" and not one,
        clients=clients,
        latency=latency,
        itl_ms=row["itl_ms_mean"],
        ttft_ms=row["ttft_ms_mean"] if median is None else median,
    )


def _load(row: Mapping[str, object]) -> Load:
    tokens = _number(row, "in_tokens")
    cached = max(0.0, tokens - _BLOCK_TOKENS) if row["prefix_cache"] is True else 0.0
    steady = "constant" in str(row["arrival"])
    return Load(tokens, _number(row, "out_tokens"), cached, 0.0 if steady else 1.0)


def _in_waves(row: Mapping[str, object]) -> bool:
    """Whether clients stay together: SGLang computes prompts first, or the notes say so."""
    return str(row["engine"]).startswith("sglang") or "synchronised waves" in str(row["notes"])


def _burst(path: Path) -> Comparison:
    """Compare ITL of a burst beyond what the card sustains: the batch is what memory holds."""
    with path.open(encoding="utf-8") as stream:
        requests = list(csv.DictReader(stream))
    deployment = _deployment("Llama-3.1-8B", "RTX-4090", 1.0, "bf16")
    load = Load(
        statistics.fmean(float(request["input_toks"]) for request in requests),
        statistics.fmean(float(request["output_toks"]) for request in requests),
    )
    rate = (len(requests) - 1) / float(requests[-1]["arrival_s"])
    latency = open_loop(deployment, load, rate)
    itl = statistics.fmean(float(request["tpot_ms"]) for request in requests)
    return _comparison(
        deployment,
        "vLLM 0.19",
        closed=False,
        clients=rate,
        latency=Latency(latency.itl_ms, None),
        itl_ms=itl,
        ttft_ms=None,
    )


def _deployment(model: str, card: str, cards: float, precision: object) -> Deployment:
    name = precision if isinstance(precision, str) else None
    return Deployment(
        _CATALOGUE.model(model), _CATALOGUE.accelerator(card), int(cards), _PRECISIONS[name]
    )


def _comparison(
    deployment: Deployment,
    engine: str,
    *,
    closed: bool,
    clients: float,
    latency: Latency,
    itl_ms: object,
    ttft_ms: object,
) -> Comparison:
    itl_ratio = _ratio(latency.itl_ms, itl_ms)
    ttft_ratio = _ratio(latency.ttft_ms, ttft_ms)
    return Comparison(
        model=deployment.model.name,
        accelerator=deployment.accelerator.name,
        engine=_engine(engine),
        cards=deployment.tensor_parallel,
        closed=closed,
        load=clients,
        itl_error=None if itl_ratio is None else abs(itl_ratio - 1.0),
        ttft_error=None if ttft_ratio is None else abs(ttft_ratio - 1.0),
        itl_ratio=itl_ratio,
        ttft_ratio=ttft_ratio,
    )


def _ratio(predicted: float | None, measured: object) -> float | None:
    if predicted is None or not isinstance(measured, int | float) or measured <= 0:
        return None
    return predicted / measured


def _engine(name: str) -> str:
    """Return the engine without its version, apart from the first vLLM, a different engine."""
    if "2023" in name:
        return "vLLM (2023)"
    return re.split(
        r"[ (]",
        {"vllm": "vLLM", "sglang": "SGLang", "trtllm": "TensorRT-LLM"}.get(
            name.split(" ")[0].lower(), name
        ),
    )[0]


def _median(values: Iterable[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return statistics.median(present) if present else None


def _number(row: Mapping[str, object], key: str) -> float:
    value = row[key]
    if not isinstance(value, int | float):
        raise ValueError(f"{row['id']}: {key} is {value!r} (allowed: a number)")
    return float(value)


if __name__ == "__main__":
    print(table())
