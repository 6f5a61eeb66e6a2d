"""Where profiles come from on the command line: a file, or the name of a shipped one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stoker.domain.errors import InvalidInputError, Problem

if TYPE_CHECKING:
    from data.profile_document import ProfileDocument

SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="PROFILE",
        help="Document of profiles (YAML, JSON), or the name of a shipped profile, such as "
        "llama-3.1-8b/h100.",
        show_default=False,
    ),
]


def read_source(source: str) -> ProfileDocument:
    """Return the profiles of a file, or the shipped one of that name.

    Args:
        source: Path of a file, which comes first, or a name.

    Raises:
        InvalidInputError: It is neither, or the file is no document of profiles.
    """
    from data.profile_document import read_profile_document

    path = Path(source)
    if path.exists():
        return read_profile_document(path)
    if "/" not in source or path.suffix in (".yaml", ".yml", ".json"):
        message = "there is no such file"
        raise InvalidInputError([Problem("", message, "a file, or a shipped profile", source)])
    return _shipped(source)


def _shipped(name: str) -> ProfileDocument:
    from data.profile_document import ProfileDocument
    from data.profiles import find_shipped

    found = find_shipped(name)
    fits = () if found.fit is None else (replace(found.fit, profile=0),)
    return ProfileDocument(
        (found.profile,),
        fits,
        found.document.measured_on,
        found.document.timings,
        found.document.curves,
        name=found.name,
        notes=found.document.notes,
    )
