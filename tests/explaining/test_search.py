"""The smallest factor that makes something possible."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from optimizer.explaining.search import LARGEST_FACTOR, STEP, rounded_up, smallest_factors

Pairs = Sequence[tuple[int, float]]
MOST_ROUNDS = 10
"""Rounds of predictions that one search takes at most, on a range without gaps."""


def asking(
    cases: Sequence[Callable[[float], bool]],
) -> Callable[[Pairs, Pairs], list[bool]]:
    told: set[tuple[int, float]] = set()
    rounds: list[int] = []

    def answers(pairs: Pairs, later: Pairs) -> list[bool]:
        if not told.issuperset(pairs):
            rounds.append(len(pairs))
            told.update(pairs, later)
        assert len(rounds) <= MOST_ROUNDS * len(cases), "what is asked next is foretold"
        return [cases[case](factor) for case, factor in pairs]

    return answers


@given(st.lists(st.floats(1.0, 9000.0), min_size=1, max_size=5))
def test_thresholds_are_found_side_by_side(thresholds: list[float]) -> None:
    cases = [lambda factor, least=least: factor >= least for least in thresholds]
    for least, found in zip(thresholds, smallest_factors(len(cases), asking(cases)), strict=True):
        assert found is not None
        assert least <= found <= least * STEP + 1e-12
        assert found == rounded_up(found) or found <= least * STEP


def test_none_where_nothing_helps() -> None:
    assert smallest_factors(1, asking([lambda _: False])) == [None]


def test_what_is_possible_already_needs_no_factor() -> None:
    assert smallest_factors(1, asking([lambda _: True])) == [1.0]


@given(st.lists(st.floats(1.0, 50.0), min_size=2, max_size=6, unique=True))
def test_a_hundredth_less_is_never_possible_even_in_gaps(ends: list[float]) -> None:
    """Possible from the largest end on, and in every other range between the ends."""
    ordered = sorted(ends)

    def possible(factor: float) -> bool:
        return (len(ordered) - sum(end <= factor for end in ordered)) % 2 == 0

    (found,) = smallest_factors(1, asking([possible]))
    assert found is not None
    assert possible(found)
    assert found == 1.0 or found / STEP <= 1.0 or not possible(found / STEP)


def test_rounding_is_upwards_to_four_digits() -> None:
    assert rounded_up(1.23401) == 1.235
    assert rounded_up(1.234) == 1.234
    assert rounded_up(4950.2) == 4951.0
    assert rounded_up(LARGEST_FACTOR) == LARGEST_FACTOR
