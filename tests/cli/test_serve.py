import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from stoker.domain.errors import InvalidInputError, Problem
from tests.support.cli import ROOT, stoker


@pytest.fixture
def service(request: pytest.FixtureRequest) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Start the service on a free port; yield its address and process."""
    command = [sys.executable, "-m", "stoker.cli.main", "serve", "--port", "0"]
    with subprocess.Popen(
        [*command, *getattr(request, "param", [])],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            assert line.startswith("note: serving on http://127.0.0.1:"), line
            yield line.split()[3], process
        finally:
            process.kill()


def fetch(address: str, body: object = None) -> tuple[int, bytes]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_service_answers_and_ends_on_a_signal(
    service: tuple[str, subprocess.Popen[str]], ending: signal.Signals
) -> None:
    address, process = service
    assert fetch(f"{address}/health")[0] == 200
    assert fetch(f"{address}/addModel/one")[0] == 404
    process.send_signal(ending)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in errors


@pytest.mark.parametrize("service", [["--stateful", "--max-body-mb", "0.001"]], indirect=True)
def test_options_reach_the_service(service: tuple[str, subprocess.Popen[str]]) -> None:
    address, _ = service
    assert fetch(f"{address}/addModel/one")[0] == 200
    assert fetch(f"{address}/v1/plan", {"padding": "x" * 2000})[0] == 413


def test_the_number_of_solves_reaches_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def create_app(**options: Any) -> None:
        given.update(options)
        raise InvalidInputError([Problem("--stop", "here", "")])

    monkeypatch.setattr("api.app.create_app", create_app)
    assert stoker("serve", "--max-concurrent-solves", "5").exit_code == 2
    assert given["max_concurrent_solves"] == 5


def test_a_port_that_is_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = stoker("serve", "--port", port)
    assert result.exit_code == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "70000"],
        ["--max-body-mb", "0"],
        ["--time-limit", "-1"],
        ["--max-concurrent-solves", "0"],
    ],
)
def test_bad_options_are_errors(arguments: list[str]) -> None:
    assert stoker("serve", *arguments).exit_code == 2
