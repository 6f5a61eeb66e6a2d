"""Profiles judged: whether one can be true, and whether two of them differ.

Everything is computed from what a profile document holds and from the specifications of cards.
This package must never measure, read a file, or change what it judges.
"""

from profiler.judging.check import Finding, Severity, check_document
from profiler.judging.comparing import Compared, Figure, Point, compare, usual_points

__all__ = [
    "Compared",
    "Figure",
    "Finding",
    "Point",
    "Severity",
    "check_document",
    "compare",
    "usual_points",
]
