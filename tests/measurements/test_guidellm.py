"""GuideLLM reports of several versions, as JSON and CSV."""

import csv
import io
import json

import pytest

from data.measurements import Unrecorded, read_measurements
from stoker.domain.errors import InvalidInputError
from stoker.domain.measurement import Arrival, LatencyFigures, LoadKind, Measurement
from tests.support.benchmark_files import (
    Json,
    guidellm_03,
    guidellm_05,
    guidellm_csv_03,
    guidellm_csv_05,
    metrics,
)

BESIDE = Unrecorded(gpu="H100", n_gpus=1, engine="vllm 0.9", max_batch=256)


def read(text: str) -> tuple[Measurement, ...]:
    return read_measurements(text, "benchmarks", BESIDE).rows


def problems(text: str) -> str:
    with pytest.raises(InvalidInputError) as caught:
        read(text)
    return str(caught.value)


def check_figures(row: Measurement) -> None:
    assert (row.model, row.gpu, row.engine, row.max_batch) == ("llama-8b", "H100", "vllm 0.9", 256)
    assert row.ttft.mean_ms == 40.0
    assert row.ttft.p50_ms == 36.0
    assert (row.ttft.p90_ms, row.ttft.p99_ms) == (60.0, 80.0)
    assert row.itl == LatencyFigures(8.0, 7.2, 12.0, 16.0)
    assert row.e2e.mean_ms == pytest.approx(1056.0)
    assert row.e2e.p99_ms == pytest.approx(2112.0)
    assert (row.in_tokens, row.out_tokens) == (512.0, 128.0)
    assert row.in_tokens_std == pytest.approx(102.4)
    assert row.throughput_rps == 2.0
    assert row.concurrency_mean == pytest.approx(2.112)
    assert (row.n_requests, row.duration_s) == (90, 60.0)


@pytest.mark.parametrize("report", [guidellm_03(), guidellm_05()], ids=["0.3", "0.5"])
def test_json_reports(report: Json) -> None:
    rows = read(json.dumps(report))
    for row in rows:
        check_figures(row)
    loads = [(row.load_kind, row.load, row.arrival, row.quality) for row in rows]
    closed, rate = LoadKind.CONCURRENCY, LoadKind.RATE
    assert loads == [
        (closed, 1.0, Arrival.CLOSED, ""),
        (closed, 64.0, Arrival.CLOSED, "saturated-burst"),
        (rate, 2.0, Arrival.CONSTANT, ""),
        (rate, 4.0, Arrival.POISSON, ""),
        (closed, 8.0, Arrival.CLOSED, ""),
    ]
    assert [row.name for row in rows] == [f"id-{index}" for index in range(5)]


def test_csv_of_one_heading_line() -> None:
    rows = read(guidellm_csv_03())
    for row in rows:
        check_figures(row)
    assert [(row.load_kind.value, row.load) for row in rows] == [
        ("concurrency", 1.0),
        ("rate", 2.0),
        ("concurrency", 8.0),
    ]


@pytest.mark.parametrize(
    "profile",
    [None, {"kind": "constant", "rate": [2.0, 4.0]}],
    ids=["strategies listed", "rates listed"],
)
def test_csv_of_three_heading_lines(profile: Json | None) -> None:
    rows = read(guidellm_csv_05(profile))
    for row in rows:
        check_figures(row)
    assert [(row.load, row.arrival) for row in rows] == [
        (2.0, Arrival.CONSTANT),
        (4.0, Arrival.POISSON),
    ]


def test_csv_that_does_not_tell_the_rate() -> None:
    told = problems(guidellm_csv_05({"kind": "sweep", "sweep_size": 5}))
    assert "benchmark 1 (line 4): Benchmark, Strategy: is missing" in told


def test_csv_with_values_under_wrong_headings() -> None:
    head, *rest = guidellm_csv_05().splitlines()
    text = "\n".join([head, *rest[:-1], rest[-1] + ",7"])
    assert "the JSON report of the same run has no such fault" in problems(text)


def test_zeros_for_what_was_not_seen_are_unknown() -> None:
    report = guidellm_05()
    (benchmark,) = [report["benchmarks"][2]]  # type: ignore[index]
    report["benchmarks"] = [benchmark | {"metrics": metrics(ttft_ms=0.0)}]
    (row,) = read(json.dumps(report))
    assert row.ttft == LatencyFigures()
    assert row.itl.mean_ms == 8.0


def test_throughput_without_a_limit_takes_the_clients_that_were_seen() -> None:
    report = guidellm_05()
    benchmark = report["benchmarks"][1]  # type: ignore[index]
    benchmark["config"]["strategy"] = {"type_": "throughput", "max_concurrency": None}
    report["benchmarks"] = [benchmark]
    (row,) = read(json.dumps(report))
    assert row.load == pytest.approx(2.112)


def test_problems_name_the_place_in_the_report() -> None:
    report = guidellm_05()
    benchmarks = report["benchmarks"]
    assert isinstance(benchmarks, list)
    benchmarks[0]["config"]["strategy"] = {"type_": "replay"}
    benchmarks[1] = {"config": {}}
    del benchmarks[2]["config"]["strategy"]["rate"]
    benchmarks[3]["metrics"]["time_to_first_token_ms"]["successful"]["mean"] = "fast"
    told = problems(json.dumps(report))
    assert 'benchmarks[0]: config.strategy: is "replay" (allowed: synchronous, concurrent,' in told
    assert "benchmarks[1]: metrics: is missing" in told
    assert "benchmarks[2]: config.strategy: is missing" in told
    place = "benchmarks[3]: metrics.time_to_first_token_ms.successful.mean"
    assert f'{place}: "fast" is not a number' in told


def test_what_the_report_does_not_record_is_asked_for() -> None:
    with pytest.raises(InvalidInputError, match=r"gpu: is not recorded .*--gpu"):
        read_measurements(json.dumps(guidellm_05()), "benchmarks")


def test_report_without_benchmarks() -> None:
    assert "benchmarks: is empty" in problems('{"benchmarks": []}')


@pytest.mark.parametrize(
    ("strategy", "profile", "load"),
    [
        ("poisson@8.00", {"kind": "poisson", "rate": [8.004]}, 8.004),
        ("constant@29.18", {"kind": "sweep", "sweep_size": 3}, 29.18),
        ("concurrent@2", {"kind": "concurrent", "streams": [2]}, 2.0),
        ("concurrent@4", {"kind": "concurrent", "streams": [2]}, 4.0),
        ("throughput@4", {"kind": "throughput", "max_concurrency": 4}, 4.0),
        ("synchronous", {"kind": "synchronous"}, 1.0),
    ],
)
def test_csv_of_0_8_names_the_strategy_with_its_rate(
    strategy: str, profile: Json, load: float
) -> None:
    table = list(csv.reader(io.StringIO(guidellm_csv_05(profile))))[:4]
    table[3][table[1].index("Strategy")] = strategy
    text = io.StringIO()
    csv.writer(text).writerows(table)
    (row,) = read(text.getvalue())
    assert row.load == load
