"""Reads the reference outputs of single replicas into cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from queueing.cases import ReplicaCases
from queueing.service import TokenWorkService
from queueing.targets import LatencyTargets


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def column(lines: list[dict[str, Any]], part: str, name: str) -> npt.NDArray[np.float64]:
    return np.array([line[part].get(name, np.nan) for line in lines], dtype=np.float64)


def cases(lines: list[dict[str, Any]]) -> ReplicaCases:
    def given(name: str) -> npt.NDArray[np.float64]:
        return column(lines, "input", name)

    return ReplicaCases(
        TokenWorkService.of(given("alpha"), given("beta"), given("gamma")),
        given("avgInputTokens"),
        given("avgOutputTokens"),
        given("maxBatchSize"),
        given("maxQueueSize"),
    )


def targets(lines: list[dict[str, Any]]) -> LatencyTargets:
    def given(name: str) -> npt.NDArray[np.float64]:
        values = column(lines, "input", name)
        return np.where(values > 0.0, values, np.nan)  # 0 or absent: no target

    return LatencyTargets.of(
        len(lines),
        ttft_ms=given("targetTTFT"),
        itl_ms=given("targetITL"),
        tps=given("targetTPS"),
    )
