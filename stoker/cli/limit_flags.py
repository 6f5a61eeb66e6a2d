"""Flags of `stoker solve` over the fleet's own limits and objectives.

A plan made under them tells so in a note, from which `stoker explain` reads them back.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum

from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from stoker.domain.limits import (
    LEAST_WEIGHT,
    MOST_WEIGHT,
    Combination,
    Objective,
    ObjectiveName,
    Objectives,
    Survival,
)
from stoker.domain.settings import OptimizerSettings, SolverKind

NOTE = "asked on the command line: "
"""How the note of a plan begins that tells its flags."""


class Survived(StrEnum):
    """Losses that a plan is asked to survive, and none of them."""

    NONE = "none"
    REPLICA = "replica"
    NODE = "node"
    ZONE = "zone"


@dataclass(frozen=True, slots=True)
class LimitFlags:
    """What the command line says about limits and objectives; None where it says nothing.

    Attributes:
        budget: Largest cost per hour.
        power: Largest power of all replicas, in W.
        survive: What the plan is to survive the loss of.
        surge: Factor on every arrival rate, at least 1.
        max_changes: Largest number of servers that change.
        objective: What the plan is to be best at: ``energy,cost``, or ``cost=1,energy=0.01``.
    """

    budget: float | None = None
    power: float | None = None
    survive: Survived | None = None
    surge: float | None = None
    max_changes: int | None = None
    objective: str | None = None

    def over(self, fleet: Fleet) -> Fleet:
        """Return a fleet with what was given in place of its own.

        Raises:
            InvalidInputError: The objective cannot be read.
        """
        limits = fleet.limits
        if self.budget is not None:
            limits = replace(limits, budget_per_hour=self.budget)
        if self.power is not None:
            limits = replace(limits, power_w=self.power)
        if self.max_changes is not None:
            limits = replace(limits, max_changes=self.max_changes)
        headroom = limits.headroom
        if self.surge is not None:
            headroom = replace(headroom, surge=self.surge)
        if self.survive is not None:
            kept = None if self.survive is Survived.NONE else Survival(self.survive.value)
            headroom = replace(headroom, survive=kept)
        objectives = fleet.objectives
        if self.objective is not None:
            objectives = objectives_of(self.objective)
        return replace(fleet, limits=replace(limits, headroom=headroom), objectives=objectives)

    def refuse_beside(self, settings: OptimizerSettings) -> None:
        """Refuse flags that what is set for planning does not know.

        Raises:
            InvalidInputError: Naming each flag, and what is in its way.
        """
        if settings.unlimited:
            words, allowed = "plans without a limit of cards", "--no-unlimited, or none of these"
        elif settings.solver is SolverKind.GREEDY:
            words, allowed = "plans by the greedy method", "--solver milp, or none of these"
        elif settings.heterogeneous:
            words, allowed = "plans that mix accelerators", "--no-heterogeneous, or none of these"
        else:
            return
        problems = [Problem(option, f"is beyond {words}", allowed) for option, _ in self._given()]
        if problems:
            raise InvalidInputError(problems)

    def note(self) -> str:
        """Return the note of a plan that was made under these; empty without any."""
        words = " ".join(f"{option} {shlex.quote(value)}" for option, value in self._given())
        return f"{NOTE}{words}" if words else ""

    def _given(self) -> Iterator[tuple[str, str]]:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                text = str(value)
                text = text.removesuffix(".0") if isinstance(value, float) else text
                yield f"--{field.name.replace('_', '-')}", text


def flags_of_notes(notes: Sequence[str]) -> LimitFlags:
    """Return the flags that the notes of a plan tell; none where they tell none.

    Raises:
        InvalidInputError: A note tells what is no such flag's value.
    """
    told = [note for note in notes if note.startswith(NOTE)]
    try:
        return _flags_of([word for note in told for word in shlex.split(note.removeprefix(NOTE))])
    except ValueError as error:
        message = f'"{told[0]}" cannot be read: {error}'
        problem = Problem("notes", message, "the note of the plan as it was made")
        raise InvalidInputError([problem]) from error


def _flags_of(words: Sequence[str]) -> LimitFlags:
    """Return the flags that words tell, each option before its value.

    Raises:
        ValueError: A value is no finite number, or no word of its option.
    """
    found = dict(zip(words[::2], words[1::2], strict=False))

    def number(option: str) -> float | None:
        if option not in found:
            return None
        value = float(found[option])
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{found[option]!r} is no finite number of 0 or more")
        return value

    changes = number("--max-changes")
    survive = found.get("--survive")
    return LimitFlags(
        budget=number("--budget"),
        power=number("--power"),
        survive=None if survive is None else Survived(survive),
        surge=number("--surge"),
        max_changes=None if changes is None else int(changes),
        objective=found.get("--objective"),
    )


def objectives_of(text: str) -> Objectives:
    """Return the objectives that ``cost,energy`` (in order) or ``cost=1,energy=0.01`` means.

    Raises:
        InvalidInputError: A name is unknown or twice there, or a weight is out of range, or
            some have weights and others not.
    """
    names = tuple(item.value for item in ObjectiveName)
    terms: list[Objective] = []
    weighted: list[bool] = []
    for part in text.split(","):
        name, given, weight = part.strip().partition("=")
        if name not in names:
            raise _wrong(f'"{name}" is no objective', ", ".join(names))
        if any(term.name.value == name for term in terms):
            raise _wrong(f'"{name}" is named twice', "each once")
        terms.append(Objective(ObjectiveName(name), _weight(name, weight) if given else 1.0))
        weighted.append(bool(given))
    if any(weighted) and not all(weighted):
        missing = terms[weighted.index(False)].name.value
        message = f'"{missing}" has no weight, though another objective has one'
        raise _wrong(message, "a weight of every objective, or of none")
    combine = Combination.WEIGHTED if any(weighted) else Combination.LEXICOGRAPHIC
    return Objectives(tuple(terms), combine)


def _weight(name: str, text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not (math.isfinite(weight) and weight > 0):
        raise _wrong(f'the weight of {name}, "{text}", is no number above 0', "such as cost=1")
    if not LEAST_WEIGHT <= weight <= MOST_WEIGHT:
        allowed = f"{LEAST_WEIGHT:g} to {MOST_WEIGHT:g}"
        raise _wrong(f'the weight of {name}, "{text}", is out of range', allowed)
    return weight


def _wrong(message: str, allowed: str) -> InvalidInputError:
    return InvalidInputError([Problem("--objective", message, allowed)])
