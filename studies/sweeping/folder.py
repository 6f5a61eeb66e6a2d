"""The folder of a sweep: what it was begun with, and a log of every point that is done.

The log is the truth: a line a point, appended and flushed to the disk as results come in, by the
one process that holds its lock. A line that was cut off by a crash is dropped when the log is
opened again, and its point is planned again; whole lines are never lost or doubled.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from stoker.domain.errors import InvalidInputError, Problem
from studies.sweeping.fingerprint import fleet_hash, points_hash
from studies.sweeping.grid import Study
from studies.sweeping.planning import PointResult
from studies.sweeping.rows import Layout

MANIFEST = "sweep.json"
LOG = "points.jsonl"
FORM = 1
"""Number of the form of both files; another one is refused."""

_UNFINISHED = re.compile(r"\.(sweep\.json|results\.(csv|parquet))\.\d+\.tmp")
"""Name of a file of a sweep that is being written, or that a killed process has left."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a sweep was begun with.

    Attributes:
        fleet: Hash of the fleet.
        points: Hash of the points.
        count: Number of points.
        version: Version of Stoker that plans them.
    """

    fleet: str
    points: str
    count: int
    version: str

    @classmethod
    def of(cls, study: Study, version: str) -> Manifest:
        """Return the manifest of a study."""
        return cls(fleet_hash(study.fleet), points_hash(study), len(study.points), version)


class SweepFolder:
    """An open sweep folder: what is done, and where to note what comes.

    Use it as a context; only one process at a time may.
    """

    def __init__(self, path: Path, study: Study, version: str) -> None:
        """Keep what the sweep is; nothing is read or written yet.

        Args:
            path: The folder; made where it is missing.
            study: The study.
            version: Version of Stoker.
        """
        self.path = path
        self.done: dict[int, PointResult] = {}
        self._study = study
        self._manifest = Manifest.of(study, version)
        self._log: IO[bytes] | None = None

    def __enter__(self) -> Self:
        """Open the folder, and read what is done.

        Raises:
            InvalidInputError: It holds another sweep or other files, is damaged, or in use.
        """
        _check_path(self.path)
        if not _begun(self.path) and _others(self.path):
            raise _refused(self.path, "the folder holds other files", "a new or an empty folder")
        self.path.mkdir(parents=True, exist_ok=True)
        log = (self.path / LOG).open("a+b")
        try:
            # Nobody writes what the sweep is but who may write its log: two may begin at once.
            _lock(log, self.path)
            _clear(self.path)
            if not _begun(self.path):
                text = json.dumps({"form": FORM, **_document(self._manifest)}, indent=2) + "\n"
                write_whole(self.path / MANIFEST, text.encode())
            self._check_manifest()
            self._read(log)
        except BaseException:
            log.close()
            raise
        self._log = log
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the log, and give up its lock."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def add(self, results: Iterable[PointResult]) -> list[PointResult]:
        """Note results, on the disk when this returns; those of done points are passed over.

        Returns:
            The new ones.
        """
        if self._log is None:
            raise ValueError("the folder is not open")
        new: dict[int, PointResult] = {}
        for result in results:
            if result.index not in self.done:
                new.setdefault(result.index, result)
        lines = [_line(result) for result in new.values()]
        self._log.write("".join(lines).encode())
        self._log.flush()
        os.fsync(self._log.fileno())
        self.done |= new
        return list(new.values())

    def _check_manifest(self) -> None:
        path = self.path / MANIFEST
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise _refused(path, f"is not JSON: {error}", "the file as it was written") from error
        if not isinstance(found, dict) or found.get("form") != FORM:
            raise _refused(path, "is of another form", f"form {FORM}")
        wanted = _document(self._manifest)
        words = {"fleet": "fleet", "points": "grid", "count": "grid", "version": "Stoker"}
        changed = [words[key] for key, value in wanted.items() if found.get(key) != value]
        if changed:
            names = " and ".join(dict.fromkeys(changed))
            raise _refused(
                self.path,
                f"holds a sweep of another {names}",
                "the fleet, the grid and the version it was begun with, or another folder",
            )

    def _read(self, log: IO[bytes]) -> None:
        """Read whole lines; drop what a crash has left of the last one."""
        log.seek(0)
        content = log.read()
        whole = content[: content.rfind(b"\n") + 1]
        columns = [column.name for column in Layout.of(self._study).columns]
        for number, line in enumerate(whole.splitlines(), start=1):
            result = _result(line, columns, len(self._study.points))
            if result is None or result.index in self.done:
                raise _refused(
                    self.path / LOG, f"line {number} is damaged", "the file as it was written"
                )
            self.done[result.index] = result
        if len(whole) < len(content):
            log.truncate(len(whole))


def _line(result: PointResult) -> str:
    content = {"point": result.index, "row": list(result.row.values())}
    return json.dumps(content, ensure_ascii=True, allow_nan=False) + "\n"


def _result(line: bytes, columns: list[str], count: int) -> PointResult | None:
    """Return the result that a line holds; None where it holds none."""
    try:
        content = json.loads(line)
        index, cells = content["point"], content["row"]
    except (ValueError, KeyError, TypeError):
        return None
    if not isinstance(cells, list) or len(cells) != len(columns):
        return None
    if not isinstance(index, int) or not 0 <= index < count:
        return None
    return PointResult(index, dict(zip(columns, cells, strict=True)))


def _document(manifest: Manifest) -> dict[str, str | int]:
    return {
        "version": manifest.version,
        "fleet": manifest.fleet,
        "points": manifest.points,
        "count": manifest.count,
    }


def _lock(log: IO[bytes], path: Path) -> None:
    """Take the log for this process; the lock ends with it, however it ends."""
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        message = "another process is working in this folder"
        raise _refused(path, message, "one at a time") from error


def _begun(path: Path) -> bool:
    return (path / MANIFEST).exists()


def _others(path: Path) -> list[Path]:
    """Return what a folder holds beside an empty log and what a kill has left of a beginning."""
    if not path.is_dir():
        return []
    log = path / LOG
    return [
        each
        for each in path.iterdir()
        if not _UNFINISHED.fullmatch(each.name) and (each != log or log.stat().st_size)
    ]


def _clear(path: Path) -> None:
    """Remove what processes that were killed have left of files; only who has the lock may."""
    for each in path.iterdir():
        if _UNFINISHED.fullmatch(each.name):
            each.unlink(missing_ok=True)


def _check_path(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise _refused(path, "is a file", "a folder")


def _refused(path: Path, message: str, allowed: str) -> InvalidInputError:
    return InvalidInputError([Problem("", message, allowed, str(path))])


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it appears whole or not at all.

    Raises:
        OSError: If it cannot be written.
    """
    # As `_UNFINISHED` knows it.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
