"""Quiet hours on the clocks of a place: days, midnights, and clocks that are put on and back."""

from __future__ import annotations

import sys
import zoneinfo
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from data.control_document.reading import parse_control
from data.decode import Decoded
from stoker.domain.control.quiet import QuietHours
from stoker.domain.errors import InvalidInputError

BERLIN = "Europe/Berlin"
FRIDAY, SATURDAY = 4, 5


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def test_office_hours_follow_the_clocks_over_a_change() -> None:
    # Clocks in Berlin were put forward on 29 March 2026, and back on 25 October 2026.
    office = QuietHours(8 * 60, 18 * 60, BERLIN)
    for day, begins in (("2026-03-28", "07:00"), ("2026-03-30", "06:00"), ("2026-10-26", "07:00")):
        begin = at(f"{day}T{begins}")
        assert not office.covers(begin - 1)
        assert office.covers(begin)
        assert office.covers(begin + 10 * 3600 - 1)
        assert not office.covers(begin + 10 * 3600)


def test_the_hour_that_is_left_out_and_the_one_that_comes_twice() -> None:
    night = QuietHours(2 * 60, 3 * 60, BERLIN)
    minutes = range(6 * 60)

    def lasts(day: str) -> int:
        midnight = at(f"{day}T00:00", BERLIN)
        return sum(night.covers(midnight + 60 * minute) for minute in minutes)

    assert (lasts("2026-03-28"), lasts("2026-03-29"), lasts("2026-10-25")) == (60, 0, 120)


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    nights = QuietHours(22 * 60, 6 * 60, BERLIN, frozenset({FRIDAY}))
    assert nights.covers(at("2026-11-20T23:00", BERLIN))  # a Friday
    assert nights.covers(at("2026-11-21T05:59", BERLIN))
    assert not nights.covers(at("2026-11-21T06:00", BERLIN))
    assert not nights.covers(at("2026-11-20T05:00", BERLIN))  # of Thursday's night
    assert not nights.covers(at("2026-11-21T23:00", BERLIN))


def test_a_whole_day_is_that_of_its_place() -> None:
    saturday = QuietHours(0, 24 * 60, "Asia/Tokyo", frozenset({SATURDAY}))
    assert saturday.covers(at("2026-11-20T15:00"))
    assert not saturday.covers(at("2026-11-20T14:59"))
    assert not saturday.covers(at("2026-11-21T15:00"))


def parsed(**entry: object) -> tuple[QuietHours, ...]:
    value = {
        "version": 1,
        "kind": "control",
        "fleet": "fleet.yaml",
        "stability": {"quiet_hours": [entry]},
    }
    return parse_control(Decoded(value)).stability.quiet_hours


def test_documents_tell_days_and_zone() -> None:
    entry = {"from": "22:00", "to": "06:00", "zone": BERLIN, "days": ["fri", "sat"]}
    assert parsed(**entry) == (QuietHours(1320, 360, BERLIN, frozenset({FRIDAY, SATURDAY})),)
    assert parsed(**{"from": "00:00", "to": "24:00"}) == (QuietHours(0, 1440),)


@pytest.mark.parametrize(
    ("change", "path", "words"),
    [
        ({"zone": "Europe/Berlinn"}, "quiet_hours[0].zone", "Europe/Berlin"),
        ({"zone": "Europe"}, "quiet_hours[0].zone", "no time zone"),
        ({"zone": "../etc"}, "quiet_hours[0].zone", "no time zone"),
        ({"zone": "+01:00"}, "quiet_hours[0].zone", "no time zone"),
        ({"days": ["monday"]}, "quiet_hours[0].days", "mon"),
        ({"to": "08:00"}, "quiet_hours[0].to", "never be quiet"),
        ({"from": "24:00"}, "quiet_hours[0].from", "24:00"),
    ],
)
def test_wrong_ones_are_refused_by_name(change: dict[str, object], path: str, words: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parsed(**{"from": "08:00", "to": "18:00", **change})
    (problem, *_) = caught.value.problems
    assert path in problem.path
    assert words in str(problem)


@pytest.fixture
def no_zone_data(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without time zones, of the system's or of Python's."""
    before = zoneinfo.TZPATH
    for name in {"tzdata", *(each for each in sys.modules if each.startswith("tzdata."))}:
        monkeypatch.setitem(sys.modules, name, None)
    zoneinfo.reset_tzpath(to=())
    ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath(to=before)
    ZoneInfo.clear_cache()


@pytest.mark.usefixtures("no_zone_data")
def test_utc_needs_no_zone_data_and_other_zones_say_that_they_do() -> None:
    assert QuietHours(8 * 60, 18 * 60).covers(9 * 3600.0)
    hours: dict[str, object] = {"from": "22:00", "to": "06:00"}
    assert parsed(**hours) == (QuietHours(22 * 60, 6 * 60),)
    with pytest.raises(InvalidInputError) as raised:
        parsed(**{**hours, "zone": BERLIN})
    (problem, *_) = raised.value.problems
    assert problem.path == "stability.quiet_hours[0].zone"
    assert "no time zone data" in problem.message
    assert "tzdata" in problem.allowed
