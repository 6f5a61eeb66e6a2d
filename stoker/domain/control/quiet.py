"""Quiet hours: times of the week, on the clocks of a place, in which nothing shrinks or moves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""Names of days, in the order of `datetime.weekday`."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A time of day on some days of the week, as clocks of a zone show it.

    When clocks are put forward, the hour that they leave out is not there; when they are put back,
    the hour that they show twice counts twice.

    Attributes:
        start: When it begins, in minutes after midnight.
        end: When it ends, in minutes after midnight; not later than `start` where it ends on the
            day after.
        zone: IANA name of the time zone.
        days: Days on which it begins, 0 for Monday; empty for every day.
    """

    start: int
    end: int
    zone: str = "UTC"
    days: frozenset[int] = frozenset()

    def covers(self, at: float) -> bool:
        """Return whether a moment, in seconds since the epoch, is within.

        Raises:
            ZoneInfoNotFoundError: There is no such time zone.
        """
        local = datetime.fromtimestamp(at, time_zone(self.zone))
        minute = local.hour * 60 + local.minute
        if self.start < self.end:
            return self.start <= minute < self.end and self._on(local.weekday())
        if minute >= self.start:
            return self._on(local.weekday())
        return minute < self.end and self._on((local.weekday() - 1) % len(DAYS))

    def _on(self, day: int) -> bool:
        return not self.days or day in self.days


def time_zone(name: str) -> tzinfo:
    """Return a time zone by its IANA name; UTC is known to machines without zone data too.

    Raises:
        ZoneInfoNotFoundError: There is no such time zone, or this machine has no data of it.
    """
    return UTC if name == "UTC" else ZoneInfo(name)
