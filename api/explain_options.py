"""What a request asks of an explanation, beside the plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data.problems import problems_from_validation
from data.wording import did_you_mean
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.explanation import Explanation, ShadowMethod
from stoker.domain.fleet import Fleet

MAX_SERVERS = 10_000
"""Most servers that one request names."""


class ExplainRequest(BaseModel):
    """What to explain, and for how long."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    servers: Annotated[list[str], Field(max_length=MAX_SERVERS)] | None = Field(
        None, description="Names of the servers to explain; all without it."
    )
    profile_error: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] | None = Field(
        None, description="Relative error of profiles that do not tell their own, such as 0.1."
    )
    shadow: Annotated[ShadowMethod, Field(strict=False)] = Field(
        ShadowMethod.EXACT, description="How prices of cards are found."
    )
    time_limit_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None,
        description="Seconds after which nothing is planned again; half of what the plan leaves of "
        "the service's own limit is the longest.",
    )


def parse_explain(document: object, fleet: Fleet) -> ExplainRequest:
    """Return what a request asks of the explanation of a fleet's plan.

    Raises:
        InvalidInputError: Every problem of it, and every server that the fleet does not have.
    """
    try:
        asked = ExplainRequest.model_validate({} if document is None else document)
    except ValidationError as error:
        raise InvalidInputError(
            problems_from_validation(error, prefix="explain", model=ExplainRequest)
        ) from error
    known = tuple(server.name for server in fleet.servers)
    problems = [
        Problem(
            f"explain.servers[{index}]",
            f'the fleet has no server "{name}"' + did_you_mean(name, known),
            "a server of the fleet",
        )
        for index, name in enumerate(asked.servers or ())
        if name not in known
    ]
    if problems:
        raise InvalidInputError(problems)
    return asked


def chosen(explanation: Explanation, servers: Sequence[str] | None) -> Explanation:
    """Return the explanation of some servers alone; of all without names."""
    if servers is None:
        return explanation
    return replace(
        explanation,
        allocations=tuple(each for each in explanation.allocations if each.server in servers),
        unplaced=tuple(each for each in explanation.unplaced if each.server in servers),
    )
