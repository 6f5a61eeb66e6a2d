"""What the two analyses say of operating points, in one form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from benchmarks.fidelity.case import Replica
from queueing.arrays import FloatArray
from queueing.replica import ReplicaCases, analyze
from queueing.service import LinearService, TokenWorkService
from queueing.service_model import ServiceTimeModel
from stoker.domain.profile import LinearParameters, TokenWorkParameters

Figure = tuple[str, str]
"""A latency and "mean", "p50", ..., such as ("ttft", "p95"); ("rate", "saturation") and
("rate", "throughput") are requests per second."""

SATURATION: Figure = ("rate", "saturation")
THROUGHPUT: Figure = ("rate", "throughput")

_NEVER_FULL = 100_000


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predicted figures of operating points; NaN where the analysis has none.

    Attributes:
        figures: By figure, shape (points,).
    """

    figures: Mapping[Figure, FloatArray]

    def at(self, rows: Sequence[int]) -> Predictions:
        """Return those of the selected points."""
        chosen = np.asarray(rows, dtype=np.int64)
        return Predictions({figure: values[chosen] for figure, values in self.figures.items()})


class Analysis(Protocol):
    """Something that predicts."""

    def __call__(self, replicas: Sequence[Replica], rates_rps: FloatArray) -> Predictions:
        """Return what replicas do at these rates."""
        ...


def reference(replicas: Sequence[Replica], rates_rps: FloatArray) -> Predictions:
    """Return what analysis `reference` says: means alone, and nothing of measured curves.

    It knows neither memory nor variability nor prefix hits: those of its cases count as they are.
    """
    collected = Collected(len(replicas))
    kinds: tuple[tuple[type, Callable[[Sequence[Replica]], ServiceTimeModel]], ...] = (
        (TokenWorkParameters, _token_work_service),
        (LinearParameters, _linear_service),
    )
    for kind, service in kinds:
        rows = [row for row, item in enumerate(replicas) if isinstance(item.parameters, kind)]
        chosen = [replicas[row] for row in rows]
        if not chosen:
            continue
        cases = ReplicaCases.of(
            service(chosen),
            [item.input_tokens for item in chosen],
            [item.output_tokens for item in chosen],
            [float(item.max_batch) for item in chosen],
            float(_NEVER_FULL),
        )
        point = analyze(cases, rates_rps[rows])
        for figure, values in (
            (("ttft", "mean"), point.ttft_ms),
            (("itl", "mean"), point.itl_ms),
            (("e2e", "mean"), point.response_ms),
            (("wait", "mean"), point.wait_ms),
            (THROUGHPUT, point.throughput_rps),
            (SATURATION, point.max_rate_rps / 0.999),
        ):
            collected.put(figure, rows, values)
    return collected.predictions()


@dataclass(slots=True)
class Collected:
    """Predictions under way.

    Attributes:
        points: Operating points in all.
        figures: What is known so far.
    """

    points: int
    figures: dict[Figure, FloatArray] = field(default_factory=dict)

    def put(self, figure: Figure, rows: Sequence[int], values: FloatArray) -> None:
        """Write the values of a figure at some points."""
        array = self.figures.setdefault(figure, np.full(self.points, np.nan))
        array[np.asarray(rows, dtype=np.int64)] = values

    def predictions(self) -> Predictions:
        """Return what was collected."""
        return Predictions(self.figures)


def _token_work_service(replicas: Sequence[Replica]) -> ServiceTimeModel:
    chosen = [item.parameters for item in replicas]
    parameters = [item for item in chosen if isinstance(item, TokenWorkParameters)]
    return TokenWorkService.of(
        [item.alpha_ms for item in parameters],
        [item.beta_ms for item in parameters],
        [item.gamma_ms for item in parameters],
        [float(item.token_budget) for item in replicas],
    )


def _linear_service(replicas: Sequence[Replica]) -> ServiceTimeModel:
    chosen = [item.parameters for item in replicas]
    parameters = [item for item in chosen if isinstance(item, LinearParameters)]
    return LinearService.of(
        [item.alpha_ms for item in parameters],
        [item.beta_ms for item in parameters],
        [item.gamma_ms for item in parameters],
        [item.delta_ms for item in parameters],
    )
