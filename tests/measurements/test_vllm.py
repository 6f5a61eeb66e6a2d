"""Results of vLLM's serving benchmark."""

import json
import math

import pytest

from data.measurements import Unrecorded, read_measurements
from stoker.domain.errors import InvalidInputError
from stoker.domain.measurement import Arrival, LatencyFigures, LoadKind, Measurement
from tests.support.benchmark_files import lines, vllm_result


def read(**changes: object) -> Measurement:
    (found,) = read_measurements(json.dumps(vllm_result(**changes)), "result.json").rows
    return found


def problems(**changes: object) -> str:
    with pytest.raises(InvalidInputError) as caught:
        read(**changes)
    return str(caught.value)


def test_a_result() -> None:
    found = read()
    assert (found.model, found.gpu, found.n_gpus, found.engine) == ("llama-8b", "H100", 2, "vllm")
    assert (found.load_kind, found.load) == (LoadKind.RATE, 2.0)
    assert (found.arrival, found.arrival_cv) == (Arrival.POISSON, 1.0)
    assert (found.in_tokens, found.out_tokens) == (512.0, 128.0)
    assert found.ttft == LatencyFigures(40.0, 38.0, None, 80.0)
    assert (found.throughput_rps, found.output_tps) == (2.0, 256.0)
    assert (found.n_requests, found.duration_s) == (100, 50.0)
    assert found.e2e == LatencyFigures()
    assert found.concurrency_mean is None


def test_itl_is_the_time_per_output_token_and_not_the_gap_between_chunks() -> None:
    assert read().itl == LatencyFigures(8.0, 7.9, None, 11.0)
    assert read(mean_tpot_ms=0).itl.mean_ms == 9.0


def test_mean_requests_in_the_system_follow_from_all_response_times() -> None:
    assert read(mean_e2el_ms=1056.0).concurrency_mean == pytest.approx(2.112)


@pytest.mark.parametrize(
    ("changes", "load"),
    [
        ({"request_rate": "inf", "max_concurrency": 16}, ("concurrency", 16, "closed", "")),
        ({"request_rate": "inf"}, ("concurrency", 100, "closed", "saturated-burst")),
        ({"max_concurrency": 64}, ("rate", 2.0, "poisson", "")),
        (
            {"max_concurrency": 4, "request_rate": 9.0},
            ("rate", 9.0, "poisson", "saturated-client-cap"),
        ),
        ({"burstiness": math.inf}, ("rate", 2.0, "constant", "")),
        ({"burstiness": 4.0}, ("rate", 2.0, "unknown", "")),
    ],
)
def test_loads(changes: dict[str, object], load: tuple[object, ...]) -> None:
    changes = {"request_throughput": 2.0} | changes
    if changes.get("request_rate") == "inf":
        changes |= {"request_throughput": 15.0}
    found = read(**changes)
    assert (found.load_kind, found.load, found.arrival, found.quality) == load


def test_burstiness_is_the_shape_of_gamma_intervals() -> None:
    assert read(burstiness=4.0).interarrival_cv == pytest.approx(0.5)
    assert read(burstiness=0.25).interarrival_cv == pytest.approx(2.0)
    assert read(burstiness=math.inf).interarrival_cv == 0.0


def test_detailed_results_tell_the_spread_of_lengths() -> None:
    found = read(input_lens=[500, 524], output_lens=[100, 156, 0])
    assert found.in_tokens_std == pytest.approx(12.0)
    assert found.out_tokens_std == pytest.approx(28.0)


def test_appended_results() -> None:
    text = "\n" + lines(vllm_result(), vllm_result(request_rate=3.0))
    found = read_measurements(text, "results.json").rows
    assert [row.load for row in found] == [2.0, 3.0]


def test_metadata_name_the_server() -> None:
    found = read(precision="fp8", max_num_seqs="256", engine="vllm 0.15.0")
    assert (found.precision, found.max_batch, found.engine) == ("fp8", 256, "vllm 0.15.0")


def test_what_metadata_do_not_name_is_given_beside() -> None:
    result = vllm_result(gpu=None, tp=None)
    beside = Unrecorded(gpu="A100", n_gpus=4)
    (found,) = read_measurements(json.dumps(result), "r", beside).rows
    assert (found.gpu, found.n_gpus) == ("A100", 4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"completed": 0}, "line 1: completed: no request was completed"),
        ({"ramp_up_strategy": "linear"}, 'ramp_up_strategy: is "linear": the load changes'),
        ({"total_input_tokens": "many"}, 'line 1: total_input_tokens: "many" is not a number'),
        ({"request_rate": "fast"}, 'line 1: request_rate: "fast" is not a number'),
        ({"tp": "two"}, 'line 1: n_gpus: "two" is not a whole number'),
        ({"mean_tpot_ms": 0.008}, "line 1: mean_tpot_ms: 0.008 ms is too short"),
        ({"mean_tpot_ms": 0, "mean_itl_ms": 0, "mean_ttft_ms": 0, "median_ttft_ms": 0}, "neither"),
    ],
)
def test_wrong_results(changes: dict[str, object], words: str) -> None:
    assert words in problems(**changes)
