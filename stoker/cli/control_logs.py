"""What the loop logs: a line a cycle to read, or JSON lines, one for each decision."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from stoker.domain.errors import StokerError

Record = Mapping[str, Any]

_LOGGER = "stoker.control"
_FIELDS = "stoker_fields"


class LogFormat(StrEnum):
    """How the loop logs."""

    TEXT = "text"
    """Notes and warnings as they come."""
    JSON = "json"
    """Objects, one a line: cycles, decisions, changes, problems, and all else that is logged."""


@contextmanager
def logging_as(log_format: LogFormat) -> Iterator[None]:
    """Let all that is logged go to standard error in this format, while the context lasts."""
    if log_format is LogFormat.TEXT:
        yield
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    root = logging.getLogger()
    before = root.handlers[:], root.level
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])


def log_notes(notes: Iterable[str]) -> None:
    """Log what is to be said before or beside cycles."""
    for note in notes:
        _log(logging.INFO, "note", note, {})


def log_cycle(record: Record) -> None:
    """Log a cycle: its problems, a line for every server's decision, its changes, and itself."""
    number = record["cycle"]
    for problem in record["problems"]:
        _log(logging.WARNING, "problem", problem, {"cycle": number})
    for name, server in record["servers"].items():
        _log(logging.INFO, "decision", _words(name, server), _decision(number, name, server))
    for change in record["changes"]:
        made = change["outcome"] in ("applied", "emitted", "unchanged", "dry_run")
        before = "?" if change["replicas_before"] is None else change["replicas_before"]
        words = f"{change['workload']}: {before} to {change['replicas']}, {change['outcome']}"
        _log(
            logging.INFO if made else logging.WARNING,
            "change",
            f"{words}: {change['detail']}" if change["detail"] else words,
            {"cycle": number, **change},
        )
    _log(logging.INFO, "cycle", f"cycle {number} is over", _cycle(record))


def _decision(cycle: int, name: str, server: Record) -> dict[str, Any]:
    decision = server["decision"] or {}
    load, told = server["load"], server["forecast"]
    return {
        "cycle": cycle,
        "server": name,
        "direction": decision.get("direction"),
        "held": decision.get("held", []),
        "wanted_replicas": decision.get("wanted_replicas"),
        "wanted_accelerator": decision.get("wanted_accelerator"),
        "reason": decision.get("reason", ""),
        "targets": decision.get("targets", []),
        "arrival_rate_rps": None if load is None else load["arrival_rate_rps"],
        "forecast_rate_rps": None if told is None else told["arrival_rate_rps"],
        "load_reason": server["load_reason"],
    }


def _words(name: str, server: Record) -> str:
    decision = server["decision"]
    if decision is None:
        return f"{name}: nothing is decided"
    held = f", held by {', '.join(decision['held'])}" if decision["held"] else ""
    why = f": {decision['reason']}" if decision["reason"] else ""
    return f"{name}: {decision['direction']}{held}{why}"


def _cycle(record: Record) -> dict[str, Any]:
    plan = record["plan"]
    names = ("cycle", "mode", "leader", "paused", "dry_run", "fleet_version", "took_s", "proposal")
    return {
        **{name: record[name] for name in names},
        "began": _time(record["at"]),
        "plan_status": plan["status"],
        "plan_failure": plan.get("failure", ""),
        "cost_per_hour": plan.get("cost_per_hour"),
        "servers": len(record["servers"]),
        "load_unknown": sum(each["load"] is None for each in record["servers"].values()),
        "changes": len(record["changes"]),
        "problems": len(record["problems"]),
    }


def _log(level: int, event: str, message: str, fields: Mapping[str, Any]) -> None:
    logging.getLogger(_LOGGER).log(level, message, extra={_FIELDS: {"event": event, **fields}})


class _JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the fields of the event."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a log record."""
        fields: dict[str, Any] = getattr(record, _FIELDS, {"event": "log"})
        line = {
            "time": _time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **fields,
        }
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            line["error"] = f"{type(error).__name__}: {error}"
            if not isinstance(error, (StokerError, OSError)):
                line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
