"""Files of demand: what is told, folded, interpolated or filled, and every mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.demand_file import (
    HOURS_PER_WEEK,
    DemandRow,
    demand_rows_of_trace,
    hourly_demand,
    read_demand_rows,
    read_trace_demand,
)
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
