"""Rows in Stoker's own form, as JSON lines and as CSV."""

from pathlib import Path

import pytest

from data.measurements import Unrecorded, read_measurements
from stoker.domain.errors import InvalidInputError
from stoker.domain.measurement import Arrival, LatencyFigures, LoadKind
from tests.support.benchmark_files import lines, row

TRUTH = Path(__file__).resolve().parents[3] / "shared" / "truth"


def problems(text: str, *, skip_bad_rows: bool = False) -> list[str]:
    with pytest.raises(InvalidInputError) as caught:
        read_measurements(text, "rows.jsonl", skip_bad_rows=skip_bad_rows)
    return [str(problem) for problem in caught.value.problems]


def test_a_row_with_everything() -> None:
    text = lines(row(in_tokens_std=10, out_tokens_std=3.5, max_batch=256, prefix_cache=False))
    (found,) = read_measurements(text, "rows.jsonl").rows
    assert (found.model, found.gpu, found.n_gpus) == ("llama-8b", "H100", 1)
    assert (found.load_kind, found.load, found.arrival) == (LoadKind.RATE, 2.0, Arrival.POISSON)
    assert found.ttft == LatencyFigures(40.0, 38.0, None, None)
    assert found.itl == LatencyFigures(8.0)
    assert (found.in_tokens_std, found.out_tokens_std) == (10, 3.5)
    assert (found.max_batch, found.prefix_cache, found.quality) == (256, False, "ok")
    assert found.name == "one"


def test_unknown_is_none() -> None:
    (found,) = read_measurements(lines(row(ttft_ms_p50=None, engine=None)), "rows.jsonl").rows
    assert found.ttft.p50_ms is None
    assert found.engine is None
    assert found.max_batch is None
    assert found.concurrency_mean is None


def test_clients_without_an_arrival_pattern_are_a_closed_loop() -> None:
    changes = {"load_kind": "concurrency", "load": 8, "arrival": None, "throughput_rps": 7.0}
    (found,) = read_measurements(lines(row(**changes)), "rows.jsonl").rows
    assert found.arrival is Arrival.CLOSED


@pytest.mark.parametrize(("key", "kind"), [("rate", "rate"), ("concurrency", "concurrency")])
def test_the_load_may_be_given_by_its_kind(key: str, kind: str) -> None:
    text = lines(row(load_kind=None, load=None, throughput_rps=None) | {key: 3})
    (found,) = read_measurements(text, "rows.jsonl").rows
    assert (found.load_kind, found.load) == (LoadKind(kind), 3)


def test_what_is_known_beside_the_file_fills_in_and_does_not_replace() -> None:
    text = lines(row(gpu=None, max_batch=None), row(gpu="A100", max_batch=64))
    beside = Unrecorded(gpu="H200", max_batch=512)
    found = read_measurements(text, "rows.jsonl", beside).rows
    assert [(item.gpu, item.max_batch) for item in found] == [("H200", 512), ("A100", 64)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"load": -1}, ("line 1: load", "-1", "above 0")),
        ({"load": "two"}, ("line 1: load", '"two"', "a number")),
        ({"load_kind": "burst"}, ("line 1: load_kind", "burst", "rate, concurrency")),
        ({"load": None}, ("line 1: load:", "is missing", "rate and concurrency")),
        ({"gpu": None}, ("line 1: gpu: is not recorded", "--gpu")),
        ({"n_gpus": 1.5}, ("line 1: n_gpus", "1.5", "whole number")),
        ({"in_tokens": float("nan")}, ("line 1: in_tokens", "NaN")),
        ({"out_tokens": 0}, ("line 1: out_tokens", "at least 1")),
        ({"ttft_ms_mean": 0}, ("line 1: ttft_ms_mean", "above 0")),
        (
            {"ttft_ms_mean": None, "ttft_ms_p50": None, "itl_ms_mean": None},
            ("line 1: has neither a TTFT nor an ITL",),
        ),
    ],
)
def test_wrong_values_are_told_with_line_field_value_and_what_is_allowed(
    changes: dict[str, object], words: tuple[str, ...]
) -> None:
    told = problems(lines(row(**changes)))
    assert len(told) == 1
    assert told[0].startswith("rows.jsonl: ")
    for word in words:
        assert word in told[0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"itl_ms_mean": 0.008, "e2e_ms_mean": None}, "itl_ms_mean: 0.008 ms is too short"),
        ({"ttft_ms_mean": 0.04, "ttft_ms_p50": 0.038}, "ttft_ms_mean: 0.04 ms is too short"),
        ({"e2e_ms_mean": 1.056}, "e2e_ms_mean: 1.056 ms, but TTFT and ITL make 1056 ms"),
        (
            {"load_kind": "concurrency", "load": 2, "arrival": "closed", "throughput_rps": 2000.0},
            "throughput_rps: 2000 requests/s",
        ),
        ({"ttft_ms_p90": 30.0}, "ttft_ms_p90: 30 ms is below the p50 of 38 ms"),
    ],
)
def test_seconds_for_milliseconds_are_refused(changes: dict[str, object], words: str) -> None:
    told = problems(lines(row(**changes)))
    assert any(words in problem for problem in told), told


def test_an_inexact_row_is_taken() -> None:
    # A long request in a short run: fewer done at once than clients there are.
    text = lines(row(load_kind="concurrency", load=64, throughput_rps=2.0, e2e_ms_mean=1500.0))
    assert len(read_measurements(text, "rows.jsonl").rows) == 1


def test_bad_rows_are_left_out_only_when_asked() -> None:
    text = lines(row(), row(load=0), row()) + "{broken\n"
    assert len(problems(text)) == 2
    reading = read_measurements(text, "rows.jsonl", skip_bad_rows=True)
    assert len(reading.rows) == 2
    assert reading.rows_left_out == 2
    assert [problem.path for problem in reading.left_out] == ["line 2: load", "line 4"]


def test_a_file_of_bad_rows_alone_is_refused_even_so() -> None:
    assert problems(lines(row(load=0), row(load=0)), skip_bad_rows=True)


def test_many_problems_are_summed_up() -> None:
    told = problems(lines(*[row(load=0)] * 50))
    assert len(told) == 21
    assert told[-1] == "rows.jsonl: 30 more problems"


def test_points_to_predict_need_no_latency() -> None:
    point: dict[str, object] = {"in_tokens": 10, "out_tokens": 5, "rate": 1}
    beside = Unrecorded(model="m", gpu="g", n_gpus=1)
    (found,) = read_measurements(lines(point), "points", beside, measured=False).rows
    assert found.ttft == LatencyFigures()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is in no form that is known here"),
        ("hello\n", "is in no form that is known here"),
        ("a,b\n1,2\n", "is in no form that is known here"),
        ("[]", "holds no rows"),
        ('{"broken": ', "malformed JSON"),
        ("[1]", "[0]: is not an object"),
        ("in_tokens,out_tokens\n", "holds no rows"),
    ],
)
def test_other_files_are_refused_with_the_forms_known(text: str, words: str) -> None:
    assert any(words in problem for problem in problems(text))


def test_csv_rows() -> None:
    text = (
        "model,gpu,n_gpus,engine,load_kind,load,in_tokens,out_tokens,ttft_ms_mean,itl_ms_mean,"
        "prefix_cache,max_batch\n"
        "llama-8b,H100,1,0.9,concurrency,4,512,128,55,8,false,64\n\n"
        'llama-8b,H100,1,"0.9",rate,2.5,512,128,,8,,\n'
    )
    first, second = read_measurements(text, "rows.csv").rows
    assert (first.load_kind, first.load, first.max_batch) == (LoadKind.CONCURRENCY, 4.0, 64)
    assert (first.engine, first.prefix_cache) == ("0.9", False)
    assert (second.ttft.mean_ms, second.itl.mean_ms, second.max_batch) == (None, 8.0, None)
    assert second.name == "line 4"


def test_csv_rows_that_are_wrong() -> None:
    head = "model,gpu,n_gpus,rate,in_tokens,out_tokens,itl_ms_mean\n"
    told = problems(head + "m,g,1,x,512,128,8\nm,g,1,2\n")
    assert any('line 2: load: "x" is not a number' in problem for problem in told)
    assert any("line 3: has 4 values under 7 headings" in problem for problem in told)


@pytest.mark.skipif(not TRUTH.is_dir(), reason="needs the shared measurements")
@pytest.mark.parametrize("path", sorted(TRUTH.glob("*.jsonl")), ids=lambda path: path.stem)
def test_every_shared_row_is_read(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    reading = read_measurements(text, str(path))
    assert len(reading.rows) == sum(bool(line.strip()) for line in text.splitlines())
    assert not reading.left_out
