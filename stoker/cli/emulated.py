"""What to emulate, from a document or the command line."""

from __future__ import annotations

import json
from collections.abc import Callable

from stoker.cli.profile_sources import read_source
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.profile import (
    LinearParameters,
    ModelProfile,
    OverlapParameters,
    ServiceParameters,
    TokenWorkParameters,
)

_KINDS: dict[str, Callable[..., ServiceParameters]] = {
    "linear": LinearParameters,
    "token-work": TokenWorkParameters,
    "overlap": OverlapParameters,
}
_DEFAULT_BATCH = 256
_DEFAULT_OUTPUT = 128


def profile_to_emulate(
    source: str | None, parameters: str | None, model: str | None, accelerator: str | None
) -> ModelProfile:
    """Return the profile of a document that is meant, or one made of given parameters.

    Args:
        source: A file with profiles (a fleet, or what `stoker fit` and its like write), or the
            name of a shipped profile; None for `parameters`.
        parameters: Parameters of a service-time model as JSON, with its `kind`.
        model: The model meant; needed where a document has several.
        accelerator: The accelerator meant, likewise.

    Raises:
        InvalidInputError: There is none, there are several, or one is wrong.
    """
    if (source is None) == (parameters is None):
        raise InvalidInputError(
            [Problem("", "cannot tell what to emulate", "PROFILE or --parameters, one of them")]
        )
    if source is None:
        return _given(str(parameters), model)
    profiles = read_source(source).profiles
    found = [
        item
        for item in profiles
        if model in (None, item.model) and accelerator in (None, item.accelerator)
    ]
    if len(found) != 1:
        there = "; ".join(f"{item.model} on {item.accelerator}" for item in profiles)
        asked = " on ".join(part for part in (model, accelerator) if part)
        what = f"no profile of {asked}" if not found else f"{len(found)} profiles to choose from"
        raise InvalidInputError([Problem("--model, --accelerator", what, there, source)])
    return found[0]


def _given(text: str, model: str | None) -> ModelProfile:
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
    read = read_profiles(Decoded(document), where)[0]
    times = read.curve or _KINDS[read.kind](**read.parameters)
    return ModelProfile(read.model, read.accelerator, 1, read.max_batch, read.at_tokens, times)
