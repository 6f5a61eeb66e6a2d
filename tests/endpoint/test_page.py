"""The page on running servers: its options and exit codes are those of the command."""

from __future__ import annotations

import re

from stoker.cli.profile_endpoint import EndpointModel
from tests.support.cli import ROOT, stoker

PAGE = (ROOT / "docs" / "endpoint.md").read_text()


def test_options_are_those_of_the_commands() -> None:
    known = stoker("profile", "endpoint", "--help", columns=200).stdout
    for other in ("emulate", "fit"):
        known += stoker(other, "--help", columns=200).stdout
    named = set(re.findall(r"[ `](--[a-z-]+)", PAGE))
    assert {"--rows", "--confidence", "--budget", "--allow-remote"} <= named
    assert {option for option in named if option not in known} == set()


def test_the_default_model_is_the_one_told() -> None:
    assert "`overlap` by default" in PAGE
    shown = stoker("profile", "endpoint", "--help", columns=200).stdout
    assert re.search(r"\[default: overlap\]", shown)
    assert {model.value for model in EndpointModel} == {"linear", "token-work", "overlap"}
