"""Readers of measured operating points: Stoker's own rows, GuideLLM reports, vLLM results.

What a file holds is recognised by its content. Each reader turns what it finds into drafts of the
same row, and one place checks them (`data.measurements.rows`), so that a wrong value is told in
the same words wherever it comes from.

This package must never fit, predict or correct a measurement: a row that contradicts itself is
refused, not mended.
"""

from data.measurements.draft import Unrecorded
from data.measurements.profiles import FittedProfile, read_profiles
from data.measurements.reading import Reading, read_measurements

__all__ = [
    "FittedProfile",
    "Reading",
    "Unrecorded",
    "read_measurements",
    "read_profiles",
]
