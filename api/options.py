"""Settings of one solve, as the query or the body of a request gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data.problems import problems_from_validation
from stoker.domain.errors import InvalidInputError
from stoker.domain.fleet import Fleet
from stoker.domain.profile import EstimateKind
from stoker.domain.scaling import LARGEST_SCALE, scale_capacity
from stoker.domain.settings import Analysis, SaturationPolicy, SolverKind


class PlanOptions(BaseModel):
    """Settings that win over those of the fleet; absent ones leave them as they are."""

    # Strict: "yes" is no boolean. Not so for the choices, which arrive as text.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    solver: Annotated[
        SolverKind | None, Field(strict=False, description="How a limited fleet is planned.")
    ] = None
    unlimited: Annotated[
        bool | None, Field(description="Ignore capacity: the best candidate for each server.")
    ] = None
    heterogeneous: Annotated[
        bool | None, Field(description="Let a server mix accelerators (MILP only).")
    ] = None
    saturation_policy: Annotated[
        SaturationPolicy | None,
        Field(strict=False, description="Best effort for servers not served in full."),
    ] = None
    delayed_best_effort: Annotated[
        bool | None,
        Field(description="Give best effort after all priority groups, not after each."),
    ] = None
    time_limit_s: Annotated[
        float | None,
        Field(
            gt=0,
            allow_inf_nan=False,
            description="Time limit of the solve in seconds; the service's own is the longest.",
        ),
    ] = None
    analysis: Annotated[
        Analysis | None,
        Field(strict=False, description="The performance model that predicts latencies."),
    ] = None
    capacity_scale: Annotated[
        float | None,
        Field(
            ge=0,
            le=LARGEST_SCALE,
            allow_inf_nan=False,
            description="Multiply all card counts; the results are rounded down.",
        ),
    ] = None
    placement: Annotated[
        bool | None,
        Field(description="Plan only what has a place on the nodes of the fleet (MILP only)."),
    ] = None
    relative_gap: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            allow_inf_nan=False,
            description="Relative gap at which a plan counts as optimal.",
        ),
    ] = None
    minimum_kind: Annotated[
        EstimateKind | None,
        Field(strict=False, description="Least trustworthy kind of profile to plan with."),
    ] = None
    backend: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=40,
            description="MILP solver by its PuLP name; highs and cbc are always there.",
        ),
    ] = None

    def apply(self, fleet: Fleet) -> Fleet:
        """Return the fleet with these options in place of its own settings."""
        given = self.model_dump(exclude_none=True, exclude={"capacity_scale", "minimum_kind"})
        chosen = replace(fleet, settings=replace(fleet.settings, **given))
        if self.minimum_kind is not None:
            chosen = replace(chosen, rules=replace(chosen.rules, minimum_kind=self.minimum_kind))
        return chosen if (scale := self.capacity_scale) is None else scale_capacity(chosen, scale)


def parse_options(body: object = None, query: Mapping[str, str] | None = None) -> PlanOptions:
    """Return the options of a request; the query wins over the body.

    Args:
        body: The ``options`` object of the body; None where there is none.
        query: The query parameters.

    Raises:
        InvalidInputError: Naming every unknown option and every value that is not allowed.
    """
    problems = []
    options: dict[str, object] = {}
    try:
        in_body = PlanOptions.model_validate({} if body is None else body)
        options |= in_body.model_dump(exclude_none=True)
    except ValidationError as error:
        problems += problems_from_validation(error, prefix="options", model=PlanOptions)
    try:
        in_query = PlanOptions.model_validate_strings(dict(query or {}))
        options |= in_query.model_dump(exclude_none=True)
    except ValidationError as error:
        problems += problems_from_validation(error, prefix="query", model=PlanOptions)
    if problems:
        raise InvalidInputError(problems)
    return PlanOptions.model_validate(options)
