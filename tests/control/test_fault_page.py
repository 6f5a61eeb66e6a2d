"""The table of the fault campaign."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.soak.faults import (
    BEGIN,
    END,
    FINDINGS,
    HEADS,
    Injection,
    note,
    read,
    rows,
    section,
    write,
)

GOOD = Injection(
    "Prometheus is gone", 0, 0, 1, 5.4, "stays", "`load_unknown`", "`held`", "`Degraded`"
)


def test_what_is_noted_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "findings.jsonl"
    note(GOOD)  # nobody asks for it
    assert read(path) == []
    monkeypatch.setenv(FINDINGS, str(path))
    note(GOOD)
    note(replace(GOOD, cycles=None))
    assert read(path) == [GOOD, replace(GOOD, cycles=None)]


def test_what_is_promised() -> None:
    assert GOOD.holds
    worse = ({"wrong": 1}, {"lost": 1}, {"cycles": 3}, {"cycles": None})
    for change in worse:
        assert not replace(GOOD, **change).holds


def test_a_row_for_each_fault_tells_the_worst() -> None:
    other = replace(GOOD, fault="conflicts")
    found = [GOOD, other, replace(GOOD, cycles=2), replace(other, cycles=None, wrong=1)]
    assert [row[:6] for row in rows(found)] == [
        ("Prometheus is gone", "2", "0", "0", "2", "5"),
        ("conflicts", "2", "1", "0", "never", "never"),
    ]


def test_the_table_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    for _ in range(2):
        write(page, section([GOOD], "make soak", "Ran on: etcd 3."))
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert text.count("Prometheus is gone") == 1
    assert all(head in text for head in HEADS)
    assert "1 faults were caused: 0 wrong scale-downs" in text
    assert "Ran on: etcd 3." in text
    assert "old" not in text
