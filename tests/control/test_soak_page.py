"""The soak: shapes of its load, what is left out of its figures, and its parts of the page."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest

from benchmarks.soak import page
from benchmarks.soak.__main__ import command_of
from benchmarks.soak.machine import ran_on, version
from benchmarks.soak.measure import Phase, Verdict, parted
from benchmarks.soak.scenario import HIGH_RPS, LOW_RPS, Rules, Shape, Soak, control_document
from emulator.virtual_load import Served
from stoker.domain.errors import StokerError

WAVE = Soak(seed=1, shape=Shape.SINUS, rules=Rules.DEFAULT)
PHASES = (
    Phase("low", 0.0, 240.0, 2000, 1.0, 0, 1.0, 0, 2, 2),
    Phase("rising", 240.0, 780.0, 1000, 0.4, 1000, math.nan, 0, 2, 8),
)
VERDICT = Verdict(
    1.0, 61, 1.5, 3000, 0.8, 331.0, 60.0, 1.0, 0.4, 200.0, 50.0, PHASES, 7200.0, 7000.0, 2
)


@pytest.mark.parametrize("shape", Shape)
def test_every_load_lasts_half_an_hour_between_the_same_rates(shape: Shape) -> None:
    load = Soak(shape=shape).load
    rates = [load.rate_rps(float(second)) for second in range(1800)]
    assert load.duration_s == 1800
    assert min(rates) == pytest.approx(LOW_RPS, abs=0.01)
    assert max(rates) == pytest.approx(HIGH_RPS, abs=0.01)
    steps = [abs(after - before) for before, after in itertools.pairwise(rates)]
    assert max(steps) < 0.1, "it jumps"


def test_the_same_load_with_another_seed_is_another_one() -> None:
    first, other = (next(Soak(seed=seed).load.requests()).at_s for seed in (0, 1))
    assert first != other


def test_default_rules_name_the_mode_alone() -> None:
    assert control_document(1.0, Rules.DEFAULT) == {"loop": {"mode": "act"}}
    assert control_document(1.0, Rules.SHORT)["forecast"]["quantile"] == 0.8


def test_the_command_plays_the_same_again() -> None:
    assert command_of(Soak()) == "make soak"
    assert command_of(WAVE) == (
        "python -m benchmarks.soak --settings default --load sinus --seed 1"
    )


def test_requests_are_parted_by_when_they_were_sent() -> None:
    requests = [
        Served(sent_ms, 1.0, 1.0, 1.0, 1, 1, True, "a", 0) for sent_ms in (10.0, 20.0, 30.0)
    ]
    kept, out = parted(requests, lambda each: each.sent_ms == 20.0)
    assert [each.sent_ms for each in kept] == [10.0, 30.0]
    assert [each.sent_ms for each in out] == [20.0]


def test_the_page_tells_what_is_left_out() -> None:
    told = {words: (found, holds) for words, found, holds in page.rows(VERDICT)}
    start_up = next(words for words in told if "start-up" in words)
    assert "(331–391 s)" in start_up
    assert told[start_up] == ("100.00%", "holds")
    assert ("1,000, 40.00%", "") in told.values()
    rising = dict(zip(page.PHASE_HEADS, page.phase_rows(VERDICT)[1], strict=True))
    assert rising["attained"] == "40.00%"
    assert rising["but for the first start-up"] == "–"


def test_every_soak_has_a_part_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    marks = [page.marks(page.name_of(soak)) for soak in (Soak(), WAVE)]
    path.write_text("".join(f"{begin}\nOUTDATED\n{end}\nbetween\n" for begin, end in marks))
    for _ in range(2):
        text = page.section(VERDICT, WAVE, command_of(WAVE), "Ran on: etcd 3.")
        page.write(path, page.name_of(WAVE), text)
    written = path.read_text()
    assert written.count("OUTDATED") == 1
    assert written.count("between") == 2
    assert written.count("Ran on: etcd 3.") == 1
    assert "seed 1" in written
    assert page.picture_of(WAVE) in written
    with pytest.raises(StokerError, match="soak-short-sinus"):
        page.write(path, page.name_of(Soak(shape=Shape.SINUS)), text)


def test_what_it_ran_on_names_the_programs(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho 'program, version 1.20.2 (branch: x)'\n")
    program.chmod(0o755)
    assert version(program) == "1.20.2"
    assert version(None) == version(tmp_path / "none") == "unknown"
    line = ran_on(tmp_path)
    assert "Stoker unknown" in line, "no repository is there"
    assert all(word in line for word in ("Kubernetes", "etcd", "Prometheus", "Python", "processor"))


def test_a_part_that_stands_twice_is_told_of(tmp_path: Path) -> None:
    begin, end = page.marks("faults")
    path = tmp_path / "page.md"
    path.write_text(f"{begin}\nnew\n{end}\n{begin}\nold\n{end}\n")
    with pytest.raises(StokerError, match="more than once"):
        page.write(path, "faults", "newer")
    assert path.read_text().count("newer") == 0


def test_the_published_page_has_every_part_once() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "reliability.md").read_text()
    for name in ("soak", "soak-default-sinus", "faults"):
        assert [text.count(mark) for mark in page.marks(name)] == [1, 1]
