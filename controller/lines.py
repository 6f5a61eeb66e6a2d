"""Cycles as lines of JSON, for other programs; full files are set aside, and old ones go."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

NAME = "cycles.jsonl"
_SHARE = 8
"""A file is full at this share of what all may take."""


class Lines:
    """Files of lines in a folder: ``cycles.jsonl``, and full ones by the time of their last line.

    Args:
        folder: The folder.
        retention_s: Seconds after which full files are deleted.
        most_bytes: Most bytes that all may take; the oldest go first.
    """

    def __init__(self, folder: Path, retention_s: float, most_bytes: float) -> None:
        self._folder = folder
        self._path = folder / NAME
        self._retention_s = retention_s
        self._most_bytes = most_bytes

    def add(self, text: str, at: float) -> None:
        """Write a line down.

        Args:
            text: The line.
            at: The time that it tells of, in seconds since the epoch.

        Raises:
            OSError: It cannot be written.
        """
        with self._path.open("ab") as lines:
            start = b"" if _ends_well(self._path) else b"\n"  # half a line: a crash cut it off
            lines.write(start + text.encode() + b"\n")
            size = lines.tell()
        if size >= self._most_bytes / _SHARE:
            self._set_aside(at)
        self._forget(at - self._retention_s)

    def _set_aside(self, at: float) -> None:
        self._path.replace(self._folder / _name(at))

    def _forget(self, before: float) -> None:
        full = sorted(self._folder.glob("cycles-*.jsonl"))  # by name, which is by time
        sizes = {path: path.stat().st_size for path in full}
        total = sum(sizes.values())
        room = self._most_bytes * (_SHARE - 1) / _SHARE
        for path in full:
            if path.name >= _name(before) and total <= room:
                break
            path.unlink(missing_ok=True)
            total -= sizes[path]


def _name(at: float) -> str:
    return datetime.fromtimestamp(max(at, 0.0), UTC).strftime("cycles-%Y%m%dT%H%M%S%fZ.jsonl")


def _ends_well(path: Path) -> bool:
    """Whether a file is empty, or its last line is whole."""
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
