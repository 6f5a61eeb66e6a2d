"""`stoker emulate` and `stoker load` as a user types them."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from emulator.replica import ServedModel
from simulator import Engine
from stoker.domain.profile import TokenWorkParameters
from tests.support.cli import ROOT, stoker
from tests.support.emulated_servers import PATIENCE_S, emulated_server

PARAMETERS = '{"kind": "token-work", "alpha_ms": 5, "beta_ms": 0.01, "gamma_ms": 0.0001}'
PROFILE = """\
profiles:
- {model: a, accelerator: H100, max_batch: 16, at_tokens: 100, kv_tokens: 32000,
   parameters: {kind: linear, alpha_ms: 5, beta_ms: 0.1, gamma_ms: 1, delta_ms: 0.01}}
- {model: a, accelerator: L40S, max_batch: 16, at_tokens: 100,
   parameters: {kind: token-work, alpha_ms: 5, beta_ms: 0.1, gamma_ms: 0.001}}
"""


@contextmanager
def process(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run `stoker emulate` on a free port; yield the process and the port."""
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"}
    running = subprocess.Popen(
        [sys.executable, "-m", "stoker.cli.main", "emulate", *arguments, "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        assert running.stderr is not None
        found = re.search(r"http://127\.0\.0\.1:(\d+)", running.stderr.readline())
        assert found is not None
        yield running, int(found[1])
    finally:
        if running.poll() is None:
            running.kill()
        running.communicate()


def ask(port: int, method: str, path: str, body: object = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        return answer.status, answer.read()
    except ConnectionError:
        return 0, b""
    finally:
        connection.close()


def wait_for(port: int) -> None:
    end = time.monotonic() + PATIENCE_S
    while ask(port, "GET", "/health")[0] != 200:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_termination_finishes_what_runs(tmp_path: Path) -> None:
    document = tmp_path / "profile.yaml"
    document.write_text(PROFILE)
    arguments = (str(document), "--accelerator", "H100", "--engine", "sglang", "--speed", "0.5")
    with process(*arguments) as (running, port):
        wait_for(port)
        assert b"sglang:max_total_num_tokens" in ask(port, "GET", "/metrics")[1]
        answers: list[tuple[int, bytes]] = []
        body = {"prompt": "x", "max_tokens": 150}
        thread = Thread(target=lambda: answers.append(ask(port, "POST", "/v1/completions", body)))
        thread.start()
        while b"num_running_reqs{" not in (text := ask(port, "GET", "/metrics")[1]) or not (
            re.search(rb"num_running_reqs\{[^}]*\} 1\.0", text)
        ):
            pass
        running.send_signal(signal.SIGTERM)
        thread.join(PATIENCE_S)
        assert answers[0][0] == 200
        assert running.wait(PATIENCE_S) == 0


def test_load_inside_the_process() -> None:
    arguments = ("--parameters", PARAMETERS, "--model", "m", "--replicas", "3", "--speed", "50")
    with process(*arguments, "--phase", "constant:40@10m", "--startup", "5") as (_, port):
        wait_for(port)
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            text = ask(port, "GET", "/replicas/m-1/metrics")[1]
            found = re.search(rb"vllm:request_prompt_tokens_count\{[^}]*\} (\S+)", text)
            if found is not None and float(found[1]) > 20:
                break
        else:
            pytest.fail("no load came")
        assert b"attempts_total" in ask(port, "GET", "/metrics")[1]
        assert len(json.loads(ask(port, "GET", "/targets")[1])) == 4


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), "cannot tell what to emulate"),
        (("--parameters", "{"), "not JSON"),
        (("--parameters", '{"kind": "linear"}'), "alpha_ms"),
        (("--parameters", PARAMETERS, "--engine", "tgi"), "vllm, sglang"),
        (("--parameters", PARAMETERS, "--router", "x"), "round-robin"),
        (("--parameters", PARAMETERS, "--phase", "x"), "constant:RATE"),
        (("PROFILE",), "2 profiles to choose from"),
        (("PROFILE", "--model", "b"), "no profile of b"),
        (("missing.yaml",), "missing.yaml"),
    ],
)
def test_what_cannot_be_emulated(arguments: tuple[str, ...], named: str, tmp_path: Path) -> None:
    document = tmp_path / "profile.yaml"
    document.write_text(PROFILE)
    given = [str(document) if item == "PROFILE" else item for item in arguments]
    result = stoker("emulate", *given, columns=300)
    assert result.exit_code == 2
    assert named in result.stderr


FAST = ServedModel("m", Engine(TokenWorkParameters(4.0, 0.001, 0.0), 64, kv_tokens=100_000))


@pytest.mark.parametrize("how", ["--stream", "--whole"])
def test_a_load_is_sent_and_timed(how: str) -> None:
    with emulated_server(FAST) as running:
        result = stoker(
            *("load", running.url, "--phase", "constant:40@1s", "--phase", "ramp:40..80@1s"),
            *("--input-tokens", "20", "--output-tokens", "5", how, "--format", "json"),
        )
        sent = json.loads(running.ask("GET", "/replicas")[1])
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    total = document["total"]
    assert total["sent"] == total["done"] == sum(one["sent"] for one in document["phases"])
    assert 60 < total["sent"] < 150
    assert total["e2e_ms"]["p50"] > 20.0
    if how == "--stream":
        assert total["ttft_ms"]["p50"] > 4.0
        assert total["itl_ms"]["mean"] > 0.0
    assert sent["replicas"][0]["running"] == 0


def test_a_load_to_several_servers_in_turn() -> None:
    with emulated_server(FAST) as one, emulated_server(FAST) as other:
        urls = (one.url, f"{other.url}/v1")
        result = stoker(
            *("load", *urls, "--phase", "constant:30@1s", "--output-tokens", "2"), columns=200
        )
        counts = [
            int(float(re.findall(rb"request_prompt_tokens_count\{[^}]*\} (\S+)", text)[0]))
            for text in (server.ask("GET", "/metrics")[1] for server in (one, other))
        ]
    assert result.exit_code == 0, result.stderr
    assert "constant:30@1s" in result.stdout
    assert abs(counts[0] - counts[1]) <= 1


def test_failures_are_told() -> None:
    with emulated_server(FAST) as running:
        running.json("POST", "/faults", {"error_rate": 1.0})
        result = stoker("load", running.url, "--phase", "constant:10@1s", "--output-tokens", "2")
    assert result.exit_code == 3
    assert "HTTP 500: an error on request" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("http://127.0.0.1:1",), "--phase"),
        (("http://example.org", "--phase", "constant:1@1s"), "--allow-remote"),
        (("ftp://127.0.0.1", "--phase", "constant:1@1s"), "http://"),
        (("http://127.0.0.1:1", "--phase", "constant:1@2h"), "--most-time"),
        (("http://127.0.0.1:1", "--phase", "constant:1@1s"), "cannot be reached"),
        (("http://127.0.0.1:1", "--phase", "trace:missing.csv"), "missing.csv"),
    ],
)
def test_loads_that_are_not_sent(arguments: tuple[str, ...], named: str) -> None:
    result = stoker("load", *arguments, columns=300)
    assert result.exit_code == 2
    assert named in result.stderr


def test_a_trace_is_sent_as_it_is(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("arrival_s,in_tokens,out_tokens\n0,10,3\n0.1,20,4\n0.3,30,5\n")
    with emulated_server(FAST) as running:
        result = stoker("load", running.url, "--phase", f"trace:{trace}", "--format", "json")
        text = running.ask("GET", "/metrics")[1]
    assert json.loads(result.stdout)["total"]["done"] == 3
    assert re.search(rb"vllm:request_prompt_tokens_sum\{[^}]*\} 60\.0", text)
    assert re.search(rb"vllm:request_generation_tokens_sum\{[^}]*\} 12\.0", text)
