"""Fields of an object of the replica-analysis JSON: their spelling, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from data.json_lines import cut, shown
from stoker.domain.errors import Problem


def allowed_values(document: type[BaseModel]) -> dict[str, str]:
    """Return what each field may hold, in words, by the name that the format spells."""
    return {
        field.alias or name: field.description or ""
        for name, field in document.model_fields.items()
    }


def named_fields(
    given: Mapping[object, object], names: Iterable[str], file: str, path: str = ""
) -> tuple[dict[str, object], list[Problem]]:
    """Return the fields under the format's own spelling, nulls left out, and what is told twice.

    Args:
        given: The object.
        names: The names of its fields, as the format spells them.
        file: Name of the file for messages.
        path: What stands before the names there, such as ``prefillParameters.``.
    """
    spellings = {name.lower(): name for name in names}
    fields: dict[str, object] = {}
    problems = []
    for key, value in given.items():
        name = str(key)
        name = spellings.get(name.lower(), name)
        if name in fields:
            message = "is given more than once, in different spellings"
            problems.append(Problem(f"{path}{name}", message, "one value for each field", file))
        elif value is not None:
            fields[name] = value
    return fields, problems


def field_problem(
    details: ErrorDetails,
    fields: Mapping[str, object],
    allowed: Mapping[str, str],
    file: str,
    path: str = "",
) -> Problem:
    """Return what is wrong with a field that did not pass its check."""
    name = str(details["loc"][0])
    if details["type"] == "extra_forbidden":
        choices = ", ".join(allowed)
        return Problem(f"{path}{cut(name)}", "is not a field of a case", choices, file)
    if details["type"] == "missing":
        return Problem(f"{path}{name}", "is missing", allowed[name], file)
    return Problem(f"{path}{name}", f"is {shown(fields[name])}", allowed[name], file)
