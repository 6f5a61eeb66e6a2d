"""Measurements on real accelerators, and what errors on them are told as."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from data.measurements import read_measurements
from stoker.domain.measurement import Measurement

TRUTH = Path(__file__).resolve().parents[2].parent / "shared" / "truth"
"""Beside the checkout; it may be missing."""


@dataclass(frozen=True, slots=True)
class TruthRow:
    """An error, and what it may be.

    Attributes:
        test: what was left out and predicted.
        group: the deployment.
        model: the service-time model.
        n: points predicted.
        errors: by figure ("TTFT", "ITL", "p90 TTFT", ...), as shares.
        limits: the most that the errors should be, by figure; empty where none was promised.
    """

    test: str
    group: str
    model: str
    n: int
    errors: dict[str, float]
    limits: dict[str, float]

    @property
    def missed(self) -> list[str]:
        """Figures whose error is above its limit."""
        return [name for name, limit in self.limits.items() if not self.errors[name] <= limit]


def rows_of(file: Path) -> list[Measurement]:
    """Return the measurements of a file."""
    return list(read_measurements(file.read_text(), file.name).rows)
