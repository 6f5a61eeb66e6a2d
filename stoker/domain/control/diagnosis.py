"""What an examination of a set-up found, one thing at a time, each with what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    FINE = "fine"
    WARNING = "warning"
    """It works, worse than it could."""
    ERROR = "error"
    """Something of the loop cannot work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was examined.

    Attributes:
        topic: What kind of thing: `documents`, `prometheus`, `signals`, `cluster`, `permissions`,
            `workloads`, `cards`, `profiles`, `clock`, `records`.
        subject: What exactly, such as a server or a workload; empty for the whole topic.
        level: How bad it is.
        message: What was found, with figures.
        remedy: What to do or to type; empty where nothing is to do.
    """

    topic: str
    subject: str
    level: Level
    message: str
    remedy: str = ""
