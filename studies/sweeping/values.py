"""The values of a varied parameter: lists, ranges, words, and multiples of the fleet's own."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

MOST_VALUES = 10_000
"""Largest number of values of one parameter."""

GRAMMAR = (
    "numbers and words separated by commas, ranges START:STOP:STEP, and START:STOP:*FACTOR; x in "
    "front of a number multiplies the fleet's own figure"
)

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_ITEM = re.compile(rf"(x?)({_NUMBER})(?::({_NUMBER}):(\*?)({_NUMBER}))?")
_LOOKS_LIKE_NUMBERS = re.compile(r"x?[+\-.]?\d")


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a parameter: a number, a multiple, or a word.

    Attributes:
        number: The number or multiple; None for a word.
        multiple: Whether the number multiplies what the fleet says, instead of replacing it.
        word: The word; empty for a number.
    """

    number: float | None
    multiple: bool = False
    word: str = ""

    @property
    def cell(self) -> float | str:
        """What a table of results holds: the number, ``x0.5`` for a multiple, or the word."""
        if self.number is None:
            return self.word
        return str(self) if self.multiple else self.number

    def __str__(self) -> str:
        """Return the value as it would be written."""
        if self.number is None:
            return self.word
        return f"{'x' if self.multiple else ''}{self.number:.15g}"


def parse_values(text: str) -> tuple[Value, ...]:
    """Return the values that a text lists, in its order.

    Ranges hold their end where a step meets it, and are computed in decimals: ``0.5:2:0.25`` has
    seven values, the last of them 2.

    Raises:
        ValueError: Saying what is wrong with the text, in a few words.
    """
    values: list[Value] = []
    for item in text.split(","):
        values += _item(item.strip())
        if len(values) > MOST_VALUES:
            raise ValueError(f"has more than {MOST_VALUES:,} values")
    seen: set[Value] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"has the value {value} twice")
        seen.add(value)
    return tuple(values)


def _item(text: str) -> list[Value]:
    if not text:
        raise ValueError("has an empty value")
    match = _ITEM.fullmatch(text)
    if match is None:
        if _LOOKS_LIKE_NUMBERS.match(text) or ":" in text:
            raise ValueError(f"{text!r} is neither a number nor a range")
        return [Value(None, word=text)]
    multiple = bool(match[1])
    start = _decimal(match[2])
    if match[3] is None:
        return [Value(float(start), multiple)]
    stop, step = _decimal(match[3]), _decimal(match[5])
    numbers = _geometric(start, stop, step) if match[4] else _arithmetic(start, stop, step)
    return [Value(number, multiple) for number in numbers]


def _decimal(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation as error:  # an exponent beyond what decimals hold
        raise ValueError(f"{text!r} is not a number") from error
    if not math.isfinite(float(number)):
        raise ValueError(f"{text!r} is too large a number")
    return number


def _arithmetic(start: Decimal, stop: Decimal, step: Decimal) -> list[float]:
    if step == 0 or (stop - start) * step < 0:
        raise ValueError(f"the range {start}:{stop}:{step} never ends: its step leads nowhere")
    if (stop - start) / step >= MOST_VALUES:
        raise ValueError(f"the range {start}:{stop}:{step} has more than {MOST_VALUES:,} values")
    count = int((stop - start) / step) + 1
    return [float(start + step * index) for index in range(count)]


def _geometric(start: Decimal, stop: Decimal, factor: Decimal) -> list[float]:
    rising = stop >= start
    if start <= 0 or factor <= 0 or factor == 1 or rising != (factor > 1):
        raise ValueError(f"the range {start}:{stop}:*{factor} never reaches its end")
    numbers: list[float] = []
    number = start
    while (number <= stop) if rising else (number >= stop):
        numbers.append(float(number))
        number *= factor
        if len(numbers) > MOST_VALUES:
            raise ValueError(
                f"the range {start}:{stop}:*{factor} has more than {MOST_VALUES:,} values"
            )
    return numbers


def new_figure(value: Value, own: float) -> float:
    """Return a number, or a multiple of the fleet's own figure."""
    number = value.number or 0.0
    return own * number if value.multiple else number
