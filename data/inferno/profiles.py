"""Model data of Inferno as profiles, and profiles as model data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from data.inferno.from_fleet import model_of_profile
from data.inferno.reading import parse_one, parse_system
from data.inferno.schema import InfernoModels, to_json
from data.inferno.to_fleet import profile_of_model
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.profile import EstimateKind, ModelProfile, Provenance


def is_model_data(document: object) -> bool:
    """Return whether a decoded document holds model data: a file of them, or a whole system."""
    if not isinstance(document, dict):
        return False
    keys = {str(key).casefold() for key in document}
    return bool(keys & {"models", "system"})


def profiles_from_models(document: object, file: str = "") -> tuple[ModelProfile, ...]:
    """Return the profiles of a file of model data, or of a whole system.

    Raises:
        InvalidInputError: Every problem of the document; or a batch limit or its tokens are 0.
    """
    assert isinstance(document, dict)  # told by `is_model_data`
    if any(str(key).casefold() == "system" for key in document):
        models = parse_system(document, file).model_data.models
    else:
        models = parse_one(InfernoModels, document, file).models
    problems = [
        Problem(f"models[{index}].{name}", "is missing", "a whole number, at least 1", file)
        for index, item in enumerate(models)
        for name, value in (("maxBatchSize", item.max_batch_size), ("atTokens", item.at_tokens))
        if not value
    ]
    if problems:
        raise InvalidInputError(problems)
    origin = Provenance(EstimateKind.DECLARED, f"Inferno model data {file}".strip())
    return tuple(replace(profile_of_model(item), provenance=origin) for item in models)


def models_from_profiles(profiles: Iterable[ModelProfile]) -> dict[str, object]:
    """Return profiles as the content of ``model-data.json``.

    Raises:
        InvalidInputError: The format has no form for the parameters of one of them.
    """
    return to_json(InfernoModels(models=[model_of_profile(item) for item in profiles]))
