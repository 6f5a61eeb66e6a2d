"""The fields of a case of the replica-analysis JSON: their names, types and limits."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from stoker.domain.replica import DEFAULT_TOKEN_BUDGET

LARGEST_BATCH = 65_536
"""Largest batch limit accepted; engines run up to a few thousand sequences."""

LARGEST_COUNT = 1_000_000_000
"""Largest token count and queue limit accepted."""

SMALLEST, LARGEST = 1e-100, 1e100
"""Range of a rate, a parameter or a target that is not 0: products of them stay finite."""

_EXACT = 2.0**53  # whole numbers up to here are exact in a float
_NUMBER = f"0, or a number from {SMALLEST:g} to {LARGEST:g}"


def _computable(value: float) -> float:
    if value and not SMALLEST <= value <= LARGEST:
        raise ValueError("out of range")
    return value


def _whole(value: object) -> object:
    """Let 16.0 pass as 16: JSON has one kind of number."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    return value


_Number = Annotated[float, Field(strict=True, allow_inf_nan=False), AfterValidator(_computable)]
_Count = Annotated[int, BeforeValidator(_whole), Field(strict=True)]


class CaseDocument(BaseModel):
    """A case as it is written; each description says what is allowed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rps: _Number | None = Field(None, alias="RPS", description=_NUMBER)
    max_batch: _Count = Field(
        alias="maxBatchSize",
        ge=1,
        le=LARGEST_BATCH,
        description=f"a whole number from 1 to {LARGEST_BATCH}",
    )
    max_queue: _Count = Field(
        0,
        alias="maxQueueSize",
        ge=0,
        le=LARGEST_COUNT,
        description=f"a whole number from 0 to {LARGEST_COUNT}",
    )
    input_tokens: _Number = Field(
        alias="avgInputTokens",
        le=LARGEST_COUNT,
        description=f"mean tokens: 0, or a number from {SMALLEST:g} to {LARGEST_COUNT}",
    )
    output_tokens: _Number = Field(
        alias="avgOutputTokens",
        ge=1,
        le=LARGEST_COUNT,
        description=f"mean tokens: a number from 1 to {LARGEST_COUNT}",
    )
    alpha: _Number = Field(description=f"milliseconds: {_NUMBER}")
    beta: _Number = Field(description=f"milliseconds: {_NUMBER}")
    gamma: _Number = Field(description=f"milliseconds: {_NUMBER}")
    delta: _Number | None = Field(None, description=f"milliseconds: {_NUMBER}")
    target_ttft: _Number = Field(0.0, alias="targetTTFT", description=f"milliseconds: {_NUMBER}")
    target_itl: _Number = Field(0.0, alias="targetITL", description=f"milliseconds: {_NUMBER}")
    target_tps: _Number = Field(0.0, alias="targetTPS", description=f"tokens per second: {_NUMBER}")
    token_budget: _Count = Field(
        0,
        alias="maxNumTokens",
        ge=0,
        le=LARGEST_COUNT,
        description=f"a whole number from 1 to {LARGEST_COUNT}, or 0 for {DEFAULT_TOKEN_BUDGET}",
    )


ALLOWED: dict[str, str] = {
    field.alias or name: field.description or ""
    for name, field in CaseDocument.model_fields.items()
}
"""What each field may hold, in words, by its name."""

FIELDS: tuple[str, ...] = tuple(ALLOWED)
"""Names of the fields of a case, as the format spells them."""
