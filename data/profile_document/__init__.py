"""Profile documents: profiles to plan with, and all that they rest on.

`profiles` is the section of that name of a fleet; beside it stand the fits behind them, the
iterations timed and the device that timed them, the curves to draw, and measured rows. Reading and
writing are each other's inverse, to the last digit.

This package must never measure, fit or judge: it keeps what others found.
"""

from data.profile_document.curves import curves_of
from data.profile_document.reading import (
    is_profile_document,
    parse_profile_document,
    read_profile_document,
)
from data.profile_document.schema import profile_schema
from data.profile_document.values import (
    FitIntervals,
    ProfileDocument,
    ProfileFit,
    TimedCurve,
    TimedOn,
)
from data.profile_document.writing import document_text, entry_of_document, profile_document

__all__ = [
    "FitIntervals",
    "ProfileDocument",
    "ProfileFit",
    "TimedCurve",
    "TimedOn",
    "curves_of",
    "document_text",
    "entry_of_document",
    "is_profile_document",
    "parse_profile_document",
    "profile_document",
    "profile_schema",
    "read_profile_document",
]
