"""The page on the emulator: its program prints what it says, and its words are those known."""

from __future__ import annotations

import json
import re
from dataclasses import fields

import pytest

from emulator.faults import Faults, read_order
from emulator.phase_text import read_phase
from tests.support.cli import ROOT, stoker

PAGE = (ROOT / "docs" / "emulator.md").read_text()


def test_the_program_prints_what_the_page_shows(capsys: pytest.CaptureFixture[str]) -> None:
    found = re.search(r"```python\n(.*?)```\n\n```\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    exec(compile(found[1], "docs/emulator.md", "exec"), {})
    assert capsys.readouterr().out == found[2]


def test_options_are_those_of_the_commands() -> None:
    known = stoker("emulate", "--help", columns=200).stdout
    known += stoker("load", "--help", columns=200).stdout
    named = set(re.findall(r"`(--[a-z-]+)", PAGE)) | set(re.findall(r" (--[a-z-]+) ", PAGE))
    assert {option for option in named if option not in known} == set()


def test_phases_and_faults_are_known() -> None:
    for text in re.findall(r"\| `((?:constant|ramp|steps|sinus):[^`]+)`", PAGE):
        read_phase(text)
    keys = re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.MULTILINE)
    assert {field.name for field in fields(Faults)} <= set(keys)
    (order,) = re.findall(r"-d '(\{\"latency.*?\})'", PAGE)
    read_order(json.loads(order))
