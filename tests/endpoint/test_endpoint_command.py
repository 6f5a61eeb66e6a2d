"""`stoker profile endpoint` against emulated servers, with GuideLLM as it is."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import yaml

from emulator.replica import ServedModel
from profiler.endpoint import (
    Deployment,
    GuideLlmRuns,
    MissingGuideLlmError,
    OperatingPoint,
    RunFailedError,
    Server,
    probe,
)
from simulator import Engine
from stoker.domain.errors import InvalidInputError
from stoker.domain.measurement import LoadKind
from stoker.domain.profile import TokenWorkParameters
from tests.support.cli import stoker
from tests.support.emulated_servers import emulated_server

needs_guidellm = pytest.mark.skipif(
    importlib.util.find_spec("guidellm") is None, reason="GuideLLM (extra `load`) is not installed"
)

# Slow enough that what HTTP and a busy machine add is small.
PLANTED = TokenWorkParameters(50.0, 0.4, 0.004)
SLOW = ServedModel("m", Engine(PLANTED, 32, kv_tokens=100_000), max_model_tokens=4096)
FAST = ServedModel("m", Engine(TokenWorkParameters(2.0, 0.001, 0.0), 32), max_model_tokens=4096)


@needs_guidellm
@pytest.mark.timeout(900)
def test_a_planted_profile_is_found(tmp_path: Path) -> None:
    rows, profile = tmp_path / "rows.jsonl", tmp_path / "profile.yaml"
    with emulated_server(SLOW) as running:
        arguments = (
            *("profile", "endpoint", running.url, "--gpu", "none", "--max-batch", "32"),
            *("--model", "token-work", "--input-tokens", "64,512", "--output-tokens", "8,24"),
            *("--concurrency", "1,8", "--confidence", "8", "--point-time", "6"),
            *("--most-points", "6", "--budget", "600", "--rows", rows, "--output", profile),
        )
        result = stoker(*arguments, columns=200)
        assert result.exit_code == 0, result.stderr
        written = rows.read_text()
        # Everything is there: the second time, nothing is measured.
        requests = running.fleet.attempts
        again = stoker(*arguments, "--most-points", "1", "--format", "json")
        assert running.fleet.attempts == requests + 1  # the probe
    (found,) = yaml.safe_load(profile.read_text())["profiles"]
    assert found["provenance"]["kind"] == "fitted"
    assert (found["model"], found["accelerator"], found["max_batch"]) == ("m", "none", 32)
    parameters = found["parameters"]
    assert parameters["alpha_ms"] == pytest.approx(PLANTED.alpha_ms, rel=0.08)
    assert parameters["beta_ms"] == pytest.approx(PLANTED.beta_ms, rel=0.15)
    assert rows.read_text() == written
    assert again.exit_code == 0, again.stderr
    assert "going on from there" in again.stderr
    document = json.loads(again.stdout)
    assert [row["id"] for row in document["rows"]] == [
        json.loads(line)["id"] for line in written.splitlines()
    ]
    assert document["rows"][0]["id"] == "concurrency-1-in-64-out-8"


@needs_guidellm
@pytest.mark.timeout(300)
def test_guidellm_that_finds_no_server() -> None:
    runs = GuideLlmRuns(
        Server("http://127.0.0.1:9", "m", None, 1.0, 0.01), Deployment("m", "none", 1)
    )
    point = OperatingPoint(10, 5, LoadKind.CONCURRENCY, 1.0)
    with pytest.raises(RunFailedError, match="GuideLLM"):
        runs.measure([point], 1.0, 0)


def test_without_guidellm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("profiler.endpoint.guidellm_runs.find_spec", lambda _: None)
    with pytest.raises(MissingGuideLlmError, match=r"stoker\[load\]"):
        GuideLlmRuns(Server("http://127.0.0.1:9", "m", None, 1.0, 0.01), Deployment("m", "x", 1))
    with emulated_server(FAST) as running:
        result = stoker("profile", "endpoint", running.url, "--gpu", "x")
    assert result.exit_code == 2
    assert "pip install 'stoker[load]'" in result.stderr


def test_a_probe_tells_model_length_and_pace() -> None:
    with emulated_server(SLOW) as running:
        server = probe(f"{running.url}/v1/")
        with pytest.raises(InvalidInputError, match="does not serve other"):
            probe(running.url, "other")
    assert (server.url, server.model) == (running.url, "m")
    assert server.max_model_tokens == 4096
    assert server.tokens_per_word == 1.0
    assert server.token_s >= 0.05


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("http://192.0.2.1:8000", "--gpu", "x"), "--allow-remote"),
        (("http://127.0.0.1:9", "--gpu", "x"), "cannot be reached"),
        (("http://127.0.0.1:9", "--gpu", "x", "--input-tokens", "a"), "--input-tokens"),
        (("http://127.0.0.1:9", "--gpu", "x", "--concurrency", "0,1"), "--concurrency"),
        (("http://127.0.0.1:9", "--gpu", "x", "--output", "/nowhere/p.yaml"), "--output"),
    ],
)
def test_what_cannot_be_measured(arguments: tuple[str, ...], named: str) -> None:
    result = stoker("profile", "endpoint", *arguments, columns=300)
    assert result.exit_code == 2
    assert named in result.stderr


def test_rows_of_another_server_are_refused(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    row = {
        "model": "m",
        "gpu": "H100",
        "n_gpus": 1,
        "rate": 1.0,
        "in_tokens": 10,
        "out_tokens": 5,
        "ttft_ms_p50": 9.0,
        "id": "mine",
    }
    rows.write_text(json.dumps(row) + "\n")
    with emulated_server(FAST) as running:
        result = stoker(
            "profile", "endpoint", running.url, "--gpu", "L40S", "--rows", rows, columns=300
        )
    assert result.exit_code == 2
    assert "mine is of m on 1 × H100" in result.stderr


def test_a_server_whose_context_is_too_short() -> None:
    short = ServedModel("m", FAST.engine, max_model_tokens=250)
    with emulated_server(short) as running:
        result = stoker(
            *("profile", "endpoint", running.url, "--gpu", "x", "--input-tokens", "2048"),
            columns=300,
        )
    assert result.exit_code == 2
    assert "shapes of up to 250 tokens" in result.stderr
