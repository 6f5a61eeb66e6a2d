"""Profiles as `stoker fit` writes them, from a document of their own or a fleet.

They are entries of `profiles` in Stoker's fleet format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, ValidationError

from data.curve_fields import CurveEntry
from data.decode import Decoded
from data.problems import problems_from_validation
from data.stoker_schema import ProfileEntry
from data.stoker_writing import curve_document, number
from stoker.domain.curve import IterationTable
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.profile import (
    DEFAULT_TOKEN_BUDGET,
    EstimateKind,
    Provenance,
)

_ALLOWED = "a mapping with a list of profiles, as in a fleet document"


@dataclass(frozen=True, slots=True)
class FittedProfile:
    """A profile whose parameters are told by name, whatever its model.

    Attributes:
        model: Name of the model.
        accelerator: Name of the accelerator.
        accelerators_per_replica: Accelerators that one replica takes.
        max_batch: Largest number of requests in service.
        at_tokens: Output tokens per request at which `max_batch` holds.
        kind: Name of the service-time model.
        parameters: Its parameters by name; empty for a `curve`.
        provenance: Where they come from.
        kv_tokens: Tokens that the KV memory of a replica holds; None where unknown.
        token_budget: Tokens that one iteration computes at most.
        curve: The table of a `curve`.
    """

    model: str
    accelerator: str
    accelerators_per_replica: int
    max_batch: int
    at_tokens: int
    kind: str
    parameters: Mapping[str, float]
    provenance: Provenance = field(default_factory=Provenance)
    kv_tokens: int | None = None
    token_budget: int = DEFAULT_TOKEN_BUDGET
    curve: IterationTable | None = None


class _Document(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    profiles: list[ProfileEntry]


def read_profiles(decoded: Decoded, file: str) -> tuple[FittedProfile, ...]:
    """Return the profiles of a decoded document.

    Everything else in it is passed over: a fleet document serves as well as the profiles that
    `stoker fit` and `stoker estimate` write.

    Raises:
        InvalidInputError: There are none, or one of them is wrong.
    """
    document = decoded.value
    if not isinstance(document, dict) or not document.get("profiles"):
        raise InvalidInputError([Problem("profiles", "is missing", _ALLOWED, file)])
    try:
        entry = _Document.model_validate(document)
    except ValidationError as error:
        raise InvalidInputError(problems_from_validation(error, file, "", _Document)) from error
    return tuple(_fitted(item) for item in entry.profiles)


def _fitted(entry: ProfileEntry) -> FittedProfile:
    origin = entry.provenance
    table = entry.parameters.to_domain() if isinstance(entry.parameters, CurveEntry) else None
    parameters = {} if table is not None else entry.parameters.model_dump(exclude={"kind"})
    return FittedProfile(
        model=entry.model,
        accelerator=entry.accelerator,
        accelerators_per_replica=entry.accelerators_per_replica or 1,
        max_batch=entry.max_batch,
        at_tokens=entry.at_tokens,
        kind=entry.parameters.kind,
        parameters=parameters,
        provenance=Provenance(EstimateKind(origin.kind), origin.source) if origin else Provenance(),
        kv_tokens=entry.kv_tokens,
        token_budget=entry.token_budget,
        curve=table,
    )


def profile_document(profiles: Sequence[FittedProfile]) -> dict[str, object]:
    """Return fitted profiles as a document; values at their defaults are left out."""
    return {"profiles": [_entry(item) for item in profiles]}


def _entry(item: FittedProfile) -> dict[str, object]:
    units = item.accelerators_per_replica
    entry: dict[str, object] = {"model": item.model, "accelerator": item.accelerator}
    if units != 1:
        entry["accelerators_per_replica"] = units
    entry |= {
        "max_batch": item.max_batch,
        "at_tokens": item.at_tokens,
        "parameters": {"kind": item.kind} | _parameters(item),
        "provenance": {"kind": item.provenance.kind.value, "source": item.provenance.source},
    }
    if item.kv_tokens is not None:
        entry["kv_tokens"] = item.kv_tokens
    if item.token_budget != DEFAULT_TOKEN_BUDGET:
        entry["token_budget"] = item.token_budget
    return entry


def _parameters(item: FittedProfile) -> dict[str, object]:
    if item.curve is not None:
        return curve_document(item.curve)
    return {name: number(value) for name, value in item.parameters.items()}
