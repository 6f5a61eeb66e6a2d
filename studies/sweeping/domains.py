"""Which values parameters take."""

from __future__ import annotations

from dataclasses import dataclass

from stoker.domain.limits import LEAST_WEIGHT, MOST_WEIGHT
from studies.sweeping.values import Value

_LARGEST = 1e12
_LARGEST_FACTOR = 1e6
_LARGEST_COUNT = 1e9


@dataclass(frozen=True, slots=True)
class Domain:
    """Which values a parameter takes.

    Attributes:
        least: Smallest number.
        most: Largest number; below `least` where numbers do not fit.
        above: Whether the smallest number itself is left out.
        whole: Whether numbers are whole.
        factor: Whether every number is a multiple.
        multiples: Whether numbers may be multiples of the fleet's own figure.
        unfit: Why numbers may be nothing else; empty where they may.
        words: The words; None for any word, empty for none.
    """

    least: float = 0.0
    most: float = _LARGEST
    above: bool = False
    whole: bool = False
    factor: bool = False
    multiples: bool = True
    unfit: str = ""
    words: tuple[str, ...] | None = ()

    def __str__(self) -> str:
        """Return what is allowed, in words."""
        parts = []
        if self.most >= self.least:
            kind = "a factor" if self.factor else "a whole number" if self.whole else "a number"
            low = f"above {self.least:g}" if self.above else f"from {self.least:g}"
            if not self.unfit:
                parts.append(f"{kind} {low} to {self.most:g}")
            if self.multiples and not self.factor:
                parts.append("a multiple such as x0.5")
        if self.words is None:
            parts.append("a name")
        elif self.words:
            parts.append(", ".join(self.words))
        return " or ".join(parts)

    def refusal(self, value: Value) -> str:
        """Return what is wrong with a value, empty where nothing is."""
        number = value.number
        if number is None:
            known = self.words is None or value.word in self.words
            return "" if known else f"{value.word!r} is none of them"
        if self.most < self.least:
            return f"{value} is a number"
        if value.multiple and not self.multiples:
            return f"{value} is a multiple, and this has none"
        if self.unfit and not value.multiple:
            return f"{value} {self.unfit}"
        most = _LARGEST_FACTOR if value.multiple else self.most
        low = number < self.least or (self.above and number == self.least)
        if low or number > most:
            return f"{value} is out of range"
        if self.whole and not value.multiple and not number.is_integer():
            return f"{value} is not whole"
        return ""


FACTOR = Domain(most=_LARGEST_FACTOR, factor=True)
POSITIVE_FACTOR = Domain(most=_LARGEST_FACTOR, above=True, factor=True)
AMOUNT = Domain()
POSITIVE = Domain(above=True)
CV = Domain(most=100.0)
COUNTS_OF_POOLS = Domain(
    most=_LARGEST_COUNT,
    whole=True,
    unfit="does not tell which of several pools the cards are in",
)
COUNT = Domain(most=_LARGEST_COUNT, whole=True)
WHOLE = Domain(most=_LARGEST_COUNT, whole=True, multiples=False)


def words(*choices: str) -> Domain:
    """Return the domain of some words alone."""
    return Domain(most=-1.0, words=choices)


def number(least: float, most: float = _LARGEST, *, above: bool = False) -> Domain:
    """Return the domain of numbers within bounds, without multiples."""
    return Domain(least, most, above=above, multiples=False)


def limit(most: float = _LARGEST, *, whole: bool = False) -> Domain:
    """Return the domain of a limit: a number, or the word for none."""
    return Domain(most=most, whole=whole, multiples=False, words=("none",))


POSITIVE_COUNT = Domain(1.0, _LARGEST_COUNT, whole=True, multiples=False)
POSITIVE_LIMIT = Domain(1.0, _LARGEST_COUNT, whole=True, multiples=False, words=("none",))
COUNT_LIMIT = limit(_LARGEST_COUNT, whole=True)
WEIGHT = number(LEAST_WEIGHT, MOST_WEIGHT)
DOCUMENTS = Domain(most=-1.0, words=None)
