"""Percentiles of single requests on a real accelerator, from fits to the other runs.

The fitted model is played by the simulator with the run's own rate and prompt lengths; what a
first token is delayed outside the engine is added to it.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.fidelity.truth_rows import TruthRow, rows_of
from profiler.fit import CrossValidation, fit, predict
from queueing.engine.overlap import OverlapTimes
from simulator import (
    Engine,
    JointLengths,
    PoissonArrivals,
    Pool,
    Scenario,
    simulate,
    summarize,
)
from stoker.domain.curve import IterationTable, tabulate
from stoker.domain.measurement import Measurement
from stoker.domain.profile import OverlapParameters

STAGES = "llama2_7b_h100_vllm_stages.jsonl"
PERCENTS = (90.0, 99.0)
LIMIT = 0.20
_REQUESTS = 20_000
_BATCHES = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512)
_CONTEXTS = (1, 10_000)
_TOKENS = (1, 16, 64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 4096, 8192)
_READS = (0, 512, 1024, 2048, 4096, 8192)


@dataclass(frozen=True, slots=True)
class Stage:
    """A run at one rate.

    Attributes:
        row: its measured figures.
        run: the experiment that it is a part of.
        in_tokens: prompt tokens of its requests.
        out_tokens: output tokens that they asked for.
        ttft_ms: of each request.
        e2e_ms: of each request.
    """

    row: Measurement
    run: str
    in_tokens: tuple[int, ...]
    out_tokens: tuple[int, ...]
    ttft_ms: npt.NDArray[np.float64]
    e2e_ms: npt.NDArray[np.float64]


def percentile_rows(path: Path) -> list[TruthRow]:
    """Return the errors of p90 and p99 of TTFT and E2E of each run, fitted on the other runs."""
    every = stages(path)
    return [_row(stage, [other for other in every if other.run != stage.run]) for stage in every]


def stages(path: Path) -> list[Stage]:
    """Return the stages that were not overloaded, with their single requests."""
    rows = [row for row in rows_of(path / STAGES) if "overload" not in row.quality]
    done: dict[str, int] = {}
    found = []
    for row in rows:
        run = row.notes.split()[0]
        first = done.get(run, 0)
        done[run] = first + (row.n_requests or 0)
        found.append(_stage(row, run, path / "requests" / f"blis_{run}.csv", first))
    return found


def overlap_table(parameters: OverlapParameters) -> IterationTable:
    """Return the iteration times of the `overlap` model as a table for the simulator.

    A table adds decode and prefill times, so the computing of decode tokens is not hidden twice:
    it is exact where either of the two is bound by memory.
    """
    times = OverlapTimes.of([parameters])

    def at(*state: float) -> float:
        return float(times.iteration_ms(*(np.array([value]) for value in state))[0])

    return tabulate(
        lambda batch, context: at(batch, context, 0.0, 0.0, 0.0),
        lambda tokens, reads: at(0.0, 0.0, 1.0, tokens, max(reads, tokens)),
        batches=_BATCHES,
        contexts=_CONTEXTS,
        prefill_tokens=_TOKENS,
        prefill_contexts=_READS,
        shared_ms=parameters.base_ms + parameters.weights_ms,
    )


def _stage(row: Measurement, run: str, file: Path, first: int) -> Stage:
    with file.open(newline="") as text:
        requests = list(csv.DictReader(text))[first : first + (row.n_requests or 0)]
    good = [each for each in requests if each["has_error"] == "0"]
    return Stage(
        row,
        run,
        tuple(int(each["in_tokens"]) for each in good),
        tuple(int(each["out_tokens_requested"]) for each in good),
        np.array([float(each["ttft_ms"]) for each in good]),
        np.array([float(each["e2e_ms"]) for each in good]),
    )


def _row(stage: Stage, others: Sequence[Stage]) -> TruthRow:
    row = stage.row
    result = fit(
        [other.row for other in others],
        "overlap",
        cross_validation=CrossValidation.NONE,
        assume_usual=True,
    )
    names = {field.name for field in fields(OverlapParameters)}
    parameters = OverlapParameters(
        **{name: value for name, value in result.parameters.items() if name in names}
    )
    decoding = float(predict("overlap", result.parameters, [row]).concurrency[0])
    delay_ms = (
        parameters.first_token_ms
        + parameters.first_token_sequence_ms * decoding
        + parameters.first_token_output_ms * row.out_tokens
    )
    engine = Engine(
        overlap_table(parameters),
        max_batch=row.max_batch or 256,
        token_budget=row.max_num_batched_tokens or 8192,
    )
    scenario = Scenario(
        PoissonArrivals(row.load),
        JointLengths(stage.in_tokens, stage.out_tokens),
        Pool(engine),
        requests=_REQUESTS,
        seed=1,
        prefix_hit_rate=1.0 - result.parameters.get("miss_share", 1.0),
    )
    summary = summarize(simulate(scenario), PERCENTS)
    errors = {}
    for name, played, measured in (
        ("TTFT", summary.ttft_ms, stage.ttft_ms),
        ("E2E", summary.e2e_ms, stage.e2e_ms),
    ):
        for percent in PERCENTS:
            predicted = played.percentiles[percent].value + delay_ms
            truth = float(np.percentile(measured, percent))
            errors[f"p{percent:.0f} {name}"] = abs(predicted / truth - 1.0)
    return TruthRow(
        "percentiles of a run, from the other runs",
        f"{row.model.split('/')[-1]}, {stage.run.split('-')[-1]}, {row.load:g}/s",
        "overlap",
        len(stage.ttft_ms),
        errors,
        dict.fromkeys(errors, LIMIT),
    )
