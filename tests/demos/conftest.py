import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demos.cluster.closed_loop import missing_programs
from stoker.cli.demo import find_demos

Data = dict[str, Any]  # what a demonstration returns is JSON, read here like a reader would

ON_A_CLUSTER = ("15",)
"""Demonstrations that start a cluster on this machine."""
DAY_S = 12.0


def skip_without_programs() -> None:
    missing = missing_programs()
    if missing and os.environ.get("STOKER_REQUIRE_CLUSTER"):
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)


@pytest.fixture(scope="session")
def demo_data(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Data, Path]]:
    """Return a function that runs a demonstration, by number, once in the session."""
    done: dict[str, tuple[Data, Path]] = {}

    def run(number: str) -> tuple[Data, Path]:
        if number not in done:
            (module,) = (demo.module for demo in find_demos() if demo.name.startswith(number))
            output = tmp_path_factory.mktemp(f"demo-{number}") / "new" / "folder"
            short = {}
            if number in ON_A_CLUSTER:
                skip_without_programs()
                short = {"day_s": DAY_S}
            main = importlib.import_module(module).main
            done[number] = (main(output, "json", **short), output)
        return done[number]

    return run
