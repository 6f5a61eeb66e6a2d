"""The replicas that a fleet offers for a trace."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from stoker.domain.profile import all_zero
from studies.traces.replica import ReplicaOption


def replica_options(
    fleet: Fleet,
    output_tokens: float,
    *,
    models: Sequence[str] = (),
    accelerators: Sequence[str] = (),
    max_batch: int | None = None,
) -> tuple[ReplicaOption, ...]:
    """Return a replica for each profile of the models and accelerators asked for.

    The batch limit is that of the profile where the size of the KV memory is told, which then
    bounds the batch as well; else the memory that it was measured with is shared out to requests
    of the length at hand. Replicas of several engines are left out.

    Args:
        fleet: Models, accelerators, profiles and prices.
        output_tokens: Mean output tokens of a request.
        models: Names of models; all for none.
        accelerators: Names of accelerators; all with a profile for none.
        max_batch: Batch limit in place of those of the profiles.

    Raises:
        InvalidInputError: A name is not known, or nothing is left.
    """
    profiles = [
        each for each in fleet.profiles if each.engines == 1 and not all_zero(each.parameters)
    ]
    problems = [
        *_unknown("--model", models, {each.model for each in profiles}),
        *_unknown("--accelerator", accelerators, {each.accelerator for each in profiles}),
    ]
    if problems:
        raise InvalidInputError(problems)
    by_name = {each.name: each for each in fleet.accelerators}
    found = tuple(
        ReplicaOption(
            each,
            by_name[each.accelerator],
            max_batch
            or (each.max_batch if each.kv_tokens is not None else each.batch_limit(output_tokens)),
        )
        for each in profiles
        if each.accelerator in by_name
        and (not models or each.model in models)
        and (not accelerators or each.accelerator in accelerators)
    )
    if not found:
        message = "no profile is left of the models and accelerators asked for"
        raise InvalidInputError([Problem("--fleet", message, "a fleet with profiles of them")])
    order = {name: place for place, name in enumerate(dict.fromkeys(models))}
    return tuple(sorted(found, key=lambda item: order.get(item.profile.model, 0)))


def _unknown(option: str, asked: Sequence[str], known: set[str]) -> list[Problem]:
    allowed = ", ".join(sorted(known)) or "none has a profile"
    return [
        Problem(option, f'no profile is of "{name}"', allowed)
        for name in asked
        if name not in known
    ]
