"""What to plan with in place of the fleet's own: profiles, their least kind, predictions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from stoker.cli.output import show_notes

if TYPE_CHECKING:
    from stoker.domain.candidate import CandidateEstimate
    from stoker.domain.fleet import Fleet
    from stoker.domain.profile import EstimateKind


@dataclass(frozen=True, slots=True)
class Instead:
    """What the command line puts in place of what the fleet says.

    Attributes:
        candidates: File of somebody else's predictions; None for Stoker's own.
        profiles: Files of profiles, or names of shipped ones.
        minimum_kind: Least kind of profile to plan with; None for the fleet's own word.
    """

    candidates: Path | None = None
    profiles: tuple[str, ...] = ()
    minimum_kind: EstimateKind | None = None


def on_given_profiles(fleet: Fleet, instead: Instead) -> Fleet:
    """Return a fleet with the profiles and the least kind that the command line gives.

    Raises:
        InvalidInputError: A file is none of profiles, or a name is of no shipped one.
    """
    if instead.candidates is not None and (instead.profiles or instead.minimum_kind):
        show_notes(["--profiles and --minimum-kind have no effect with --candidates"])
        return fleet
    if instead.minimum_kind is not None:
        fleet = replace(fleet, rules=replace(fleet.rules, minimum_kind=instead.minimum_kind))
    if not instead.profiles:
        return fleet
    from data.given_profiles import with_profiles
    from stoker.cli.profile_sources import read_source

    given = [profile for source in instead.profiles for profile in read_source(source).profiles]
    fleet, notes = with_profiles(fleet, given)
    show_notes(notes)
    return fleet


def candidates_of(instead: Instead) -> tuple[CandidateEstimate, ...] | None:
    """Return the predictions of the file that the command line gives; None without one.

    Raises:
        InvalidInputError: The file is none of predictions.
    """
    if instead.candidates is None:
        return None
    from data.candidates_file import read_candidates

    return tuple(read_candidates(instead.candidates))
