"""Running the command line: in this process, or as a user's shell would."""

import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner, Result

from stoker.cli.main import app

ROOT = Path(__file__).resolve().parents[2]


def stoker(*arguments: object, columns: int | None = 120) -> Result:
    """Run a command in this process; anything but an exit is raised.

    Args:
        arguments: What stands behind `stoker`.
        columns: Value of `COLUMNS`; None to leave it unset.
    """
    result = CliRunner().invoke(
        app,
        [str(argument) for argument in arguments],
        prog_name="stoker",
        env={"COLUMNS": None if columns is None else str(columns)},
    )
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def stoker_process(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    command = [sys.executable, "-m", "stoker.cli.main", *map(str, arguments)]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        command,
        **{
            "capture_output": True,
            "text": True,
            "encoding": "utf-8",
            "env": environment,
            "timeout": 100,
            "check": False,
        }
        | options,
    )
