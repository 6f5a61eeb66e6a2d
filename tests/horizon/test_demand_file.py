"""Files of demand: what is told, folded, interpolated or filled, and every mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.demand_rows import (
    DemandRow,
    demand_rows_of_trace,
    parse_demand_rows,
    read_demand_rows,
    read_trace_demand,
)
from data.hourly_demand import HOURS_PER_WEEK, hourly_demand
from stoker.domain.errors import InvalidInputError
from stoker.domain.horizon import Missing
from stoker.domain.server import Server
from stoker.domain.workload import Load

SERVER = Server("a", "gold", "m", Load(9.0, 100.0, 50.0, throughput_rps=8.0, arrival_cv=2.0))


def rates(rows: list[DemandRow], **options: object) -> list[float]:
    demand = hourly_demand(rows, [SERVER], **options)  # type: ignore[arg-type]
    return [load.arrival_rate_rps for load in demand.loads[0]]


def written(folder: Path, text: str, name: str = "demand.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_csv_and_json_say_the_same(tmp_path: Path) -> None:
    csv = written(
        tmp_path,
        "hour,server,arrival_rate_rps,input_tokens,note\n0,a,1.5,,x\n1,a,0,200,\n",
    )
    json = written(
        tmp_path,
        '{"demand": [{"hour": 0, "server": "a", "arrival_rate_rps": 1.5},'
        ' {"hour": 1, "server": "a", "arrival_rate_rps": 0, "input_tokens": 200}]}',
        "demand.json",
    )
    assert read_demand_rows(csv) == read_demand_rows(json)
    demand = hourly_demand(read_demand_rows(csv), [SERVER])
    assert demand.loads == (
        (Load(1.5, 100.0, 50.0, arrival_cv=2.0), Load(0.0, 200.0, 50.0, arrival_cv=2.0)),
    )


def test_missing_hours_are_an_error_or_filled_as_told_and_never_zero() -> None:
    rows = [DemandRow(1, "a", 2.0), DemandRow(2, "a", 5.0), DemandRow(4, "a", 1.0)]
    with pytest.raises(InvalidInputError, match=r"a: hours without a row: 0, 3"):
        rates(rows)
    assert rates(rows, missing=Missing.PREVIOUS) == [2.0, 2.0, 5.0, 5.0, 1.0]
    assert rates(rows, missing=Missing.LARGEST) == [5.0, 2.0, 5.0, 5.0, 1.0]
    other = Server("b", "gold", "m", SERVER.load)
    with pytest.raises(InvalidInputError, match="b: hours without a row"):
        hourly_demand(rows, [SERVER, other], missing=Missing.LARGEST)


def test_history_is_folded_into_a_week_at_the_quantile() -> None:
    rows = [
        DemandRow(week * HOURS_PER_WEEK + hour, "a", float(hour + 1000 * week))
        for week in range(4)
        for hour in range(HOURS_PER_WEEK)
    ]
    for quantile, week in ((0.25, 0), (0.26, 1), (0.5, 1), (0.75, 2), (1.0, 3)):
        expected = [hour + 1000.0 * week for hour in range(HOURS_PER_WEEK)]
        assert rates(rows, weekly=True, quantile=quantile) == expected
    with pytest.raises(InvalidInputError, match="quantile: is missing"):
        rates(rows, weekly=True)
    with pytest.raises(InvalidInputError, match="history of 3 hours"):
        rates(rows[:3], weekly=True, quantile=0.5)


def test_a_forecast_is_read_at_its_quantile_and_never_beyond() -> None:
    rows = [DemandRow(0, "a", rate, quantile=level) for level, rate in ((0.5, 10.0), (0.9, 30.0))]
    assert rates(rows, quantile=0.5) == [10.0]
    assert rates(rows, quantile=0.8) == [pytest.approx(25.0)]
    with pytest.raises(InvalidInputError, match="not within the forecast"):
        rates(rows, quantile=0.99)
    with pytest.raises(InvalidInputError, match="quantile: is missing"):
        rates(rows)


def test_a_trace_is_counted_by_the_hour() -> None:
    requests = [(10.0 * index, 100.0, 20.0) for index in range(360)]
    requests += [(3600.0 + 100.0 * index, 300.0, 40.0) for index in range(18)]
    first, second = demand_rows_of_trace(requests, "a", duration_s=5400.0)
    assert first.arrival_rate_rps == pytest.approx(0.1)
    assert second.arrival_rate_rps == pytest.approx(0.01)
    assert (first.input_tokens, second.output_tokens) == (100.0, 40.0)


def test_hours_of_a_trace_count_from_its_first_request() -> None:
    requests = [(1.7e9 + 10.0 * index, 100.0, 20.0) for index in range(361)]
    (only,) = demand_rows_of_trace(requests, "a")
    assert only.hour == 0
    assert only.arrival_rate_rps == pytest.approx(361 / 3600)


@pytest.mark.parametrize("last_s", [3600.001, 3900.0])
def test_a_last_request_by_itself_is_no_hour_of_a_thousand(last_s: float) -> None:
    requests = [(float(index), 100.0, 20.0) for index in range(3600)]
    (only,) = demand_rows_of_trace([*requests, (last_s, 100.0, 20.0)], "a")
    assert only.arrival_rate_rps == pytest.approx(3601 / last_s)


def test_no_request_of_a_trace_is_lost() -> None:
    requests = [(731.0 * index, 100.0, 20.0) for index in range(30)]
    rows = demand_rows_of_trace(requests, "a")
    spans = [3600.0] * (len(rows) - 1)
    spans.append(29 * 731.0 - sum(spans))
    total = sum(row.arrival_rate_rps * span for row, span in zip(rows, spans, strict=True))
    assert total == pytest.approx(30)


def test_a_trace_of_years_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "arrival_s,in_tokens,out_tokens\n0,10,5\n1700000000,30,5\n")
    with pytest.raises(
        InvalidInputError, match=r"covers 472,2\d\d hours \(allowed: at most 9,000\)"
    ):
        read_trace_demand(path, "a")


def test_a_trace_file(tmp_path: Path) -> None:
    path = written(tmp_path, "arrival_s,in_tokens,out_tokens,x\n0.0,10,5,1\n7200.0,30,5,1\n")
    assert [row.hour for row in read_trace_demand(path, "a")] == [0, 1]
    bad = written(tmp_path, "arrival_s,in_tokens\n0.0,10\n")
    with pytest.raises(InvalidInputError, match="line 2: out_tokens: is missing"):
        read_trace_demand(bad, "a")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("x,a,1", r'line 2: hour: "x" is not a number'),
        ("0.5,a,1", "line 2: hour: 0.5 is no hour"),
        ("0,,1", "line 2: server: is missing"),
        ("0,a,-1", "line 2: arrival_rate_rps: -1 is out of bounds"),
        ("0,a,nan", "line 2: arrival_rate_rps: nan is out of bounds"),
        ("0,a,", "line 2: arrival_rate_rps: is missing"),
    ],
)
def test_mistakes_of_rows(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        read_demand_rows(written(tmp_path, f"hour,server,arrival_rate_rps\n{row}\n"))


@pytest.mark.parametrize("name", ["hour", "arrival_rate_rps", "input_tokens", "quantile"])
def test_a_number_of_hundreds_of_digits_is_a_mistake(name: str) -> None:
    row = {"hour": 0, "server": "a", "arrival_rate_rps": 1.0} | {name: 10**400}
    with pytest.raises(InvalidInputError, match=rf"\[0\]: {name}: is too large a number"):
        parse_demand_rows([row])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_on_any_system(tmp_path: Path, end: str) -> None:
    path = tmp_path / "demand.csv"
    path.write_bytes(end.join(["hour,server,arrival_rate_rps", "0,a,1", "1,a,2", ""]).encode())
    assert read_demand_rows(path) == (DemandRow(0, "a", 1.0), DemandRow(1, "a", 2.0))


@pytest.mark.parametrize(
    "text",
    [
        "hour,server,arrival_rate_rps\n0,a" + "b" * 200_000 + ",1\n",
        "hour,server" + "b" * 200_000 + ",arrival_rate_rps\n",
    ],
    ids=["row", "heading"],
)
def test_csv_that_cannot_be_taken_apart_is_a_mistake(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"line \d: cannot be read: field larger"):
        read_demand_rows(written(tmp_path, text))
    with pytest.raises(InvalidInputError, match=r"line \d: cannot be read"):
        read_trace_demand(written(tmp_path, text), "a")


def test_an_end_of_a_line_within_a_field_ends_the_row(tmp_path: Path) -> None:
    path = tmp_path / "demand.csv"
    path.write_bytes(b"hour,server,arrival_rate_rps\n0,a\rb,1\n")
    with pytest.raises(InvalidInputError, match="line 2: arrival_rate_rps: is missing"):
        read_demand_rows(path)


def test_mistakes_of_files(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="the file is empty"):
        read_demand_rows(written(tmp_path, ""))
    with pytest.raises(InvalidInputError, match="holds no rows"):
        read_demand_rows(written(tmp_path, "hour,server,arrival_rate_rps\n"))
    with pytest.raises(InvalidInputError, match='"b" is no server of the fleet'):
        rates([DemandRow(0, "b", 1.0)])
    with pytest.raises(InvalidInputError, match="2 rows"):
        rates([DemandRow(0, "a", 1.0), DemandRow(0, "a", 1.0)])
    unknown = Server("a", "gold", "m", None)
    with pytest.raises(InvalidInputError, match="do not tell tokens"):
        hourly_demand([DemandRow(0, "a", 1.0)], [unknown])


def test_a_quantile_of_rates_told_as_they_are_is_refused() -> None:
    server = Server("a", "c", "m")
    rows = (DemandRow(0, "a", 1.0, 10.0, 10.0),)
    with pytest.raises(InvalidInputError, match=r"quantile: 0.95 has nothing to choose from"):
        hourly_demand(rows, (server,), quantile=0.95)
