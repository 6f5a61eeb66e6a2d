"""Prometheus' own tool, which reads what `deploy/` asks of it."""

from __future__ import annotations

import os
import shutil

import pytest


@pytest.fixture
def promtool() -> str:
    program = shutil.which("promtool")
    if program is not None:
        return program
    message = "no promtool: it comes with Prometheus"
    if os.environ.get("STOKER_REQUIRE_CLUSTER"):
        pytest.fail(message)
    pytest.skip(message)
