"""Parameters of the `overlap` model as documents write them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

from pydantic import Field, ValidationError

from data.fields import Amount, StrictModel
from data.problems import problems_from_validation
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.profile import OverlapParameters, all_zero

ALLOWED_OVERLAP = (
    "an object with base_ms, weights_ms, token_ms, sequence_ms, kv_token_ms, attention_ms and "
    "prompts_ms, and where known first_token_ms, first_token_sequence_ms, first_token_output_ms"
)
"""What overlap parameters may be, in words."""


class OverlapFields(StrictModel):
    """Memory traffic and computing side by side: an iteration takes the longer of the two."""

    base_ms: Amount = Field(description="What every iteration takes, in ms.")
    weights_ms: Amount = Field(
        description="Reading the weights once, during which tokens are computed, in ms."
    )
    token_ms: Amount = Field(description="Computing a token, in ms.")
    sequence_ms: Amount = Field(description="Handling a decoding sequence, in ms.")
    kv_token_ms: Amount = Field(description="Reading a token of KV memory in decode, in ms.")
    attention_ms: Amount = Field(
        description="Attending from a prompt token to one before it, in ms."
    )
    prompts_ms: Amount = Field(
        description="What an iteration with prompts takes beyond one without, in ms."
    )
    first_token_ms: Amount = Field(
        0.0, description="Delay of a first token outside the engine, in ms."
    )
    first_token_sequence_ms: Amount = Field(
        0.0, description="The same for each sequence decoding, in ms."
    )
    first_token_output_ms: Amount = Field(
        0.0, description="The same for each output token that the request asks for, in ms."
    )

    def to_domain(self) -> OverlapParameters:
        """Return the parameters."""
        return OverlapParameters(
            self.base_ms,
            self.weights_ms,
            self.token_ms,
            self.sequence_ms,
            self.kv_token_ms,
            self.attention_ms,
            self.prompts_ms,
            self.first_token_ms,
            self.first_token_sequence_ms,
            self.first_token_output_ms,
        )


class OverlapEntry(OverlapFields):
    """base + the longer of reading weights and computing tokens + sequences, KV and attention.

    First tokens are late by a delay outside the engine.
    """

    kind: Literal["overlap"]


ENGINE_FIELDS = tuple(
    name for name, field in OverlapFields.model_fields.items() if field.is_required()
)
"""Parameters that are engine time: those that may not be left out."""


def overlap_document(parameters: OverlapParameters) -> dict[str, float]:
    """Return parameters by name, without the delays that are 0."""
    values = asdict(parameters)
    return {name: value for name, value in values.items() if value or name in ENGINE_FIELDS}


def read_overlap(value: object, path: str, file: str = "") -> OverlapParameters:
    """Return the parameters of decoded JSON or YAML.

    Args:
        value: An object of the fields of `OverlapFields`.
        path: Where it stands in its document.
        file: Name of the file, for messages.

    Raises:
        InvalidInputError: Every problem, at its field; or all engine time is zero.
    """
    try:
        parameters = OverlapFields.model_validate(value).to_domain()
    except ValidationError as error:
        problems = problems_from_validation(error, file, path, OverlapFields)
        raise InvalidInputError(problems) from error
    if all_zero(parameters):
        message = "every parameter of engine time is zero, which describes no hardware"
        raise InvalidInputError([Problem(path, message, "at least one above 0", file)])
    return parameters
