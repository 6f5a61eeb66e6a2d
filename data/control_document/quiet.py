"""Quiet hours of control documents: days, and time zones that this machine knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from zoneinfo import available_timezones

from data.control_document.fields import QuietEntry
from data.wording import shown
from stoker.domain.control.quiet import DAYS, QuietHours, time_zone
from stoker.domain.errors import Problem


def quiet_hours(entry: QuietEntry) -> QuietHours:
    """Return the quiet hours of an entry."""
    days = frozenset(DAYS.index(day) for day in entry.days)
    return QuietHours(_minutes(entry.start), _minutes(entry.end), entry.zone, days)


def quiet_checks(entries: Sequence[QuietEntry], file: str) -> Iterator[Problem]:
    """Yield what is wrong with quiet hours beyond the types of their fields."""
    for index, entry in enumerate(entries):
        path = f"stability.quiet_hours[{index}]"
        if entry.start == entry.end:
            message = f"is {shown(entry.end)}, when it begins: it would never be quiet"
            allowed = "another time; from 00:00 to 24:00 is the whole day"
            yield Problem(f"{path}.to", message, allowed, file)
        if not _known(entry.zone):
            if available_timezones():
                words, allowed = "no time zone of that name", "an IANA name such as Europe/Berlin"
            else:
                words = "this machine has no time zone data, and knows UTC alone"
                allowed = "UTC; or install tzdata, of the system or by pip"
            yield Problem(f"{path}.zone", f"is {shown(entry.zone)}: {words}", allowed, file)


def _known(zone: str) -> bool:
    try:
        time_zone(zone)
    except (KeyError, ValueError, OSError):  # not there, no name, or a folder of them
        return False
    return True


def _minutes(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)
