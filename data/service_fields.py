"""Parameters of service times in a case of the replica-analysis JSON: fields, and reading them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    InstanceOf,
    ValidationError,
)

from data.curve_fields import ALLOWED_CURVE, read_curve
from data.given_fields import allowed_values, field_problem, named_fields
from data.json_lines import shown
from data.overlap_fields import ALLOWED_OVERLAP, read_overlap
from stoker.domain.curve import IterationTable
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.profile import (
    LinearParameters,
    OverlapParameters,
    ServiceParameters,
    TokenWorkParameters,
    all_zero,
)

PARAMETERS = ("alpha", "beta", "gamma")
"""Fields that a case must have unless it has a curve or overlap parameters."""

SMALLEST, LARGEST = 1e-100, 1e100
"""Range of a rate, a parameter or a target that is not 0: products of them stay finite."""

ALLOWED_NUMBER = f"0, or a number from {SMALLEST:g} to {LARGEST:g}"

_READERS: Mapping[str, Callable[[object, str, str], ServiceParameters]] = {
    "curve": read_curve,
    "overlap": read_overlap,
}
"""Fields in place of `alpha`, `beta` and `gamma`, and what reads them."""


ALLOWED_SERVICE = "an object with alpha, beta and gamma (and delta), with curve or with overlap"
"""What parameters in an object of their own may be, in words."""


def _computable(value: float) -> float:
    if value and not SMALLEST <= value <= LARGEST:
        raise ValueError("out of range")
    return value


Number = Annotated[float, Field(strict=True, allow_inf_nan=False), AfterValidator(_computable)]
"""A number whose products with others stay finite."""


class ServiceDocument(BaseModel):
    """Parameters of service times as they are written; each description says what is allowed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    alpha: Number = Field(0.0, description=f"milliseconds: {ALLOWED_NUMBER}")
    beta: Number = Field(0.0, description=f"milliseconds: {ALLOWED_NUMBER}")
    gamma: Number = Field(0.0, description=f"milliseconds: {ALLOWED_NUMBER}")
    delta: Number | None = Field(None, description=f"milliseconds: {ALLOWED_NUMBER}")
    curve: InstanceOf[IterationTable] | None = Field(None, description=ALLOWED_CURVE)
    overlap: InstanceOf[OverlapParameters] | None = Field(None, description=ALLOWED_OVERLAP)

    def parameters(self) -> ServiceParameters:
        """Return the parameters; ``delta`` given makes them those of `linear`."""
        given = self.curve or self.overlap
        if given is not None:
            return given
        if self.delta is None:
            return TokenWorkParameters(self.alpha, self.beta, self.gamma)
        return LinearParameters(self.alpha, self.beta, self.gamma, self.delta)


def check_parameters(document: ServiceDocument, file: str = "", path: str = "") -> None:
    """Refuse parameters that describe no hardware.

    Args:
        document: What was given.
        file: Name of the file for messages.
        path: What stands before the names of the fields: empty, or ``prefillParameters.``.

    Raises:
        InvalidInputError: All are 0.
    """
    if all_zero(document.parameters()):
        given = (*PARAMETERS, "delta") if document.delta is not None else PARAMETERS
        names = ", ".join(f"{path}{name}" for name in given)
        raise InvalidInputError([Problem(names, "are all 0", "at least one above 0", file)])


def read_service(
    fields: dict[str, object], allowed: Mapping[str, str], file: str, path: str = ""
) -> list[Problem]:
    """Read curve or overlap parameters in place; return what is wrong with them, or with none.

    Args:
        fields: The fields given, by the name that the format spells.
        allowed: What each field may hold, in words.
        file: Name of the file for messages.
        path: What stands before the names of the fields.
    """
    told = [name for name in _READERS if name in fields]
    if not told:
        missing = [name for name in PARAMETERS if name not in fields]
        return [Problem(f"{path}{name}", "is missing", allowed[name], file) for name in missing]
    first, *others = told
    both = [name for name in (*PARAMETERS, "delta", *others) if name in fields]
    a_first = "a curve" if first == "curve" else "overlap parameters"
    problems = [
        Problem(f"{path}{name}", f"is given beside {a_first}", f"parameters or {a_first}", file)
        for name in both
    ]
    for name in told:
        try:
            fields[name] = _READERS[name](fields[name], f"{path}{name}", file)
        except InvalidInputError as error:
            problems += error.problems
            del fields[name]
    return problems


def parse_service(value: object, path: str, file: str = "") -> ServiceParameters:
    """Return the parameters of an object that holds nothing else.

    Args:
        value: Decoded JSON: an object with alpha, beta, gamma and where wanted delta; or with a
            curve, or overlap parameters, in their place.
        path: Where it stands in its document.
        file: Name of the file for messages.

    Raises:
        InvalidInputError: With every problem found.
    """
    if not isinstance(value, dict):
        raise InvalidInputError([Problem(path, f"is {shown(value)}", ALLOWED_SERVICE, file)])
    allowed, before = allowed_values(ServiceDocument), f"{path}."
    fields, problems = named_fields(value, allowed, file, before)
    problems += read_service(fields, allowed, file, before)
    try:
        parsed = ServiceDocument.model_validate(fields)
    except ValidationError as error:
        found = error.errors(include_url=False)
        problems += [field_problem(details, fields, allowed, file, before) for details in found]
        raise InvalidInputError(problems) from None
    if problems:
        raise InvalidInputError(problems)
    check_parameters(parsed, file, before)
    return parsed.parameters()
