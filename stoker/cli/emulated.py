"""What to emulate, from a document or the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.profile import LinearParameters, OverlapParameters, TokenWorkParameters

if TYPE_CHECKING:
    from data.measurements import FittedProfile
    from simulator import IterationModel

_KINDS: dict[str, Callable[..., IterationModel]] = {
    "linear": LinearParameters,
    "token-work": TokenWorkParameters,
    "overlap": OverlapParameters,
}
_DEFAULT_BATCH = 256
_DEFAULT_OUTPUT = 128


def profile_to_emulate(
    path: Path | None, parameters: str | None, model: str | None, accelerator: str | None
) -> FittedProfile:
    """Return the profile of a document that is meant, or one made of given parameters.

    Args:
        path: A fleet document, or profiles as `stoker fit` writes them; None for `parameters`.
        parameters: Parameters of a service-time model as JSON, with its `kind`.
        model: The model meant; needed where a document has several.
        accelerator: The accelerator meant, likewise.

    Raises:
        InvalidInputError: There is none, there are several, or one is wrong.
    """
    from data.decode import read_document
    from data.measurements import read_profiles

    if (path is None) == (parameters is None):
        raise InvalidInputError(
            [Problem("", "cannot tell what to emulate", "PROFILE or --parameters, one of them")]
        )
    if path is None:
        return _given(str(parameters), model)
    profiles = read_profiles(read_document(path), str(path))
    found = [
        item
        for item in profiles
        if model in (None, item.model) and accelerator in (None, item.accelerator)
    ]
    if len(found) != 1:
        there = "; ".join(f"{item.model} on {item.accelerator}" for item in profiles)
        asked = " on ".join(part for part in (model, accelerator) if part)
        what = f"no profile of {asked}" if not found else f"{len(found)} profiles to choose from"
        raise InvalidInputError([Problem("--model, --accelerator", what, there, str(path))])
    return found[0]


def _given(text: str, model: str | None) -> FittedProfile:
    from data.decode import Decoded
    from data.measurements import read_profiles

    where = "--parameters"
    try:
        parameters = json.loads(text)
    except (ValueError, RecursionError) as error:
        allowed = 'such as {"kind": "token-work", "alpha_ms": 8, "beta_ms": 0.03, "gamma_ms": 3e-4}'
        raise InvalidInputError([Problem(where, f"is not JSON: {error}", allowed)]) from None
    document = {
        "profiles": [
            {
                "model": model or "emulated",
                "accelerator": "emulated",
                "max_batch": _DEFAULT_BATCH,
                "at_tokens": _DEFAULT_OUTPUT,
                "parameters": parameters,
            }
        ]
    }
    return read_profiles(Decoded(document), where)[0]


def iteration_model(profile: FittedProfile) -> IterationModel:
    """Return the service-time model of a profile."""
    if profile.curve is not None:
        return profile.curve
    return _KINDS[profile.kind](**profile.parameters)
