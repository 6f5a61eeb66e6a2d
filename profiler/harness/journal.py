"""The journal of a run: every result as it comes, so that a run that was cut off goes on.

JSON lines. The first says what run it is; then comes a line as each case begins and one with its
result. Each is on the disk before the next begins. A last line that was cut off counts as not
written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from stoker.domain.timing import CaseStatus, CaseTiming, IterationCase

VERSION = 1

MOST_STARTS = 3
"""A case that began so often without a result has ended the process: it is not tried again."""

_BEGINNING = f'{{"journal": {VERSION}, '.encode()
"""How every journal begins."""

_CASE = ("prefill_tokens", "prefix_tokens", "decode_batch", "context_tokens")
_GAUGES = ("clock_mhz", "temperature_c", "power_w")


class JournalError(ValueError):
    """A journal that does not belong to this run, or is none at all; the message says why."""


class Journal:
    """A journal that is being written."""

    def __init__(self, path: Path, header: Mapping[str, object]) -> None:
        """Open the journal of a run, or begin it.

        Args:
            path: Its file.
            header: What tells one run from another; what began with other words does not go on.

        Raises:
            JournalError: The file is no journal, or that of another run.
            OSError: It cannot be read or written.
        """
        self.path = path
        self.timings: dict[IterationCase, CaseTiming] = {}
        self.bends: dict[IterationCase, float | None] = {}
        self.starts: dict[IterationCase, int] = {}
        self.spent_s = 0.0
        self.started_at = ""
        self._header = dict(header)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            _lock(self._file, path)
            os.ftruncate(self._file, self._read())
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)

    @property
    def begun(self) -> bool:
        """Whether the journal says what run it is."""
        return bool(self.started_at)

    def begin(self, started_at: str) -> None:
        """Write what run it is, unless that stands there."""
        if not self.begun:
            self._write({"journal": VERSION, "run": self._header, "started_at": started_at})
            self.started_at = started_at

    def start(self, case: IterationCase) -> None:
        """Write that a case begins."""
        self.starts[case] = self.starts.get(case, 0) + 1
        self._write({"start": _case_entry(case)})

    def finish(self, timing: CaseTiming, bend: float | None, spent_s: float) -> None:
        """Write the result of a case.

        Args:
            timing: The result.
            bend: How far its times are off a straight line over layers; None where unknown.
            spent_s: Time that it took.

        Raises:
            ValueError: The case has a result already.
        """
        if timing.case in self.timings:
            raise ValueError(f"{timing.case} was timed twice")
        self._write({"result": _timing_entry(timing), "bend": bend, "spent_s": spent_s})
        self._keep(timing, bend, spent_s)

    def _keep(self, timing: CaseTiming, bend: float | None, spent_s: float) -> None:
        self.timings[timing.case] = timing
        self.bends[timing.case] = bend
        self.spent_s += spent_s

    def _write(self, entry: Mapping[str, object]) -> None:
        line = json.dumps(entry, allow_nan=False) + "\n"
        data = line.encode()
        while data:
            data = data[os.write(self._file, data) :]
        os.fsync(self._file)

    def _read(self) -> int:
        """Take over what stands in the file; return the bytes of its whole lines."""
        kept = 0
        for number, line in enumerate(self.path.read_bytes().splitlines(keepends=True), start=1):
            if not line.endswith(b"\n"):
                if number == 1 and not (_BEGINNING.startswith(line) or line.startswith(_BEGINNING)):
                    raise JournalError(f"{self.path} is not a journal of a run")
                break
            try:
                self._take(json.loads(line), number)
            except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
                if isinstance(error, JournalError):
                    raise
                raise JournalError(f"{self.path}: line {number} is not of a journal") from error
            kept += len(line)
        return kept

    def _take(self, entry: dict[str, object], number: int) -> None:
        if number == 1:
            if entry.get("journal") != VERSION:
                raise JournalError(f"{self.path} is not a journal of a run")
            run = entry["run"]
            assert isinstance(run, dict)
            self._compare(run)
            self.started_at = str(entry["started_at"])
        elif "start" in entry:
            case = _case_of(entry["start"])
            self.starts[case] = self.starts.get(case, 0) + 1
        else:
            timing = _timing_of(entry["result"])
            bend, spent = entry["bend"], entry["spent_s"]
            if timing.case in self.timings:
                raise JournalError(f"{self.path}: line {number} times a case again")
            self._keep(timing, None if bend is None else _number(bend), _number(spent))

    def _compare(self, run: Mapping[str, object]) -> None:
        wanted = json.loads(json.dumps(self._header))
        for name in {**run, **wanted}:
            if run.get(name) != wanted.get(name):
                raise JournalError(
                    f"{self.path} is the journal of another run: {name} is {run.get(name)!r} "
                    f"there, {wanted.get(name)!r} here"
                )


def _lock(file: int, path: Path) -> None:
    """Keep other runs off, until this process ends."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise JournalError(f"{path} is being written by another run") from error


def _case_entry(case: IterationCase) -> dict[str, int]:
    return {name: getattr(case, name) for name in _CASE}


def _case_of(entry: object) -> IterationCase:
    assert isinstance(entry, dict)
    return IterationCase(*(int(entry[name]) for name in _CASE))


def _timing_entry(timing: CaseTiming) -> dict[str, object]:
    return {
        **_case_entry(timing.case),
        "status": timing.status.value,
        "samples_ms": list(timing.samples_ms),
        "outliers": list(timing.outliers),
        "median_ms": timing.median_ms,
        "spread_ms": timing.spread_ms,
        "reason": timing.reason,
        "memory_bytes": timing.memory_bytes,
        **{name: getattr(timing, name) for name in _GAUGES},
    }


def _timing_of(entry: object) -> CaseTiming:
    assert isinstance(entry, dict)
    return CaseTiming(
        case=_case_of(entry),
        status=CaseStatus(entry["status"]),
        samples_ms=tuple(entry["samples_ms"]),
        outliers=tuple(entry["outliers"]),
        median_ms=entry["median_ms"],
        spread_ms=entry["spread_ms"],
        reason=entry["reason"],
        memory_bytes=entry["memory_bytes"],
        **{name: entry[name] for name in _GAUGES},
    )


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return float(value)
