"""What only a process of its own shows: pipes, devices, terminals, tracebacks."""

import subprocess
import sys

from tests.support.cli import ROOT, stoker_process


def piped(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    python = f"{sys.executable} -m stoker.cli.main"
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command.format(stoker=python)}"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def test_a_closed_pipe_ends_quietly() -> None:
    result = piped("{stoker} schema | head -n 1")
    assert result.stderr == ""
    assert result.stdout == "{\n"
    assert result.returncode == 0
    long = piped("{stoker} catalogue --format json | head -c 1")
    assert (long.returncode, long.stdout, long.stderr) == (0, "{", "")


def test_output_to_a_device() -> None:
    assert piped("{stoker} version --format json > /dev/null").returncode == 0
    result = piped("{stoker} schema --output /dev/stdout | head -n 1")
    assert result.stdout == "{\n"


def test_a_full_device_is_an_error() -> None:
    for command, place in (
        ("{stoker} schema --output /dev/full", "/dev/full"),
        ("{stoker} schema > /dev/full", "standard output"),
        ("{stoker} --help > /dev/full", "standard output"),
    ):
        result = piped(command)
        assert result.returncode == 2
        assert result.stderr == f"error: {place}: No space left on device\n"


def test_text_that_the_terminal_cannot_show_is_replaced() -> None:
    result = piped("{stoker} catalogue accelerators", PYTHONIOENCODING="ascii")
    assert result.returncode == 0
    assert "L4" in result.stdout


def test_errors_go_to_standard_error_without_a_traceback() -> None:
    result = stoker_process("validate", "/no/such/fleet.yaml")
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr


def test_no_arguments_show_the_help() -> None:
    result = stoker_process()
    assert "Usage: stoker" in result.stdout + result.stderr


def test_progress_is_shown_on_a_terminal_only_and_never_in_the_output() -> None:
    """Both streams on a terminal, then standard output alone elsewhere."""
    python = f"{sys.executable} -m stoker.cli.main"
    for command, shown in (
        (f"{python} solve small --format csv", True),
        (f"{python} solve small --format csv 2> /dev/null", False),
    ):
        session = piped(f"script --quiet --command '{command}' /dev/null", TERM="xterm")
        assert ("Planning 15 servers" in session.stdout) is shown
        assert "Premium-llama_13b" in session.stdout
    assert "Planning" not in stoker_process("solve", "small").stderr
