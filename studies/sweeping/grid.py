"""The points of a sweep: a full grid, lists in step, or points somebody lists."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from studies.sweeping.crossed_bounds import crossed_bounds
from studies.sweeping.parameters import Parameter, UnknownParameterError, bind
from studies.sweeping.profile_files import with_files
from studies.sweeping.values import GRAMMAR, Value, parse_values

MOST_POINTS = 100_000
"""Largest number of points of a sweep."""


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a sweep.

    Attributes:
        index: Its place in the sweep, from 0.
        values: A value for each parameter, in their order.
    """

    index: int
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Study:
    """A fleet and the points to plan it at.

    Attributes:
        fleet: The fleet as it was read; its own settings say how to plan.
        parameters: What varies, in the order in which it is applied.
        points: The points.
    """

    fleet: Fleet
    parameters: tuple[Parameter, ...]
    points: tuple[Point, ...]

    def at(self, point: Point) -> Fleet:
        """Return the fleet of a point: one parameter after the other applied."""
        fleet = self.fleet
        for parameter, value in zip(self.parameters, point.values, strict=True):
            fleet = parameter.apply(fleet, value)
        return fleet

    def without_points(self) -> Study:
        """Return the study to send to whoever is handed points beside it."""
        return replace(self, points=())


def grid_study(fleet: Fleet, varied: Sequence[str], *, in_step: bool = False) -> Study:
    """Return the study of ``NAME=VALUES`` texts.

    Args:
        fleet: The fleet.
        varied: What varies, e.g. ``load=0.5:2:0.25``; the last one changes fastest.
        in_step: Whether the lists go in step, instead of every value with every other.

    Raises:
        InvalidInputError: Everything that is wrong with the texts.
    """
    problems: list[Problem] = []
    parameters: list[Parameter] = []
    lists: list[tuple[Value, ...]] = []
    for text in varied:
        name, equals, values = text.rpartition("=")
        if not equals or not name:
            problem = Problem(
                "--vary", f"{text!r} is not NAME=VALUES", "for example load=0.5:2:0.25"
            )
            problems.append(problem)
            continue
        found = _parameter(fleet, name.strip(), problems)
        listed = _values(name.strip(), values, problems)
        if found is not None:
            accepted = _accepted(found, listed, problems)
            parameters.append(with_files(fleet, found, accepted, problems))
            lists.append(accepted)
    problems += _repeated([parameter.name for parameter in parameters])
    if in_step and len({len(values) for values in lists}) > 1:
        counts = ", ".join(
            f"{parameter.name} has {len(values)}"
            for parameter, values in zip(parameters, lists, strict=True)
        )
        problems.append(Problem("--zip", f"lists in step differ in length: {counts}", "one length"))
    if problems:
        raise InvalidInputError(problems)
    if not in_step:
        _refuse_too_many(math.prod(len(values) for values in lists))
    combined = tuple(zip(*lists, strict=True) if in_step else product(*lists))
    if crossed := crossed_bounds(fleet, parameters, combined):
        raise InvalidInputError(crossed)
    points = tuple(Point(index, tuple(values)) for index, values in enumerate(combined))
    return Study(fleet, tuple(parameters), points)


def listed_study(fleet: Fleet, rows: Sequence[Mapping[str, str]], file: str = "") -> Study:
    """Return the study of points listed by somebody.

    Args:
        fleet: The fleet.
        rows: The points: text of a value by name of the parameter, the same names in each.
        file: Where they stand.

    Raises:
        InvalidInputError: Everything that is wrong with them.
    """
    if not rows or not rows[0]:
        raise InvalidInputError([Problem("", "holds no points", "at least one", file)])
    _refuse_too_many(len(rows))
    problems: list[Problem] = []
    names = list(rows[0])
    bound = [_parameter(fleet, name, problems) for name in names]
    parameters = [parameter for parameter in bound if parameter is not None]
    points: list[Point] = []
    for index, row in enumerate(rows):
        if list(row) != names:
            message = f"has the parameters {', '.join(row) or '(none)'}"
            problems.append(Problem(f"point {index + 1}", message, ", ".join(names)))
            continue
        values: list[Value] = []
        for parameter in parameters:
            path = f"point {index + 1}.{parameter.name}"
            read = _values(path, row[parameter.name], problems)
            if len(read) > 1:
                problems.append(Problem(path, f"{row[parameter.name]!r} is a list", "one value"))
            values += _accepted(parameter, read, problems, path)
        points.append(Point(index, tuple(values)))
    parameters = [
        with_files(fleet, parameter, [point.values[column] for point in points], problems)
        for column, parameter in enumerate(parameters)
        if not problems
    ]
    if not problems:
        problems = crossed_bounds(fleet, parameters, [point.values for point in points])
    if problems:
        raise InvalidInputError(
            [Problem(item.path, item.message, item.allowed, file) for item in problems]
        )
    return Study(fleet, tuple(parameters), tuple(points))


def _parameter(fleet: Fleet, name: str, problems: list[Problem]) -> Parameter | None:
    try:
        return bind(fleet, name)
    except UnknownParameterError as error:
        problems.append(error.problem)
        return None


def _values(path: str, text: str, problems: list[Problem]) -> tuple[Value, ...]:
    try:
        return parse_values(text)
    except ValueError as error:
        problems.append(Problem(path, str(error), GRAMMAR))
        return ()


def _accepted(
    parameter: Parameter, values: Sequence[Value], problems: list[Problem], path: str = ""
) -> tuple[Value, ...]:
    accepted: list[Value] = []
    for value in values:
        try:
            accepted.append(parameter.accepted(value))
        except ValueError as error:
            problems.append(Problem(path or parameter.name, str(error), str(parameter.domain)))
    return tuple(accepted)


def _repeated(names: Sequence[str]) -> list[Problem]:
    twice = dict.fromkeys(name for name in names if names.count(name) > 1)
    return [Problem(name, "is varied twice", "once each") for name in twice]


def _refuse_too_many(count: int) -> None:
    if count > MOST_POINTS:
        message = f"the sweep has {count:,} points"
        raise InvalidInputError([Problem("--vary", message, f"at most {MOST_POINTS:,}")])
