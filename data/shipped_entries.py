"""Shipped profiles that a fleet names, put where it names them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from pydantic import Field, ValidationError

from data.catalogue import Catalogue, load_catalogue
from data.document import Document, entries, text_at
from data.fields import Name, StrictModel
from data.names import same_name
from data.problems import Finding, findings_from_validation
from data.profiles import ShippedProfile, find_shipped, shipped_profiles
from data.stoker_writing import profile_entry
from data.wording import Loc, choices, shown
from stoker.domain.errors import InvalidInputError

SHIPPED_KEY = "shipped"


class ShippedEntry(StrictModel):
    """A profile that comes with Stoker, by its name."""

    shipped: Name = Field(
        description="Model, accelerator and, where there are several, configuration, with slashes "
        "between; `stoker profile list` tells all.",
        examples=["llama-3.1-8b/h100"],
    )
    model: Name | None = Field(
        None, description="What the fleet calls the model; found by the catalogue, if left out."
    )
    accelerator: Name | None = Field(
        None, description="The entry of `accelerators`; found by the catalogue, if left out."
    )
    configuration: Name | None = Field(
        None, description="What the fleet calls the configuration; as shipped, where left out."
    )


def with_shipped(document: Document) -> tuple[Document, list[Finding]]:
    """Return a document with shipped profiles in place of their names, and what is wrong."""
    value = document.value
    named = [(loc, item) for loc, item in entries(value, "profiles") if SHIPPED_KEY in item]
    if not named or not isinstance(value, dict):
        return document, []
    expansion = _Expansion(value)
    profiles = list(value["profiles"])
    findings: list[Finding] = []
    for loc, item in named:
        try:
            profiles[int(loc[-1])] = expansion.entry(loc, item)
        except _WrongEntryError as wrong:
            findings += wrong.findings
    return replace(document, value=value | {"profiles": profiles}), findings


class _WrongEntryError(Exception):
    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__()


class _Expansion:
    """Looks shipped profiles up, in the names of one fleet."""

    def __init__(self, fleet: Mapping[str, object]) -> None:
        self._profiles: tuple[ShippedProfile, ...] = shipped_profiles()
        self._catalogue: Catalogue = load_catalogue()
        self._models = _texts(fleet, "servers", "model")
        self._accelerators = _texts(fleet, "accelerators", "name")

    def entry(self, loc: Loc, item: Mapping[str, object]) -> dict[str, object]:
        """Return the profile that an entry names, as an entry of its own."""
        try:
            named = ShippedEntry.model_validate(item)
        except ValidationError as error:
            raise _WrongEntryError(
                replace(found, loc=(*loc, *found.loc))
                for found in findings_from_validation(error, ShippedEntry)
            ) from error
        try:
            found = find_shipped(named.shipped, self._profiles, self._catalogue)
        except InvalidInputError as error:
            raise _WrongEntryError(
                Finding((*loc, SHIPPED_KEY), problem.message, problem.allowed)
                for problem in error.problems
            ) from error
        profile = found.profile
        own = [
            each for each in self._models if same_name(self._catalogue.model, each, profile.model)
        ]
        entry = profile_entry(
            replace(
                profile,
                model=named.model or (own[0] if own else profile.model),
                accelerator=named.accelerator or self._accelerator(loc, profile.accelerator),
                configuration=named.configuration or profile.configuration,
            )
        )
        entry.setdefault("accelerators_per_replica", profile.accelerators_per_replica)
        return entry

    def _accelerator(self, loc: Loc, name: str) -> str:
        own = [
            each
            for each in self._accelerators
            if same_name(self._catalogue.accelerator, each, name)
        ]
        if len(own) == 1:
            return own[0]
        told = f"{' and '.join(own)} are" if own else "no accelerator of the fleet is"
        allowed = choices(own or list(self._accelerators))
        raise _WrongEntryError(
            [Finding((*loc, "accelerator"), f"is missing, and {told} {shown(name)}", allowed)]
        )


def _texts(value: object, section: str, key: str) -> tuple[str, ...]:
    found: Iterator[str | None] = (text_at(entry, key) for _, entry in entries(value, section))
    return tuple(dict.fromkeys(text for text in found if text is not None))
