"""SGLang's bench_serving: results, one a line."""

import json

import pytest

from data.measurements import Unrecorded, read_measurements
from stoker.domain.errors import InvalidInputError
from stoker.domain.measurement import Arrival, LoadKind, Measurement
from tests.support.benchmark_files import Json, lines, sglang_result

CARD = Unrecorded(gpu="H100")


def read(*results: Json) -> tuple[Measurement, ...]:
    return read_measurements(lines(*results), "runs.jsonl", CARD).rows


def test_a_result_tells_load_lengths_latencies_and_server() -> None:
    (row,) = read(sglang_result())
    assert (row.model, row.gpu, row.n_gpus, row.engine) == ("llama-8b", "H100", 2, "sglang 0.5.3")
    assert (row.load_kind, row.load, row.arrival) == (LoadKind.RATE, 2.0, Arrival.POISSON)
    assert (row.in_tokens, row.out_tokens) == (512, 128)
    assert (row.ttft.mean_ms, row.ttft.p50_ms, row.ttft.p99_ms) == (40, 38, 80)
    assert (row.itl.mean_ms, row.itl.p50_ms, row.itl.p99_ms) == (8, 7.9, 11)
    assert (row.e2e.mean_ms, row.e2e.p50_ms) == (1056, 1041)
    assert row.concurrency_mean == pytest.approx(2.112)
    assert (row.max_batch, row.max_num_batched_tokens) == (256, 8192)
    assert row.precision is None
    assert row.source == "SGLang serving benchmark"


def test_several_runs_and_all_sent_at_once() -> None:
    closed = sglang_result(request_rate="inf", max_concurrency=16)
    burst = sglang_result(request_rate=float("inf"), num_prompts=100)
    one, two, three = read(sglang_result(), closed, burst)
    assert (one.load_kind, two.load_kind) == (LoadKind.RATE, LoadKind.CONCURRENCY)
    assert (two.load, two.quality) == (16, "")
    assert (three.load, three.quality) == (100, "saturated-burst")


def test_an_older_result_takes_the_server_from_beside_the_file() -> None:
    old = {key: value for key, value in sglang_result().items() if key != "server_info"}
    with pytest.raises(InvalidInputError) as caught:
        read(old)
    assert [str(item) for item in caught.value.problems] == [
        "runs.jsonl: line 1: model_id: is not recorded (allowed: text, here or by --served-model)",
        "runs.jsonl: line 1: n_gpus: is not recorded (allowed: a whole number, at least 1 and at "
        "most 1000000000, here or by --n-gpus)",
    ]
    beside = Unrecorded(model="llama-8b", gpu="H100", n_gpus=1)
    (row,) = read_measurements(lines(old), "runs.jsonl", beside).rows
    assert (row.model, row.n_gpus, row.engine) == ("llama-8b", 1, "sglang")


def test_bad_lines_are_told_and_good_ones_usable() -> None:
    text = lines(sglang_result(), sglang_result(completed=0)) + '{"backend": "sglang", \n'
    with pytest.raises(InvalidInputError) as caught:
        read_measurements(text, "runs.jsonl", CARD)
    told = [str(item) for item in caught.value.problems]
    assert told[0].startswith("runs.jsonl: line 2: completed: no request was completed")
    assert told[1].startswith("runs.jsonl: line 3: malformed JSON")
    reading = read_measurements(text, "runs.jsonl", CARD, skip_bad_rows=True)
    assert (len(reading.rows), reading.rows_left_out) == (1, 2)


def test_details_do_no_harm() -> None:
    detailed = sglang_result(
        input_lens=[500, 524], output_lens=[128, 128], itls=[[0.008], [0.008]], ttfts=[0.04, 0.04]
    )
    (row,) = read(json.loads(json.dumps(detailed)))
    assert row.in_tokens_std == 12
