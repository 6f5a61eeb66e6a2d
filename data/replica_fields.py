"""The fields of a case of the replica-analysis JSON: their names, types and limits.

The analysis and the simulation of a replica share them; the latter adds two of its own.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field

from data.given_fields import allowed_values
from data.service_fields import ALLOWED_NUMBER, SMALLEST, Number, ServiceDocument
from stoker.domain.latency import DEFAULT_PERCENTILES
from stoker.domain.replica import DEFAULT_TOKEN_BUDGET

LARGEST_BATCH = 65_536
"""Largest batch limit accepted; engines run up to a few thousand sequences."""

LARGEST_COUNT = 1_000_000_000
"""Largest token count and queue limit accepted."""

LARGEST_CV = 100.0
"""Largest coefficient of variation accepted."""

SMALLEST_KV = 16
"""Smallest KV capacity accepted: one block of memory."""

MOST_PERCENTILES = 100
"""Most percentiles of one answer."""

_EXACT = 2.0**53  # whole numbers up to here are exact in a float


def _whole(value: object) -> object:
    """Let 16.0 pass as 16: JSON has one kind of number."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    return value


Count = Annotated[int, BeforeValidator(_whole), Field(strict=True)]
"""A whole number, which JSON may write as 16.0."""

_Variation = Annotated[float, Field(strict=True, ge=0, le=LARGEST_CV, allow_inf_nan=False)]
_Percent = Annotated[float, Field(strict=True, ge=0, le=100, allow_inf_nan=False)]
_VARIATION = f"coefficient of variation: a number from 0 to {LARGEST_CV:g}"


class CaseDocument(ServiceDocument):
    """A case as it is written; each description says what is allowed."""

    rps: Number | None = Field(None, alias="RPS", description=ALLOWED_NUMBER)
    max_batch: Count = Field(
        alias="maxBatchSize",
        ge=1,
        le=LARGEST_BATCH,
        description=f"a whole number from 1 to {LARGEST_BATCH}",
    )
    max_queue: Count = Field(
        0,
        alias="maxQueueSize",
        ge=0,
        le=LARGEST_COUNT,
        description=f"a whole number from 0 to {LARGEST_COUNT}",
    )
    input_tokens: Number = Field(
        alias="avgInputTokens",
        le=LARGEST_COUNT,
        description=f"mean tokens: 0, or a number from {SMALLEST:g} to {LARGEST_COUNT}",
    )
    output_tokens: Number = Field(
        alias="avgOutputTokens",
        ge=1,
        le=LARGEST_COUNT,
        description=f"mean tokens: a number from 1 to {LARGEST_COUNT}",
    )
    target_ttft: Number = Field(
        0.0, alias="targetTTFT", description=f"milliseconds: {ALLOWED_NUMBER}"
    )
    target_itl: Number = Field(
        0.0, alias="targetITL", description=f"milliseconds: {ALLOWED_NUMBER}"
    )
    target_tps: Number = Field(
        0.0, alias="targetTPS", description=f"tokens per second: {ALLOWED_NUMBER}"
    )
    token_budget: Count = Field(
        0,
        alias="maxNumTokens",
        ge=0,
        le=LARGEST_COUNT,
        description=f"a whole number from 1 to {LARGEST_COUNT}, or 0 for {DEFAULT_TOKEN_BUDGET}",
    )
    arrival_cv: _Variation = Field(1.0, alias="arrivalCV", description=_VARIATION)
    input_cv: _Variation = Field(0.0, alias="inputTokensCV", description=_VARIATION)
    output_cv: _Variation = Field(0.0, alias="outputTokensCV", description=_VARIATION)
    kv_tokens: Count | None = Field(
        None,
        alias="kvTokens",
        ge=SMALLEST_KV,
        le=LARGEST_COUNT,
        description=f"tokens of KV memory: a whole number from {SMALLEST_KV} to {LARGEST_COUNT}",
    )
    prefix_hit_rate: float = Field(
        0.0,
        alias="prefixHitRate",
        strict=True,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="share of the input tokens: a number from 0 to 1",
    )
    concurrency: Count | None = Field(
        None,
        ge=1,
        le=LARGEST_BATCH,
        description=f"clients of a closed loop, instead of RPS: 1 to {LARGEST_BATCH}",
    )
    percentiles: tuple[_Percent, ...] = Field(
        DEFAULT_PERCENTILES,
        max_length=MOST_PERCENTILES,
        description=f"a list of at most {MOST_PERCENTILES} numbers from 0 to 100",
    )
    target_percentile: _Percent | None = Field(
        None,
        alias="targetPercentile",
        gt=0,
        lt=100,
        description="a number above 0 and below 100",
    )

    ENGINE_TERMS: ClassVar[frozenset[str]] = frozenset(
        {
            "token_budget",
            "arrival_cv",
            "input_cv",
            "output_cv",
            "kv_tokens",
            "prefix_hit_rate",
            "concurrency",
            "percentiles",
            "target_percentile",
            "curve",
            "overlap",
        }
    )
    """Fields of which any one asks for the analysis of the engine: means do not know them."""

    def engine_terms(self) -> tuple[str, ...]:
        """Return the names of the fields given that ask for the analysis of the engine."""
        given = self.model_fields_set - ({"token_budget"} if self.token_budget == 0 else set())
        fields = type(self).model_fields
        return tuple(
            fields[name].alias or name for name in fields if name in given & self.ENGINE_TERMS
        )


FIELDS: tuple[str, ...] = tuple(allowed_values(CaseDocument))
"""Names of the fields of a case, as the format spells them."""
