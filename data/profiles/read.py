"""Shipped profiles: reading them, and finding one by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from data.catalogue import Catalogue, load_catalogue
from data.decode import decode_yaml
from data.names import same_name
from data.profile_document.reading import parse_profile_document
from data.profile_document.values import ProfileDocument, ProfileFit
from data.wording import choices, nearest, shown
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.profile import EstimateKind, ModelProfile

_PACKAGE = "data.profiles"
_KINDS = tuple(EstimateKind)


@dataclass(frozen=True, slots=True)
class ShippedProfile:
    """A profile that comes with Stoker.

    Attributes:
        profile: The profile, under the names of the catalogue.
        fit: The fit behind it; None where there is none.
        document: The document that it stands in.
        file: Name of its file.
    """

    profile: ModelProfile
    fit: ProfileFit | None
    document: ProfileDocument
    file: str

    @property
    def name(self) -> str:
        """Its name: model, accelerator and configuration, such as ``llama-3.1-8b/h100/vllm``."""
        item = self.profile
        parts = (item.model, item.accelerator, item.configuration)
        return "/".join(part.casefold() for part in parts if part)


def shipped_profiles() -> tuple[ShippedProfile, ...]:
    """Return every shipped profile: by model and accelerator, the most trustworthy first.

    Raises:
        InvalidInputError: A file breaks its schema: the installation is damaged.
    """
    found: list[ShippedProfile] = []
    for file in sorted(files(_PACKAGE).iterdir(), key=lambda item: item.name):
        if not file.name.endswith(".yaml"):
            continue
        name = f"shipped profiles {file.name}"
        document = parse_profile_document(decode_yaml(file.read_text("utf-8"), name), name)
        found += [
            ShippedProfile(profile, document.fit_of(index), document, file.name)
            for index, profile in enumerate(document.profiles)
        ]
    return tuple(sorted(found, key=_order))


def _order(item: ShippedProfile) -> tuple[str, str, int, int, int, str]:
    profile = item.profile
    kind = _KINDS.index(profile.provenance.kind)
    return (
        profile.model.casefold(),
        profile.accelerator.casefold(),
        kind,
        profile.accelerators_per_replica,
        0 if item.fit is None else -item.fit.points,
        profile.configuration,
    )


def find_shipped(
    name: str,
    profiles: Sequence[ShippedProfile] | None = None,
    catalogue: Catalogue | None = None,
) -> ShippedProfile:
    """Return the shipped profile of that name.

    Args:
        name: ``MODEL/ACCELERATOR`` or ``MODEL/ACCELERATOR/CONFIGURATION``, each by any name that
            the catalogue knows, in any case. Without a configuration the most trustworthy kind is
            taken, of those on the fewest accelerators, the one fitted to the most points.
        profiles: Those to look among; None for all.
        catalogue: Names of models and accelerators; None for the one that comes with Stoker.

    Raises:
        InvalidInputError: There is none, with those that are nearest.
    """
    known = shipped_profiles() if profiles is None else profiles
    names = load_catalogue() if catalogue is None else catalogue
    for model, accelerator, configuration in _readings(name.split("/")):
        found = [
            item
            for item in known
            if same_name(names.model, model, item.profile.model)
            and same_name(names.accelerator, accelerator, item.profile.accelerator)
            and configuration in (None, item.profile.configuration.casefold())
        ]
        if found:
            return found[0]
    raise InvalidInputError([_no_such_profile(name, known)])


def _readings(parts: Sequence[str]) -> list[tuple[str, str, str | None]]:
    """Return what parts between slashes may mean; names of models may hold a slash themselves."""
    readings: list[tuple[str, str, str | None]] = []
    if len(parts) >= 2:
        readings.append(("/".join(parts[:-1]), parts[-1], None))
    if len(parts) >= 3:
        readings.append(("/".join(parts[:-2]), parts[-2], parts[-1].casefold()))
    return readings


def _no_such_profile(name: str, known: Sequence[ShippedProfile]) -> Problem:
    names = [item.name for item in known]
    near = nearest(name, names)
    hint = f"; did you mean {shown(near)}?" if near else ""
    of_model = [each for each in names if each.split("/")[0] == name.split("/")[0].casefold()]
    message = f"no shipped profile is called {shown(name)}{hint}"
    return Problem("", message, choices(of_model or names))
