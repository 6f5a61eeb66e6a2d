"""Profiles with their parameters by name, from any document that has some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from pydantic import BaseModel, ConfigDict, ValidationError

from data.decode import Decoded
from data.problems import problems_from_validation
from data.stoker_reading import profile_from_entry
from data.stoker_schema import ProfileEntry
from stoker.domain.curve import IterationTable
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.profile import (
    DEFAULT_TOKEN_BUDGET,
    LinearParameters,
    ModelProfile,
    OverlapParameters,
    Provenance,
    TokenWorkParameters,
)

_ALLOWED = "a mapping with a list of profiles, as in a fleet document"


_KINDS: Mapping[type, str] = {
    LinearParameters: "linear",
    TokenWorkParameters: "token-work",
    OverlapParameters: "overlap",
    IterationTable: "curve",
}


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

    @classmethod
    def of(cls, profile: ModelProfile) -> FittedProfile:
        """Return a profile of the domain with its parameters by name."""
        parameters = profile.parameters
        table = parameters if isinstance(parameters, IterationTable) else None
        return cls(
            model=profile.model,
            accelerator=profile.accelerator,
            accelerators_per_replica=profile.accelerators_per_replica,
            max_batch=profile.max_batch,
            at_tokens=profile.at_tokens,
            kind=_KINDS[type(parameters)],
            parameters={} if table is not None else asdict(parameters),
            provenance=profile.provenance,
            kv_tokens=profile.kv_tokens,
            token_budget=profile.token_budget,
            curve=table,
        )


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
    return FittedProfile.of(profile_from_entry(entry, {}))
