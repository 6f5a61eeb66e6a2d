"""Profiles given beside a fleet, in place of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from data.catalogue import Catalogue, load_catalogue
from data.names import same_name
from stoker.domain.accelerator import Accelerator
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from stoker.domain.profile import ModelProfile
from stoker.domain.serving import configured_name


def with_profiles(
    fleet: Fleet, given: Sequence[ModelProfile], catalogue: Catalogue | None = None
) -> tuple[Fleet, tuple[str, ...]]:
    """Return a fleet with profiles in place of its own of the same model and accelerator.

    Models and accelerators are matched by name or, through the catalogue, by any of their names; a
    profile on four cards also fits an accelerator that is a unit of four or two of them. A profile
    that fits several accelerators of the fleet is planned with on each.

    Args:
        fleet: The fleet.
        given: The profiles.
        catalogue: Names of models and accelerators; None for the one that comes with Stoker.

    Returns:
        The fleet, and a remark on each profile that it has no use for.

    Raises:
        InvalidInputError: Two of them are in the same configuration of a model on an accelerator.
    """
    names = load_catalogue() if catalogue is None else catalogue
    models = dict.fromkeys(
        [*(item.model for item in fleet.servers), *(item.model for item in fleet.profiles)]
    )
    fitted: dict[tuple[str, str, str], ModelProfile] = {}
    notes: list[str] = []
    twice: list[Problem] = []
    for profile in given:
        own_models = _models(models, profile.model, names)
        placed = list(_placed(fleet.accelerators, profile, names))
        if not own_models or not placed:
            notes.append(_useless(profile, missing_model=not own_models))
        for model in own_models:
            for item in placed:
                key = (model, item.accelerator, item.configuration)
                if key in fitted:
                    where = configured_name(item.accelerator, item.configuration)
                    message = f"two profiles of {model} on {where} are given"
                    twice.append(Problem("--profiles", message, "one of each configuration"))
                fitted[key] = replace(item, model=model)
    if twice:
        raise InvalidInputError(twice)
    replaced = {(model, accelerator) for model, accelerator, _ in fitted}
    kept = [item for item in fleet.profiles if (item.model, item.accelerator) not in replaced]
    return replace(fleet, profiles=(*kept, *fitted.values())), tuple(notes)


def _models(own: Iterable[str], name: str, catalogue: Catalogue) -> list[str]:
    """Return the fleet's names of a model: its very name, or all that mean it."""
    own = list(own)
    return [name] if name in own else [n for n in own if same_name(catalogue.model, n, name)]


def _placed(
    accelerators: Sequence[Accelerator], profile: ModelProfile, catalogue: Catalogue
) -> Iterable[ModelProfile]:
    """Yield a profile on each accelerator of the fleet that it is of."""
    exact = [item for item in accelerators if item.name == profile.accelerator]
    if exact:
        yield profile
        return
    cards = profile.accelerators_per_replica
    for item in accelerators:
        named = item.cards == 1 and same_name(catalogue.accelerator, item.name, profile.accelerator)
        typed = same_name(catalogue.accelerator, item.card_type, profile.accelerator)
        if item.slice is None and (named or (typed and cards % item.cards == 0)):
            units = cards if named else cards // item.cards
            yield replace(profile, accelerator=item.name, accelerators_per_replica=units)


def _useless(profile: ModelProfile, *, missing_model: bool) -> str:
    what = f"the profile of {profile.model} on {profile.accelerator} is not used"
    if missing_model:
        return f"{what}: no server of the fleet serves that model"
    return f"{what}: the fleet has no such accelerator"
