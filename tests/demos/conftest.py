import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stoker.cli.demo import find_demos

Data = dict[str, Any]  # what a demonstration returns is JSON, read here like a reader would


@pytest.fixture(scope="session")
def demo_data(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Data, Path]]:
    """Return a function that runs a demonstration, by number, once in the session."""
    done: dict[str, tuple[Data, Path]] = {}

    def run(number: str) -> tuple[Data, Path]:
        if number not in done:
            (module,) = (demo.module for demo in find_demos() if demo.name.startswith(number))
            output = tmp_path_factory.mktemp(f"demo-{number}") / "new" / "folder"
            done[number] = (importlib.import_module(module).main(output, "json"), output)
        return done[number]

    return run
