"""Types of fields that the schemas share: strict, bounded, finite."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_LARGEST = 1e12
_LARGEST_COUNT = 1_000_000_000


def _title(model: type) -> str:
    return model.__name__.removesuffix("Entry")


class StrictModel(BaseModel):
    """Base of the schemas: no unknown keys, no conversions between types, no NaN."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        populate_by_name=True,
        model_title_generator=_title,
    )


Name = Annotated[str, Field(min_length=1, max_length=253)]
"""Name of something; what a Kubernetes object may be called, at most."""

Amount = Annotated[float, Field(ge=0, le=_LARGEST)]
"""A quantity that may be zero."""

PositiveAmount = Annotated[float, Field(gt=0, le=_LARGEST)]
"""A quantity that must be more than zero."""

Fraction = Annotated[float, Field(ge=0, le=1)]
"""A share, from 0 to 1."""

Count = Annotated[int, Field(ge=0, le=_LARGEST_COUNT)]
"""A number of things that may be zero."""

PositiveCount = Annotated[int, Field(ge=1, le=_LARGEST_COUNT)]
"""A number of things, at least one."""
