"""The loop that commands are about: by its control document, or at its address."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stoker.cli.output import show_notes
from stoker.domain.control.settings import RecordSettings
from stoker.domain.errors import InvalidInputError, Problem

if TYPE_CHECKING:
    from api.control.desk import ControlDesk

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="Ask the loop at the address of its metrics, instead of a CONTROL document's records.",
        show_default=False,
    ),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        help="With --url: file with the token that the loop wants.",
        show_default=False,
    ),
]
CONTROL_HELP = "Control document of the loop; left out with --url."


def desk(document: Path | None, url: str | None, token_file: Path | None) -> ControlDesk:
    """Return the desk of a loop.

    Raises:
        InvalidInputError: There is not one of both, the document is wrong, there are no records
            yet, or the address is none.
        OSError: A file cannot be read.
    """
    if url is not None:
        from stoker.cli.control_remote import RemoteDesk

        if document is not None:
            message = f"{document} and --url name a loop each"
            raise InvalidInputError([Problem("CONTROL", message, "one of both")])
        return RemoteDesk(url, token_file)
    if document is None:
        raise InvalidInputError(
            [Problem("CONTROL", "is missing", "a control document, or --url with an address")]
        )
    if token_file is not None:
        message = "goes with --url: records on disk want no token"
        raise InvalidInputError([Problem("--token-file", message)])
    return _desk_of_files(document)


def named(
    words: Sequence[str] | None, url: str | None, least: int = 0, what: str = "SERVER"
) -> tuple[Path | None, list[str]]:
    """Return the document and the names behind it; with an address there are names alone.

    Args:
        words: What stands on the command line.
        url: The address; None for none.
        least: Fewest names.
        what: What they name, for the message.

    Raises:
        InvalidInputError: Names are missing.
    """
    given = list(words or ())
    document = Path(given.pop(0)) if given and url is None else None
    if document is None and url is None:
        raise InvalidInputError(
            [Problem("CONTROL", "is missing", "a control document, or --url with an address")]
        )
    if len(given) < least:
        raise InvalidInputError([Problem(what, "is missing", "the name of a server")])
    return document, given


def _desk_of_files(document: Path) -> ControlDesk:
    from controller.desk import Desk
    from controller.journal import DATABASE, CycleJournal
    from stoker.cli.control_wiring import records_folder

    records = _records(document)
    folder = records_folder(document, records)
    if not (folder / DATABASE).is_file():
        message = f"no records in {folder}: the loop has not run yet"
        raise InvalidInputError([Problem("CONTROL", message, f"stoker control run {document}")])
    return Desk(CycleJournal(folder, records.retention_days, records.retention_mb), time.time)


def _records(document: Path) -> RecordSettings:
    """Return where the records of a document are, even where all else in it is wrong.

    While a document is wrong the loop goes on with the last good one: whoever asks what it does
    must hear that, and not only what is wrong.
    """
    from controller.journal import DATABASE
    from data.control_document.reading import read_control
    from data.decode import read_document
    from stoker.cli.control_wiring import records_folder

    try:
        return read_control(document).settings.records
    except InvalidInputError as error:
        decoded = read_document(document).value
        told = decoded.get("records", {}) if isinstance(decoded, dict) else None
        folder = told.get("folder", "") if isinstance(told, dict) else None
        if not isinstance(folder, str):
            raise
        found = RecordSettings(folder=folder)
        if not (records_folder(document, found) / DATABASE).is_file():
            raise
        show_notes([f"the document is wrong: {problem}" for problem in error.problems])
        return found
