import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.domain.errors import InvalidInputError
from studies.sweeping.grid import MOST_POINTS, grid_study, listed_study
from studies.sweeping.values import MOST_VALUES, Value, parse_values
from tests.support.small_fleets import make_fleet, make_server

FLEET = make_fleet(make_server("a"), make_server("b", service_class="bronze"))


def numbers(text: str) -> list[float | None]:
    return [value.number for value in parse_values(text)]


def test_ranges_hold_their_end_where_a_step_meets_it() -> None:
    assert numbers("0.5:2:0.25") == [0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0]
    assert numbers("0:1:0.3") == [0.0, 0.3, 0.6, 0.9]
    assert numbers("0:0.3:0.1") == [0.0, 0.1, 0.2, 0.3]
    assert numbers("2:0:-1") == [2.0, 1.0, 0.0]
    assert numbers("1:16:*4") == [1.0, 4.0, 16.0]
    assert numbers("8:1:*0.5") == [8.0, 4.0, 2.0, 1.0]


def test_lists_ranges_words_and_multiples_mix() -> None:
    values = parse_values("1, x0.5:1:0.5 ,milp,2e1")
    assert values == (
        Value(1.0),
        Value(0.5, multiple=True),
        Value(1.0, multiple=True),
        Value(None, word="milp"),
        Value(20.0),
    )
    assert [value.cell for value in values] == [1.0, "x0.5", "x1", "milp", 20.0]


@given(
    st.integers(-50, 50),
    st.integers(1, 40),
    st.integers(1, 30),
    st.sampled_from([1, 10, 100, 1000]),
)
def test_ranges_are_exact_decimals(start: int, step: int, count: int, scale: int) -> None:
    stop = start + step * (count - 1)
    text = f"{start / scale}:{stop / scale}:{step / scale}"
    expected = [float(Fraction(start + step * k, scale)) for k in range(count)]
    assert numbers(text) == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_float_is_read_back(number: float) -> None:
    (value,) = parse_values(repr(number))
    assert value.number == number


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "empty"),
        ("1,,2", "empty"),
        ("1:2", "neither"),
        ("1:2:0", "never ends"),
        ("1:2:-1", "never ends"),
        ("0:8:*2", "never reaches"),
        ("1:8:*1", "never reaches"),
        ("1:8:*0.5", "never reaches"),
        (f"0:{MOST_VALUES}:1", "more than"),
        ("0:1:1e-300", "more than"),
        ("1e400", "too large"),
        ("1e99999999999999999999", "number"),
        ("1,1.0", "twice"),
        ("1x", "neither"),
        ("a:b:c", "neither"),
    ],
)
def test_nonsense_is_refused_in_words(text: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        parse_values(text)


def test_a_grid_is_every_combination_the_last_fastest() -> None:
    study = grid_study(FLEET, ["load=1,2", "solver=milp,greedy", "cards.B=3,4,5"])
    assert len(study.points) == 12
    assert [point.index for point in study.points] == list(range(12))
    assert [point.values[2].number for point in study.points[:4]] == [3, 4, 5, 3]
    assert [point.values[0].number for point in study.points[::6]] == [1, 2]


def test_lists_in_step_go_together() -> None:
    study = grid_study(FLEET, ["load=1:3:1", "cards.B=9,8,7"], in_step=True)
    assert [[v.number for v in point.values] for point in study.points] == [[1, 9], [2, 8], [3, 7]]


def test_lists_in_step_of_other_lengths_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"load has 3, cards\.B has 2"):
        grid_study(FLEET, ["load=1:3:1", "cards.B=9,8"], in_step=True)


def test_all_mistakes_are_told_at_once_with_what_is_allowed() -> None:
    texts = [
        "lod=1",
        "price.Bigg=1",
        "cards.B=1.5",
        "target.gold=5",
        "target.silver.ttft_ms=5",
        "target.ttft_ms.p100=5",
        "load.gold=-1",
        "solver=magic",
        "unlimited=1",
        "nothing",
    ]
    with pytest.raises(InvalidInputError) as caught:
        grid_study(FLEET, texts)
    problems = caught.value.problems
    assert len(problems) == len(texts)
    assert all(problem.allowed for problem in problems)
    told = str(caught.value)
    assert "did you mean 'load'?" in told
    assert "did you mean 'Big'?" in told
    assert "milp, greedy" in told


def test_a_parameter_varies_once() -> None:
    with pytest.raises(InvalidInputError, match="varied twice"):
        grid_study(FLEET, ["load=1", "load=2"])


def test_a_name_of_several_things_asks_which() -> None:
    fleet = make_fleet(make_server("gold"), make_server("b", service_class="gold"))
    with pytest.raises(InvalidInputError, match="server:gold or class:gold"):
        grid_study(fleet, ["load.gold=1"])
    study = grid_study(fleet, ["load.server:gold=3"])
    loads = [server.load for server in study.at(study.points[0]).servers]
    assert [load and load.arrival_rate_rps for load in loads] == [12.0, 4.0]


def test_too_many_points_are_refused_before_they_are_made() -> None:
    with pytest.raises(InvalidInputError, match=f"at most {MOST_POINTS:,}"):
        grid_study(FLEET, ["load=1:1000:1", "targets=1:1000:1"])


def test_listed_points_need_the_same_parameters() -> None:
    with pytest.raises(InvalidInputError, match=r"point 2: .*allowed: load"):
        listed_study(FLEET, [{"load": "1"}, {"cards": "1"}])
    with pytest.raises(InvalidInputError, match="is a list"):
        listed_study(FLEET, [{"load": "1,2"}])
    with pytest.raises(InvalidInputError, match="no points"):
        listed_study(FLEET, [])


def test_values_of_points_are_finite() -> None:
    assert all(math.isfinite(number or 0.0) for number in numbers("1:1e308:*1e100"))
