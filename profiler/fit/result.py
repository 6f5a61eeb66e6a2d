"""What a fit says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from profiler.fit.observations import Excluded
from stoker.domain.curve import IterationTable

Grid = tuple[tuple[float, ...], ...]
"""Figures over two axes of knots."""


@dataclass(frozen=True, slots=True)
class FitError:
    """Mean relative errors, |predicted - measured| / measured; None where nothing was measured.

    Attributes:
        ttft: of the median TTFT (of the mean where the median is unknown).
        itl: of the mean ITL.
        n: points that were compared.
    """

    ttft: float | None
    itl: float | None
    n: int

    @property
    def score(self) -> float:
        """The sum of both: what models are chosen by."""
        return (self.ttft or 0.0) + (self.itl or 0.0)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why rows do not identify a model, and what would.

    Attributes:
        reason: in one sentence.
        parameters: those that the rows do not tell.
        remedies: operating points to measure.
    """

    reason: str
    parameters: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CurveFit:
    """A fitted table, with the ends of the 95% intervals of its times.

    Attributes:
        table: iteration times and delays.
        decode_ms: low and high ends of the decode times, each of the shape of their grid.
        prefill_ms: the same of the prefill times.
        shared_ms: the same of what both share.
    """

    table: IterationTable
    decode_ms: tuple[Grid, Grid]
    prefill_ms: tuple[Grid, Grid]
    shared_ms: tuple[float, float]


@dataclass(frozen=True, slots=True)
class FitResult:
    """A model fitted to the rows of one deployment, or the reason why there is none.

    Attributes:
        group: the fields that identify the deployment.
        model: name of the service-time model.
        parameters: by name; empty after a refusal. Of a curve, what is not in its grids.
        confidence: 95% interval of each parameter.
        condition_number: of the scaled problem; the larger, the less the rows tell apart.
        n: rows fitted.
        error: on the rows fitted.
        cross_validated: on rows left out of the fit that predicted them; None where not asked for
            or not possible.
        folds: fits that the cross-validation made.
        excluded: rows that took no part, or only a part.
        refusal: None where there is a fit.
        curve: the table of a `curve`; None for other models.
    """

    group: Mapping[str, str | int | None]
    model: str
    parameters: Mapping[str, float]
    confidence: Mapping[str, tuple[float, float]]
    condition_number: float | None
    n: int
    error: FitError
    cross_validated: FitError | None
    folds: int
    excluded: tuple[Excluded, ...]
    refusal: Refusal | None = None
    curve: CurveFit | None = None

    @property
    def table(self) -> IterationTable | None:
        """The table of a `curve`; None for other models."""
        return None if self.curve is None else self.curve.table
