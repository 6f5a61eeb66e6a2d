"""The HTTP faces of emulated servers, asked over loopback."""

from __future__ import annotations

import asyncio
import http.client
import json
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client.parser import text_string_to_metric_families

from emulator.dialect import Dialect
from emulator.replica import ServedModel
from simulator import Engine
from stoker.domain.profile import OverlapParameters, TokenWorkParameters
from tests.support.emulated_servers import ENGINE, Running, emulated_server

FAST = Engine(TokenWorkParameters(2.0, 0.001, 0.0), 64, kv_tokens=100_000)


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with emulated_server(ServedModel("m", FAST)) as running:
        yield running


def events(content: bytes) -> list[dict[str, object]]:
    lines = [line for line in content.decode().split("\n\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def samples(text: bytes) -> dict[str, float]:
    return {
        sample.name + ("{" + sample.labels["le"] + "}" if "le" in sample.labels else ""): (
            sample.value
        )
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_a_whole_completion(server: Running) -> None:
    answer = server.json(
        "POST", "/v1/completions", {"model": "m", "prompt": "one two three", "max_tokens": 4}
    )
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    assert answer["choices"] == [
        {"index": 0, "finish_reason": "length", "logprobs": None, "text": " token" * 4}
    ]


def test_a_streamed_completion_of_token_ids(server: Running) -> None:
    body = {
        "prompt": [5, 6, 7, 8],
        "max_tokens": 3,
        "stream": True,
        "ignore_eos": True,
        "stream_options": {"include_usage": True},
    }
    status, content = server.ask("POST", "/v1/completions", body)
    found = events(content)
    assert status == 200
    assert [bool(one["choices"]) for one in found] == [True, True, True, False]
    assert found[-1]["usage"] == {"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7}
    reasons = [one["choices"][0]["finish_reason"] for one in found[:-1]]  # type: ignore[index]
    assert reasons == [None, None, "length"]


def test_a_streamed_chat_with_usage_in_every_event(server: Running) -> None:
    body = {
        "messages": [
            {"role": "system", "content": "be kind"},
            {"role": "user", "content": [{"type": "text", "text": "a b c"}]},
        ],
        "max_completion_tokens": 2,
        "stream": True,
        "stream_options": {"include_usage": True, "continuous_usage_stats": True},
    }
    found = events(server.ask("POST", "/v1/chat/completions", body)[1])
    first = found[0]["choices"][0]["delta"]  # type: ignore[index]
    assert first == {"role": "assistant", "content": ""}
    usage = [one["usage"]["completion_tokens"] for one in found[1:]]  # type: ignore[index]
    assert usage == [1, 2, 2]
    assert found[-1]["usage"]["prompt_tokens"] == 5  # type: ignore[index]


def test_defaults_of_the_length(server: Running) -> None:
    text = server.json("POST", "/v1/completions", {"prompt": "a"})
    chat = server.json("POST", "/v1/chat/completions", {"messages": [{"content": "a"}]})
    assert text["usage"]["completion_tokens"] == 16  # type: ignore[index]
    assert chat["usage"]["completion_tokens"] == 128  # type: ignore[index]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"prompt": 5}', "prompt"),
        (b'{"prompt": ["a", "b"]}', "prompt"),
        (b'{"prompt": "a", "max_tokens": 0}', "max_tokens"),
        (b'{"prompt": "a", "max_tokens": true}', "max_tokens"),
        (b'{"prompt": "a", "max_tokens": 1000000}', "allowed: 131072"),
        (b'{"prompt": "a", "model": "other"}', "allowed: m"),
        (b'{"prompt": "a", "n": 2}', "n is 2"),
        (b'{"prompt": "a", "stream_options": 3}', "stream_options"),
        (b'{"prompt": "a", "max_tokens": 120000}', "KV memory"),
    ],
)
def test_what_no_server_takes(server: Running, body: bytes, named: str) -> None:
    status, content = server.ask("POST", "/v1/completions", raw=body)
    assert status == 400
    assert named in json.loads(content)["error"]["message"]
    assert json.loads(content)["error"]["code"] == 400


def test_models_health_and_discovery(server: Running) -> None:
    models = server.json("GET", "/v1/models")
    assert models["data"][0]["id"] == "m"  # type: ignore[index]
    assert server.ask("GET", "/health")[0] == 200
    targets = json.loads(server.ask("GET", "/targets")[1])
    assert targets == [
        {
            "targets": [f"127.0.0.1:{server.port}"],
            "labels": {"__metrics_path__": "/metrics", "pod": "m-1"},
        }
    ]


@pytest.mark.parametrize("path", ["/replicas/x/metrics", "/replicas/x/health", "/nothing"])
def test_paths_that_are_not_there(server: Running, path: str) -> None:
    assert server.ask("GET", path)[0] == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [("/faults", {"freeze": 3}), ("/faults", [1]), ("/faults", {"replicas": ["x"]})],
)
def test_orders_that_are_refused(server: Running, path: str, body: object) -> None:
    status, content = server.ask("POST", path, body)
    assert status == 400
    assert "allowed" in json.loads(content)["error"]["message"]


@pytest.mark.parametrize("count", [-1, 5000, "3", True, None])
def test_numbers_of_replicas_that_are_refused(server: Running, count: object) -> None:
    assert server.ask("PUT", "/replicas", {"count": count})[0] == 400


VLLM = [
    "num_requests_running",
    "num_requests_waiting",
    "kv_cache_usage_perc",
    "prefix_cache_queries_total",
    "prefix_cache_hits_total",
    "num_preemptions_total",
    "prompt_tokens_total",
    "generation_tokens_total",
    "request_success_total",
    "request_prompt_tokens_sum",
    "request_generation_tokens_count",
    "time_to_first_token_seconds_sum",
    "inter_token_latency_seconds_count",
    "request_time_per_output_token_seconds_sum",
    "e2e_request_latency_seconds_sum",
    "request_queue_time_seconds_sum",
    "cache_config_info",
]
SGLANG = [
    "num_running_reqs",
    "num_queue_reqs",
    "token_usage",
    "max_total_num_tokens",
    "num_requests_total",
    "prompt_tokens_histogram_sum",
    "generation_tokens_histogram_count",
    "time_to_first_token_seconds_sum",
    "inter_token_latency_seconds_count",
    "cached_tokens_total",
    "prompt_tokens_total",
]
OLDER = ["gpu_cache_usage_perc", "time_per_output_token_seconds_sum", "gpu_prefix_cache_hits_total"]


@pytest.mark.parametrize(
    ("dialect", "older", "there", "not_there"),
    [
        (Dialect.VLLM, False, VLLM, OLDER),
        (Dialect.VLLM, True, VLLM + OLDER, []),
        (Dialect.SGLANG, False, SGLANG, []),
    ],
)
def test_metrics(dialect: Dialect, older: bool, there: list[str], not_there: list[str]) -> None:
    served = ServedModel("m", FAST, dialect, older_names=older, prefix_hit_rate=0.25)
    with emulated_server(served) as running:
        for _ in range(3):
            running.json("POST", "/v1/completions", {"prompt": "w " * 40, "max_tokens": 5})
        status, text = running.ask("GET", "/metrics")
    assert status == 200
    found = samples(text)
    names = {f"{dialect.value}:{name}" for name in there}
    assert names <= set(found)
    assert not {f"{dialect.value}:{name}" for name in not_there} & set(found)
    prefix = f"{dialect.value}:"
    assert found[f"{prefix}generation_tokens_total"] == 15
    assert found[f"{prefix}time_to_first_token_seconds_count"] == 3
    assert found[f"{prefix}inter_token_latency_seconds_count"] == 12
    assert found[f"{prefix}inter_token_latency_seconds_sum"] == pytest.approx(0.024, rel=0.01)
    # 2 ms lie in the first bucket of both.
    first = "0.01" if dialect is Dialect.VLLM else "0.004"
    assert found[f"{prefix}inter_token_latency_seconds_bucket{{{first}}}"] == 12
    assert found[f"{prefix}inter_token_latency_seconds_bucket{{+Inf}}"] == 12
    if dialect is Dialect.VLLM:
        assert found["vllm:prefix_cache_hits_total"] == 30
        assert b'num_gpu_blocks="6250"' in text
    else:
        assert found["sglang:max_total_num_tokens"] == 100_000


def test_many_requests_at_once(server: Running) -> None:
    def one(number: int) -> tuple[int, bytes]:
        body = {"prompt": "a b", "max_tokens": 4, "stream": number % 2 == 0}
        return server.ask("POST", "/v1/completions", body)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(one, range(120)))
    assert {status for status, _ in answers} == {200}
    assert all(content.count(b" token") == 4 for _, content in answers)


def test_tokens_come_at_their_pace() -> None:
    """The stream lasts what the engine takes, or longer where the machine is slow."""
    with emulated_server(ServedModel("m", ENGINE)) as running:
        running.json("POST", "/v1/completions", {"prompt": "a " * 100, "max_tokens": 6})
        found = samples(running.ask("GET", "/metrics")[1])
    iterations = [20.0 + 0.1 * 100 + 0.001 * 100] + [20.1 + 0.001 * (101 + k) for k in range(5)]
    total = sum(iterations) / 1000.0
    assert found["vllm:e2e_request_latency_seconds_sum"] == pytest.approx(total)


def test_delays_of_the_first_token_reach_the_reader() -> None:
    model = OverlapParameters(1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, first_token_ms=50.0)
    with emulated_server(ServedModel("m", Engine(model, 8))) as running:
        for stream in (True, False):
            body = {"prompt": "a", "max_tokens": 3, "stream": stream}
            assert running.ask("POST", "/v1/completions", body)[0] == 200
        found = samples(running.ask("GET", "/metrics")[1])
    assert found["vllm:time_to_first_token_seconds_sum"] > 0.1


def test_readers_that_go_away_are_noticed(server: Running) -> None:
    slow = ServedModel("m", Engine(TokenWorkParameters(50.0, 0.0, 0.0), 8, kv_tokens=10_000))
    with emulated_server(slow) as running:
        for stream in (True, False):
            connection = http.client.HTTPConnection("127.0.0.1", running.port)
            body = json.dumps({"prompt": "a", "max_tokens": 500, "stream": stream})
            connection.request("POST", "/v1/completions", body)
            while not running.json("GET", "/replicas")["replicas"][0]["running"]:  # type: ignore[index]
                pass
            assert connection.sock is not None
            connection.close()
            while running.json("GET", "/replicas")["replicas"][0]["running"]:  # type: ignore[index]
                pass
        text = running.ask("GET", "/metrics")[1]
    assert b'finished_reason="abort",model_name="m"} 2.0' in text


def test_starting_crashing_and_failing() -> None:
    served = ServedModel("m", FAST, startup_ms=30_000.0)
    body = {"prompt": "a", "max_tokens": 2}
    with emulated_server(served, speed=100.0) as running:
        running.wait_until_healthy()
        assert running.ask("POST", "/v1/completions", body)[0] == 200
        running.json("POST", "/faults", {"error_rate": 1.0})
        assert running.ask("POST", "/v1/completions", body)[0] == 500
        state = running.json("POST", "/faults", {"clear": True, "crash": True})
        assert state["replicas"][0]["restarts"] == 1  # type: ignore[index]
        running.wait_until_healthy()
        assert running.ask("POST", "/v1/completions", body)[0] == 200


def test_a_server_that_starts_takes_nothing() -> None:
    with emulated_server(ServedModel("m", FAST, startup_ms=1e9)) as running:
        assert running.ask("GET", "/health")[0] == 503
        assert running.ask("GET", "/metrics")[0] == 503
        assert running.ask("POST", "/v1/completions", {"prompt": "a"})[0] == 503
        assert json.loads(running.ask("GET", "/targets")[1]) == []


def test_a_crash_breaks_streams_off() -> None:
    slow = ServedModel("m", Engine(TokenWorkParameters(20.0, 0.0, 0.0), 8))
    with emulated_server(slow) as running:
        connection = http.client.HTTPConnection("127.0.0.1", running.port)
        body = json.dumps({"prompt": "a", "max_tokens": 5000, "stream": True})
        connection.request("POST", "/v1/completions", body)
        answer = connection.getresponse()
        assert answer.read(20).startswith(b"data:")
        running.json("POST", "/faults", {"crash": True})
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            answer.read()
        connection.close()


def test_replicas_behind_a_gateway() -> None:
    with emulated_server(ServedModel("m", FAST), replicas=2, lone=False) as running:
        body = {"prompt": "a", "max_tokens": 2}
        for _ in range(4):
            running.json("POST", "/v1/completions", body)
        running.json("POST", "/replicas/m-2/v1/completions", body)
        text = running.ask("GET", "/metrics")[1]
        attempts = 'llm_d_epp_scheduler_attempts_total{status="success",target_model_name="m"} 4.0'
        assert attempts.encode() in text
        made = [
            samples(running.ask("GET", f"/replicas/m-{number}/metrics")[1]) for number in (1, 2)
        ]
        assert sum(one["vllm:generation_tokens_total"] for one in made) == 10
        state = running.json("PUT", "/replicas", {"count": 3})
        assert state["wanted"] == 3
        running.json("PUT", "/replicas", {"count": 0})
        assert running.ask("GET", "/health")[0] == 503


def test_a_drain_finishes_what_runs_and_takes_nothing_new() -> None:
    slow = ServedModel("m", Engine(TokenWorkParameters(20.0, 0.0, 0.0), 8))
    with emulated_server(slow) as running, ThreadPoolExecutor(1) as pool:
        body = {"prompt": "a", "max_tokens": 60}
        first = pool.submit(running.ask, "POST", "/v1/completions", body)
        while not running.json("GET", "/replicas")["replicas"][0]["running"]:  # type: ignore[index]
            pass
        assert running.loop is not None
        drained = asyncio.run_coroutine_threadsafe(running.emulator.drain(60.0), running.loop)
        while running.ask("GET", "/health")[0] == 200:
            pass
        assert running.ask("POST", "/v1/completions", body)[0] == 503
        assert first.result()[0] == 200
        drained.result(60.0)
        assert math.isinf(running.fleet.next_ms())
