"""The fields that a simulation adds to a case of the replica-analysis JSON."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from data.replica_fields import LARGEST_BATCH, LARGEST_COUNT

LARGEST_RUN = 100_000_000
"""Requests of one simulation at most; a run keeps all of them in memory."""

LARGEST_CV = 100.0
"""Largest coefficient of variation accepted."""

DEFAULT_REQUESTS = 20_000

DEFAULT_PERCENTS = (50.0, 90.0, 95.0, 99.0)

_EXACT = 2.0**53  # whole numbers up to here are exact in a float


def _whole(value: object) -> object:
    """Let 16.0 pass as 16: JSON has one kind of number."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    return value


_Variation = Annotated[float, Field(strict=True, ge=0, le=LARGEST_CV, allow_inf_nan=False)]
_Count = Annotated[int, BeforeValidator(_whole), Field(strict=True)]
_Percent = Annotated[float, Field(strict=True, ge=0, le=100, allow_inf_nan=False)]
_VARIATION = f"coefficient of variation: a number from 0 to {LARGEST_CV:g}"


class SimulationDocument(BaseModel):
    """The additional fields as they are written; each description says what is allowed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    arrival_cv: _Variation = Field(1.0, alias="arrivalCV", description=_VARIATION)
    input_cv: _Variation = Field(0.0, alias="inputTokensCV", description=_VARIATION)
    output_cv: _Variation = Field(0.0, alias="outputTokensCV", description=_VARIATION)
    kv_tokens: _Count | None = Field(
        None,
        alias="kvTokens",
        ge=16,
        le=LARGEST_COUNT,
        description=f"tokens of KV memory: a whole number from 16 to {LARGEST_COUNT}",
    )
    prefix_hit_rate: float = Field(
        0.0,
        alias="prefixHitRate",
        strict=True,
        ge=0,
        le=1,
        description="share of the input tokens: a number from 0 to 1",
    )
    concurrency: _Count | None = Field(
        None,
        ge=1,
        le=LARGEST_BATCH,
        description=f"clients of a closed loop, instead of RPS: 1 to {LARGEST_BATCH}",
    )
    percentiles: tuple[_Percent, ...] = Field(
        DEFAULT_PERCENTS, max_length=100, description="a list of numbers from 0 to 100"
    )
    target_percentile: _Percent | None = Field(
        None, alias="targetPercentile", description="a number from 0 to 100"
    )
    requests: _Count = Field(
        DEFAULT_REQUESTS,
        ge=1,
        le=LARGEST_RUN,
        description=f"a whole number from 1 to {LARGEST_RUN}",
    )
    seed: _Count = Field(
        0, ge=0, le=LARGEST_COUNT, description=f"a whole number from 0 to {LARGEST_COUNT}"
    )


FIELDS: dict[str, str] = {
    field.alias or name: field.description or ""
    for name, field in SimulationDocument.model_fields.items()
}
"""What each field may hold, in words, by its name."""
