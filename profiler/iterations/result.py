"""What a fit to iteration times comes to."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field

from stoker.domain.profile import ServiceParameters

Grid = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class TableIntervals:
    """Ends of the 95% intervals of the times in a table, each of the shape of its grid.

    Attributes:
        decode_ms: Low and high ends of the decode times.
        prefill_ms: The same of the prefill times.
    """

    decode_ms: tuple[Grid, Grid]
    prefill_ms: tuple[Grid, Grid]


@dataclass(frozen=True, slots=True)
class IterationFit:
    """A service-time model fitted to iteration times, or the reason why it could not be.

    Errors are means of |predicted - measured| / measured by kind of iteration.

    Attributes:
        model: Name of the service-time model.
        parameters: Its parameters; None where the fit is refused.
        points: Iterations that took part.
        values: Parameters by name; of a `curve` what is not in its grids.
        confidence: 95% interval of each, where it has one.
        condition_number: Of the Jacobian, columns scaled to length 1; None for a `curve`.
        errors: Over the iterations fitted to.
        left_out_errors: Over iterations that the fit did not see, a tenth of them at a time.
        intervals: Confidence of the times in a table; None of other models.
        refusal: Why there is no fit; empty where there is one.
        untold: Parameters that the iterations do not tell.
        measure: What to time to tell them.
    """

    model: str
    parameters: ServiceParameters | None
    points: int
    values: Mapping[str, float] = field(default_factory=dict)
    confidence: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    condition_number: float | None = None
    errors: Mapping[str, float] = field(default_factory=dict)
    left_out_errors: Mapping[str, float] = field(default_factory=dict)
    intervals: TableIntervals | None = None
    refusal: str = ""
    untold: tuple[str, ...] = ()
    measure: tuple[str, ...] = ()

    @property
    def error(self) -> float | None:
        """Mean error over the kinds of iterations fitted to; None where there is no fit."""
        return statistics.fmean(self.errors.values()) if self.errors else None

    @property
    def left_out_error(self) -> float | None:
        """The same over iterations that it did not see; None where that was not tried."""
        return statistics.fmean(self.left_out_errors.values()) if self.left_out_errors else None
