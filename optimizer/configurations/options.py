"""Options: every profile of a model on an accelerator, and every way of serving with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stoker.domain.profile import ModelProfile

_IntArray = npt.NDArray[np.int64]
_BoolArray = npt.NDArray[np.bool_]

NO_PROFILE = -1
"""Profile of the one option of a model on an accelerator that it has no profile on."""


@dataclass(frozen=True, slots=True)
class PairOptions:
    """Options of every model on every accelerator, at least one of each.

    Attributes:
        start: Options of model m on accelerator a of A are
            ``start[m * A + a]:start[m * A + a + 1]``, shape (models * A + 1,).
        accelerator: Index of the accelerator, shape (options,).
        profile: Index of the profile, or `NO_PROFILE`, shape (options,).
        disaggregated: Whether the profile's replicas decode for a prefill pool, shape (options,).
    """

    start: _IntArray
    accelerator: _IntArray
    profile: _IntArray
    disaggregated: _BoolArray


def pair_options(
    profiles: Sequence[ModelProfile],
    model: _IntArray,
    accelerator: _IntArray,
    models: int,
    accelerators: int,
) -> PairOptions:
    """Return the options of all pairs, in the order of the profiles.

    Args:
        profiles: The profiles.
        model: Index of the model of each.
        accelerator: Index of the accelerator of each, negative where the fleet has none such.
        models: Number of models.
        accelerators: Number of accelerators.
    """
    index = np.flatnonzero(accelerator >= 0)
    apart = np.array([item.disaggregated is not None for item in profiles], dtype=np.bool_)
    index = np.concatenate([index, index[apart[index]]])
    split = np.arange(len(index)) >= np.count_nonzero(accelerator >= 0)
    pair = model[index] * accelerators + accelerator[index]
    missing = np.setdiff1d(np.arange(models * accelerators), pair)
    pair = np.concatenate([pair, missing])
    index = np.concatenate([index, np.full(len(missing), NO_PROFILE)])
    split = np.concatenate([split, np.zeros(len(missing), dtype=np.bool_)])
    order = np.lexsort((split, index, pair))
    start = np.searchsorted(pair[order], np.arange(models * accelerators + 1))
    return PairOptions(
        start=start.astype(np.int64),
        accelerator=(pair[order] % max(accelerators, 1)).astype(np.int64),
        profile=index[order].astype(np.int64),
        disaggregated=split[order],
    )


def prefill_profiles(profiles: Sequence[ModelProfile]) -> _IntArray:
    """Return the index of the profile of each profile's prefill replicas; `NO_PROFILE` without."""
    named = {
        (item.model, item.accelerator, item.configuration): index
        for index, item in enumerate(profiles)
    }
    found = []
    for item in profiles:
        if item.disaggregated is None:
            found.append(NO_PROFILE)
            continue
        name = item.disaggregated.prefill_configuration
        own = item.configuration if name is None else name
        found.append(named.get((item.model, item.accelerator, own), NO_PROFILE))
    return np.array(found, dtype=np.int64)
