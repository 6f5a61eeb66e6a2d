"""Measured curves as documents write them: iteration times over knots of the engine's state."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, field_validator

from data.fields import Amount, StrictModel
from data.problems import problems_from_validation
from data.wording import shown
from stoker.domain.curve import IterationTable
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.profile import all_zero

MOST_KNOTS = 500
"""Most knots of an axis; a grid may so hold a quarter of a million times."""

_LARGEST_KNOT = 1e9

ALLOWED_CURVE = (
    "an object with batches, context_tokens and decode_ms, prefill_tokens and prefill_ms, and "
    "where needed prefill_context_tokens, shared_ms, first_token_ms, first_token_sequence_ms, "
    "first_token_output_ms"
)
"""What a curve may be, in words."""


def _ascending(knots: list[float]) -> list[float]:
    for low, high in pairwise(knots):
        if high <= low:
            raise ValueError(
                f"{shown(high)} follows {shown(low)} (allowed: knots that ascend, each once)"
            )
    return knots


_Knots = Annotated[
    list[Annotated[float, Field(ge=0, le=_LARGEST_KNOT)]],
    Field(min_length=1, max_length=MOST_KNOTS),
    AfterValidator(_ascending),
]
_Grid = list[list[Amount]]


class CurveFields(StrictModel):
    """Iteration times at knots: of decodes over batch × context, of prefills over tokens × reads.

    Bilinear between the knots. Below the first knot of an axis the first value holds; beyond the
    last one the last cell goes on in a straight line, or level where it falls.
    """

    batches: _Knots = Field(description="Sequences that decode: knots, ascending.")
    context_tokens: _Knots = Field(
        description="Mean context of the decoding sequences, in tokens: knots, ascending."
    )
    decode_ms: _Grid = Field(
        description="Time of an iteration that decodes, in ms: a list of times over "
        "`context_tokens` for each of `batches`."
    )
    prefill_tokens: _Knots = Field(
        description="Prompt tokens computed in an iteration: knots, ascending."
    )
    prefill_context_tokens: _Knots = Field(
        [0.0], description="KV tokens that the prompts of an iteration read: knots, ascending."
    )
    prefill_ms: _Grid = Field(
        description="Time of an iteration that prefills alone, in ms: a list of times over "
        "`prefill_context_tokens` for each of `prefill_tokens`."
    )
    shared_ms: Amount = Field(
        0.0,
        description="What decode and prefill times both include and an iteration that does both "
        "pays once, in ms; at most the least prefill time.",
    )
    first_token_ms: Amount = Field(
        0.0,
        description="Delay of a first token outside the engine, in ms, which takes no engine time.",
    )
    first_token_sequence_ms: Amount = Field(
        0.0, description="The same for each sequence decoding in its iteration."
    )
    first_token_output_ms: Amount = Field(
        0.0, description="The same for each output token that the request asks for."
    )

    @field_validator("decode_ms", "prefill_ms")
    @classmethod
    def _fits_its_knots(cls, grid: _Grid, info: ValidationInfo) -> _Grid:
        axes = {
            "decode_ms": ("batches", "context_tokens"),
            "prefill_ms": ("prefill_tokens", "prefill_context_tokens"),
        }
        rows, columns = axes[info.field_name or ""]
        if rows not in info.data or columns not in info.data:
            return grid  # told already, at the knots
        height, width = len(info.data[rows]), len(info.data[columns])
        if len(grid) != height:
            raise ValueError(
                f"{_count(len(grid), 'row')} for {_count(height, 'knot')} of {rows} "
                f"(allowed: {height}, one for each)"
            )
        for index, row in enumerate(grid):
            if len(row) != width:
                raise ValueError(
                    f"{_count(len(row), 'time')} in row {index} for {_count(width, 'knot')} of "
                    f"{columns} (allowed: {width}, one for each)"
                )
        return grid

    @field_validator("shared_ms")
    @classmethod
    def _is_in_every_prefill(cls, shared: float, info: ValidationInfo) -> float:
        times = [time for row in info.data.get("prefill_ms", ()) for time in row]
        if times and shared > min(times):
            raise ValueError(
                f"{shown(shared)} is more than the least prefill time "
                f"(allowed: from 0 to {shown(min(times))})"
            )
        return shared

    @classmethod
    def of(cls, table: IterationTable) -> Self:
        """Return a table as its fields."""
        return cls(
            batches=list(table.batches),
            context_tokens=list(table.contexts),
            decode_ms=[list(row) for row in table.decode_ms],
            prefill_tokens=list(table.prefill_tokens),
            prefill_context_tokens=list(table.prefill_contexts),
            prefill_ms=[list(row) for row in table.prefill_ms],
            shared_ms=table.shared_ms,
            first_token_ms=table.first_token_ms,
            first_token_sequence_ms=table.first_token_sequence_ms,
            first_token_output_ms=table.first_token_output_ms,
        )

    def to_domain(self) -> IterationTable:
        """Return the table."""
        return IterationTable(
            batches=tuple(self.batches),
            contexts=tuple(self.context_tokens),
            decode_ms=tuple(tuple(row) for row in self.decode_ms),
            prefill_tokens=tuple(self.prefill_tokens),
            prefill_contexts=tuple(self.prefill_context_tokens),
            prefill_ms=tuple(tuple(row) for row in self.prefill_ms),
            shared_ms=self.shared_ms,
            first_token_ms=self.first_token_ms,
            first_token_sequence_ms=self.first_token_sequence_ms,
            first_token_output_ms=self.first_token_output_ms,
        )


class CurveEntry(CurveFields):
    """Measured iteration times: decode over batch × context, prefill over tokens × KV read.

    Bilinear between the knots; constant below the first and straight beyond the last one.
    """

    kind: Literal["curve"]


def read_curve(value: object, path: str, file: str = "") -> IterationTable:
    """Return the table of decoded JSON or YAML.

    Args:
        value: An object of the fields of `CurveFields`.
        path: Where it stands in its document.
        file: Name of the file, for messages.

    Raises:
        InvalidInputError: Every problem, at its field; or every time is zero.
    """
    try:
        table = CurveFields.model_validate(value).to_domain()
    except ValidationError as error:
        problems = problems_from_validation(error, file, path, CurveFields)
        raise InvalidInputError(problems) from error
    if all_zero(table):
        message = "every time is zero, which describes no hardware"
        raise InvalidInputError([Problem(path, message, "at least one time above 0", file)])
    return table


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
