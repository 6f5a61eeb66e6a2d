"""Text files of rows that commands read, opened so that what cannot be read is said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from stoker.domain.errors import InvalidInputError, Problem


@contextmanager
def opened_csv(path: Path) -> Iterator[TextIO]:
    """Open a file of CSV or of JSON lines, with or without a byte order mark.

    Raises:
        InvalidInputError: It cannot be read, or is no UTF-8 text.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            yield lines
    except UnicodeDecodeError as error:
        message = f"is no UTF-8 text: {error.reason} at byte {error.start}"
        raise InvalidInputError([Problem("", message, "CSV text", str(path))]) from None
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        raise InvalidInputError([Problem("", message, file=str(path))]) from None
