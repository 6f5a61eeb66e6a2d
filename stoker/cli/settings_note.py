"""The note of a plan that tells how `stoker solve` was asked to plan, where a plan does not tell.

A plan tells its method, its analysis and its cards. What else the command line puts in place of
the fleet's own settings, its profiles or its predictions stands in a note, from which
`stoker explain` reads it back.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from stoker.cli.given_profiles import Instead
from stoker.cli.settings import SolveFlags, may_mix
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from stoker.domain.profile import EstimateKind
from stoker.domain.settings import OptimizerSettings, SaturationPolicy

NOTE = "planned with "
"""How the note begins."""

_POLICY = "--saturation-policy"
_GAP = "--gap"
_KIND = "--minimum-kind"
_PROFILES = "--profiles"
_CANDIDATES = "--candidates"
_VALUED = (_POLICY, _GAP, _KIND, _PROFILES, _CANDIDATES)
_SWITCHES = {
    "heterogeneous": "heterogeneous",
    "placement": "placement",
    "delayed-best-effort": "delayed_best_effort",
}


@dataclass(frozen=True, slots=True)
class AskedSettings:
    """What a note tells; None where it says nothing.

    Attributes:
        heterogeneous: Whether servers may mix accelerators.
        placement: Whether every replica must have a place on the nodes.
        delayed_best_effort: Whether best effort comes after all priorities.
        saturation_policy: Who gets the cards left over.
        relative_gap: Gap at which a plan counts as optimal.
        instead: What stands in place of the fleet's own profiles and of Stoker's predictions.
    """

    heterogeneous: bool | None = None
    placement: bool | None = None
    delayed_best_effort: bool | None = None
    saturation_policy: SaturationPolicy | None = None
    relative_gap: float | None = None
    instead: Instead = field(default_factory=Instead)

    def over(self, fleet: Fleet) -> Fleet:
        """Return a fleet with these settings in place of its own; profiles are not read."""
        given = {
            item.name: value
            for item in fields(self)
            if item.name != "instead" and (value := getattr(self, item.name)) is not None
        }
        return replace(fleet, settings=replace(fleet.settings, **given))


def note_of(
    flags: SolveFlags, instead: Instead, chosen: OptimizerSettings, own: OptimizerSettings
) -> str:
    """Return the note; empty where everything is as the fleet says, or as its plan tells.

    Args:
        flags: What the command line says about planning.
        instead: What it puts in place of profiles and predictions.
        chosen: The settings that the plan was made with.
        own: The fleet's own.
    """
    words = [*_settings_words(flags, chosen, own), *_instead_words(instead)]
    return f"{NOTE}{shlex.join(words)}" if words else ""


def asked_settings(notes: Sequence[str]) -> AskedSettings:
    """Return what the notes of a plan tell; nothing where they tell nothing.

    Raises:
        InvalidInputError: A note tells what is no such option, or no value of it.
    """
    told = [note for note in notes if note.startswith(f"{NOTE}--")]
    try:
        return _asked([word for note in told for word in shlex.split(note.removeprefix(NOTE))])
    except ValueError as error:
        message = f'"{told[0]}" cannot be read: {error}'
        problem = Problem("notes", message, "the note of the plan as it was made")
        raise InvalidInputError([problem]) from error


def _settings_words(
    flags: SolveFlags, chosen: OptimizerSettings, own: OptimizerSettings
) -> Iterator[str]:
    """Yield the options that make a difference to how the fleet would be planned."""
    if chosen.unlimited:
        return
    for option, name in _SWITCHES.items():
        given = getattr(flags, name)
        heeded = name != "heterogeneous" or not given or may_mix(chosen)
        if given is not None and given != getattr(own, name) and heeded:
            yield f"--{option}" if given else f"--no-{option}"
    if flags.saturation_policy not in (None, own.saturation_policy):
        yield from (_POLICY, chosen.saturation_policy.value)
    if flags.relative_gap not in (None, own.relative_gap):
        yield from (_GAP, repr(flags.relative_gap))


def _instead_words(instead: Instead) -> Iterator[str]:
    if instead.candidates is not None:
        yield from (_CANDIDATES, str(instead.candidates))
        return
    for source in instead.profiles:
        yield from (_PROFILES, source)
    if instead.minimum_kind is not None:
        yield from (_KIND, instead.minimum_kind.value)


def _asked(words: Sequence[str]) -> AskedSettings:
    """Return what options and their values ask for.

    Raises:
        ValueError: A word is no option, or a value is none of it.
    """
    switches: dict[str, bool] = {}
    valued: dict[str, list[str]] = {option: [] for option in _VALUED}
    left = iter(words)
    for word in left:
        name = word.removeprefix("--").removeprefix("no-")
        if word in valued:
            valued[word].append(next(left, ""))
        elif word.startswith("--") and name in _SWITCHES:
            switches[_SWITCHES[name]] = not word.startswith("--no-")
        else:
            raise ValueError(f"{word!r} is no such option")
    policy, gap, kind, candidates = (
        next(iter(valued[option]), None) for option in (_POLICY, _GAP, _KIND, _CANDIDATES)
    )
    return AskedSettings(
        **switches,
        saturation_policy=None if policy is None else SaturationPolicy(policy),
        relative_gap=None if gap is None else float(gap),
        instead=Instead(
            candidates=None if candidates is None else Path(candidates),
            profiles=tuple(valued[_PROFILES]),
            minimum_kind=None if kind is None else EstimateKind(kind),
        ),
    )
