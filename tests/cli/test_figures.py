import pytest

from stoker.cli.figures import (
    count_of,
    duration_ms,
    elapsed,
    filled_share,
    keeps,
    money,
    relation,
    share,
    small_share,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "?"), (0.5, "0.50"), (35.214, "35.2"), (999.94, "999.9"), (12345.6, "12,346")],
)
def test_durations(value: float | None, text: str) -> None:
    assert duration_ms(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "?"), (0.0, "0%"), (1e-7, "<0.01%"), (0.00321, "0.32%"), (0.31, "31.0%")],
)
def test_small_shares_never_round_down_to_zero(value: float | None, text: str) -> None:
    assert small_share(value) == text


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0.0, "0%"), (1 / 400, "<1%"), (0.29, "29%"), (203 / 204, "99%"), (1.0, "100%")],
)
def test_what_is_not_quite_full_is_not_called_full(fraction: float, text: str) -> None:
    assert filled_share(fraction) == text


def test_shares() -> None:
    assert share(0.6147) == "61%"
    assert share(None) == "?"


@pytest.mark.parametrize(
    ("value", "target", "kept", "text"),
    [
        (35.0, 200.0, True, "≤ 200"),
        (200.0 * (1 + 1e-7), 200.0, True, "≤ 200"),
        (201.0, 200.0, False, "> 200"),
        (None, 37.5, None, "vs 37.5"),
        (35.0, None, None, ""),
    ],
)
def test_relation_to_a_target(
    value: float | None, target: float | None, kept: bool | None, text: str
) -> None:
    assert keeps(value, target) is kept
    assert relation(value, target) == text


def test_money_counts_and_times() -> None:
    assert money(1234.5) == "1,234.50"
    assert [count_of(1, "server"), count_of(27, "server")] == ["1 server", "27 servers"]
    assert count_of(3, "class", "classes") == "3 classes"
    assert [elapsed(3.21), elapsed(340.2), elapsed(5012)] == ["3.2 ms", "340 ms", "5.01 s"]
