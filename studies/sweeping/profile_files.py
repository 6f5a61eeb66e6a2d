"""The documents of profiles that a sweep plans with in turn, read once before it begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from data.given_profiles import with_profiles
from data.profile_document import read_profile_document
from data.profiles import find_shipped
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from stoker.domain.profile import ModelProfile
from studies.sweeping.parameters import Parameter
from studies.sweeping.server_changes import OWN, ProfileChange
from studies.sweeping.values import Value


def with_files(
    fleet: Fleet, parameter: Parameter, values: Sequence[Value], problems: list[Problem]
) -> Parameter:
    """Return a parameter that knows the profiles its values name; others as they are.

    Args:
        fleet: The fleet.
        parameter: The parameter.
        values: Its values: paths of documents, names of shipped profiles, or ``own``.
        problems: What is wrong with them is added here.
    """
    change = parameter.change
    if not isinstance(change, ProfileChange):
        return parameter
    given = dict(change.given)
    for word in (value.word for value in values):
        if word == OWN or word in given:
            continue
        try:
            read = _profiles(word)
            # Of a fleet without profiles, those that it has then are the ones that it can use.
            fitted, unused = with_profiles(replace(fleet, profiles=()), read)
        except InvalidInputError as error:
            problems += error.problems
            continue
        given[word] = fitted.profiles
        if not fitted.profiles:
            why = f": {unused[0]}" if unused else ""
            message = f"the fleet has no use for {word}{why}"
            allowed = "profiles of its models on its accelerators"
            problems.append(Problem(parameter.name, message, allowed))
    return replace(parameter, change=ProfileChange(given))


def _profiles(word: str) -> tuple[ModelProfile, ...]:
    path = Path(word)
    if path.exists():
        return tuple(read_profile_document(path).profiles)
    if "/" not in word or path.suffix in (".yaml", ".yml", ".json"):
        allowed = f"a file, a shipped profile, or {OWN}"
        raise InvalidInputError([Problem("profile", f"there is no file {word!r}", allowed)])
    return (find_shipped(word).profile,)
