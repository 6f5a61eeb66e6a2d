"""Where output goes: standard output, a file written at once, progress and errors on stderr."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from stoker.cli.exits import ExitCode
from stoker.domain.errors import InvalidInputError, Problem

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

WIDE = 160
"""Columns of a text that is not written to a terminal; wider where a table needs it."""

NARROWEST = 40
"""Fewest columns that a table is laid out for."""


class TextFormat(StrEnum):
    """Formats of commands that print a table or its data."""

    TABLE = "table"
    JSON = "json"


def json_text(document: object) -> str:
    """Return a document as indented JSON with a final newline.

    Raises:
        ValueError: If a number is not finite, which JSON cannot say.
    """
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def asked_width() -> int | None:
    """Return the columns that the environment asks for with COLUMNS; None where it does not."""
    text = os.environ.get("COLUMNS", "")
    asked = int(text) if text.isascii() and text.isdecimal() and len(text) <= 4 else 0
    return max(NARROWEST, asked) if asked else None


def plain_text(renderable: RenderableType, width: int = WIDE) -> str:
    """Return a rich renderable as plain text: no colour, no trailing blanks.

    Args:
        renderable: What to print.
        width: Columns of a line.
    """
    from rich.console import Console

    stream = StringIO()
    console = Console(
        file=stream, width=width, color_system=None, force_terminal=False, highlight=False
    )
    console.print(renderable)
    return "".join(f"{line.rstrip()}\n" for line in stream.getvalue().splitlines())


def terminal() -> Console | None:
    """Return a console on standard output, or None where that is no terminal."""
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else None


def output_width() -> int:
    """Return the columns of a line of standard output, be it a terminal or not."""
    console = terminal()
    return (asked_width() or WIDE) if console is None else console.width


def show(renderable: RenderableType, width: int = WIDE) -> None:
    """Print a renderable: in colour on a terminal, else as plain text.

    Args:
        renderable: What to print.
        width: Columns of a line where neither a terminal nor `COLUMNS` says how many.
    """
    console = terminal()
    if console is None:
        write_text(plain_text(renderable, asked_width() or width))
    else:
        console.print(renderable)


def show_errors(messages: Sequence[str]) -> None:
    """Print what is wrong to standard error, in red on a terminal."""
    _say("error: ", "bold red", messages)


def show_notes(messages: Iterable[str]) -> None:
    """Print remarks to standard error, so that they never mix with the output."""
    _say("note: ", "yellow", messages)


def _say(label: str, style: str, messages: Iterable[str]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for message in messages:
        console.print(Text.assemble((label, style), message))


SILENT_S = 2.0
"""Time that is not worth an explanation, in seconds."""


@dataclass(frozen=True, slots=True)
class Elapsing:
    """What is going on; after `SILENT_S` with the seconds that passed and an explanation.

    Attributes:
        message: What is going on, in a few words.
        explanation: What exactly takes the time; may be empty.
        clock: Monotonic seconds.
        started_s: When it began, by that clock.
    """

    message: str
    explanation: str
    clock: Callable[[], float]
    started_s: float

    def __rich__(self) -> Text:
        """Return the words of this moment."""
        from rich.text import Text

        passed_s = self.clock() - self.started_s
        if passed_s < SILENT_S:
            return Text(self.message)
        parts = (self.message, f"{passed_s:.0f} s", self.explanation)
        return Text(" · ".join(part for part in parts if part))


@contextmanager
def progress(
    message: str, explanation: str = "", clock: Callable[[], float] = time.monotonic
) -> Iterator[None]:
    """Show a spinner on standard error while the body runs, where that is a terminal.

    The body must not print: the spinner takes hold of standard output as well.

    Args:
        message: What is going on, in a few words.
        explanation: What exactly takes the time, for when it takes long.
        clock: Monotonic seconds.
    """
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(Elapsing(message, explanation, clock, clock())):
        yield


def announce(message: str) -> None:
    """Say on standard error what begins and may take a while, where that is a terminal."""
    if not sys.stderr.isatty():
        return
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True).print(Text(message, style="dim"))


def _is_plain_file(path: Path) -> bool:
    """Whether a path can be replaced by renaming: not a device, a pipe or the like."""
    return path.is_file() or not path.exists()


def check_output_file(path: Path | None, option: str = "--output") -> None:
    """Refuse a path that cannot be written, before any work is done.

    Args:
        path: File to write; None or ``-`` for standard output.
        option: Option that named it.

    Raises:
        InvalidInputError: If it is a directory, or its directory is missing or read-only.
    """
    if path is None or str(path) == "-":
        return
    parent = path.resolve().parent
    if path.is_dir():
        message = f"{path} is a directory"
    elif not parent.is_dir():
        message = f"{parent} is not an existing directory"
    elif not os.access(path if path.exists() else parent, os.W_OK):
        message = f"{path} is not writable"
    else:
        return
    raise InvalidInputError([Problem(option, message, "a file in a writable directory")])


def check_output_directory(path: Path | None, option: str) -> None:
    """Refuse a directory that cannot be created or written, before any work is done.

    Raises:
        InvalidInputError: If it, or what it would stand in, is no writable directory.
    """
    if path is None:
        return
    existing = path.resolve()
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir():
        message = f"{existing} is a file, not a directory"
    elif not os.access(existing, os.W_OK):
        message = f"{existing} is not writable"
    else:
        return
    raise InvalidInputError([Problem(option, message, "a writable directory, or one to create")])


def write_text(text: str, path: Path | None = None) -> None:
    """Write a text to a file in one step, or to standard output.

    The file appears whole or not at all: it is written beside its place and renamed. A device
    or a pipe is written directly.

    Args:
        text: What to write.
        path: File to write; None or ``-`` for standard output.

    Raises:
        OSError: If it cannot be written; the error names the file.
        typer.Exit: If the reader of standard output has gone.
    """
    if path is None or str(path) == "-":
        _write_stdout(text)
        return
    try:
        if _is_plain_file(path):
            _replace(path.resolve(), text)
        else:
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _write_stdout(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError as error:
        abandon_stdout()
        raise typer.Exit(ExitCode.DONE) from error
    except OSError as error:
        abandon_stdout()
        raise OSError(error.errno, error.strerror, "standard output") from error


def abandon_stdout() -> None:
    """Let what is still to be written to standard output go nowhere.

    The interpreter flushes it once more at its end, and would complain of the same error.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o666
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
