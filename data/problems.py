"""From validation errors to problems that a user can mend."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from data.model_fields import Place, resolve
from data.wording import Loc, choices, did_you_mean, path_text, shown
from stoker.domain.errors import Problem

_NUMBER_TYPES = {"float_type", "int_type", "int_parsing", "int_from_float", "float_parsing"}
_BOUND_TYPES = {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}
_MAPPING_TYPES = {"model_type", "model_attributes_type", "dict_type", "list_type"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with a document, before it is known which file the place belongs to.

    Attributes:
        loc: Where in the document.
        message: What is wrong, with the offending value.
        allowed: What would be accepted; empty where the message already says so.
    """

    loc: Loc
    message: str
    allowed: str = ""


def problems_from_validation(
    error: ValidationError, file: str = "", prefix: str = "", model: type[BaseModel] | None = None
) -> list[Problem]:
    """Return a validation error as problems, in the order in which pydantic found them.

    Args:
        error: The error of one validation.
        file: Name of the file for the problems; empty for a request body.
        prefix: Path that stands before every place, e.g. ``line 3``.
        model: The model validated; with it, unknown keys name the nearest allowed one and
            wrong values name the bounds of their field.
    """
    problems = []
    for finding in findings_from_validation(error, model):
        path = path_text(finding.loc)
        between = "." if prefix and path and not path.startswith("[") else ""
        problems.append(Problem(prefix + between + path, finding.message, finding.allowed, file))
    return problems


def findings_from_validation(
    error: ValidationError, model: type[BaseModel] | None = None
) -> list[Finding]:
    """Return a validation error as findings, in the order in which pydantic found them."""
    findings = []
    for details in error.errors(include_url=False):
        loc = tuple(details["loc"])
        place = resolve(model, loc) if model is not None else Place(loc, (), "")
        findings.append(_finding(details, place))
    return findings


def _finding(details: ErrorDetails, place: Place) -> Finding:
    kind = details["type"]
    value = details["input"]
    context = details.get("ctx", {})
    if kind == "missing":
        return Finding(place.loc, "is missing", place.allowed)
    if kind == "extra_forbidden":
        key = str(place.loc[-1])
        return Finding(
            place.loc, f"unknown key{did_you_mean(key, place.keys)}", choices(place.keys)
        )
    if kind == "finite_number":
        return Finding(place.loc, f"{shown(value)} is not a finite number", place.allowed)
    if kind in _NUMBER_TYPES:
        return Finding(place.loc, _not_a_number(kind, value), place.allowed)
    if kind in _BOUND_TYPES:
        bound = details["msg"].removeprefix("Input should be ")
        return Finding(place.loc, f"{shown(value)} is out of bounds", place.allowed or bound)
    if kind == "string_type":
        hint = "; put it in quotes" if isinstance(value, int | float) else ""
        return Finding(place.loc, f"{shown(value)} is not text{hint}", "text")
    if kind == "string_too_short":
        return Finding(place.loc, "is empty", "text of at least one character")
    if kind == "too_short":
        return Finding(place.loc, "is too short", f"at least {context['min_length']} of them")
    if kind == "string_pattern_mismatch":
        return Finding(place.loc, f"{shown(value)} has another form", place.allowed)
    if kind == "string_too_long":
        allowed = f"text of at most {context['max_length']} characters"
        return Finding(place.loc, "is too long", allowed)
    if kind in ("bool_type", "bool_parsing"):
        return Finding(place.loc, f"{shown(value)} is neither true nor false", "true or false")
    if kind in _MAPPING_TYPES:
        wanted = "list" if kind == "list_type" else "mapping"
        return Finding(place.loc, f"{shown(value)} is not a {wanted}", place.allowed)
    if kind in ("literal_error", "enum"):
        allowed = place.allowed or _listed(str(context.get("expected", "")))
        suggestion = did_you_mean(value, allowed.split(", ")) if isinstance(value, str) else ""
        return Finding(place.loc, f"{shown(value)} is not one of the choices{suggestion}", allowed)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _wrong_tag(kind, context, place)
    message = details["msg"].removeprefix("Value error, ")
    return Finding(place.loc, message, place.allowed if kind != "value_error" else "")


def _listed(expected: str) -> str:
    """Return choices as this module lists them, from `'a', 'b' or 'c'`."""
    return expected.replace("'", "").replace(" or ", ", ")


def _not_a_number(kind: str, value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{shown(value)} is too large"
    if isinstance(value, float):
        return f"{shown(value)} is not a whole number"
    wanted = "a whole number" if kind.startswith("int") else "a number"
    return f"{shown(value)} is not {wanted}"


def _wrong_tag(kind: str, context: dict[str, object], place: Place) -> Finding:
    """Return the finding for the key that tells the alternatives of a union apart."""
    key = str(context["discriminator"]).strip("'")
    if kind == "union_tag_not_found":
        return Finding((*place.loc, key), "is missing", place.allowed)
    expected = str(context["expected_tags"]).replace("'", "")
    return Finding(
        (*place.loc, key), f"{shown(context['tag'])} is not one of the choices", expected
    )
