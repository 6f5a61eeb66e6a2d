"""Runs `stoker simulate` in this process."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from stoker.cli.main import app


def simulate(*arguments: object, stdin: str = "") -> Result:
    result = CliRunner().invoke(app, ["simulate", *map(str, arguments)], input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result
