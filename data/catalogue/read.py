"""Reading the catalogue's files and looking records up by any of their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from importlib.resources import files
from typing import Protocol, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from data.catalogue.schema import AcceleratorsFile, ModelsFile
from data.problems import problems_from_validation
from stoker.domain.architecture import ModelArchitecture
from stoker.domain.catalogue import AcceleratorSpec
from stoker.domain.errors import InvalidInputError, Problem, StokerError

_PACKAGE = "data.catalogue"
_ACCELERATORS_FILE = "accelerators.yaml"
_MODELS_FILE = "models.yaml"
_SUGGESTIONS = 5
_SEPARATORS = re.compile(r"[\s_\-]+")


class _Named(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def aliases(self) -> tuple[str, ...]: ...


_Entry = TypeVar("_Entry", bound=_Named)
_File = TypeVar("_File", bound=BaseModel)


class UnknownNameError(StokerError, LookupError):
    """A name that the catalogue does not have; the message names the nearest that it has.

    Attributes:
        name: The name asked for.
        nearest: Up to five names or aliases most like it, best first; may be empty.
    """

    def __init__(self, what: str, name: str, nearest: Sequence[str], known: Sequence[str]) -> None:
        """Word the error.

        Args:
            what: ``accelerator`` or ``model``.
            name: The name asked for.
            nearest: The names most like it.
            known: All names in the catalogue, shown where none is like it.
        """
        self.name = name
        self.nearest = tuple(nearest)
        hint = f"nearest: {', '.join(nearest)}" if nearest else f"known: {', '.join(known)}"
        super().__init__(f"{what} {name!r} is not in the catalogue ({hint})")


@dataclass(frozen=True)
class Catalogue:
    """All records, in the order of the files.

    Names and aliases are matched without regard to case, and hyphen, underscore and space are
    one.
    """

    accelerators: tuple[AcceleratorSpec, ...]
    models: tuple[ModelArchitecture, ...]

    def accelerator(self, name: str) -> AcceleratorSpec:
        """Return the card with this name or alias.

        Raises:
            UnknownNameError: There is none.
        """
        return _look_up("accelerator", name, self._accelerators_by_key, self.accelerators)

    def model(self, name: str) -> ModelArchitecture:
        """Return the model with this name or alias.

        Raises:
            UnknownNameError: There is none.
        """
        return _look_up("model", name, self._models_by_key, self.models)

    @cached_property
    def _accelerators_by_key(self) -> Mapping[str, AcceleratorSpec]:
        return _by_key(self.accelerators)

    @cached_property
    def _models_by_key(self) -> Mapping[str, ModelArchitecture]:
        return _by_key(self.models)


def load_catalogue() -> Catalogue:
    """Read the catalogue that comes with Stoker.

    Raises:
        InvalidInputError: A file breaks its schema: the installation is damaged.
    """
    folder = files(_PACKAGE)
    return Catalogue(
        accelerators=parse_accelerators(folder.joinpath(_ACCELERATORS_FILE).read_text("utf-8")),
        models=parse_models(folder.joinpath(_MODELS_FILE).read_text("utf-8")),
    )


def parse_accelerators(text: str, file: str = _ACCELERATORS_FILE) -> tuple[AcceleratorSpec, ...]:
    """Return the cards of a document in the form of `accelerators.yaml`.

    Args:
        text: The YAML document.
        file: Its name, for messages.

    Raises:
        InvalidInputError: The document is not YAML, breaks the schema, or uses a name twice; all
            problems are named.
    """
    records = _parse(text, file, AcceleratorsFile).accelerators
    return _unambiguous([record.to_domain() for record in records], file, "accelerators")


def parse_models(text: str, file: str = _MODELS_FILE) -> tuple[ModelArchitecture, ...]:
    """Return the models of a document in the form of `models.yaml`.

    Args:
        text: The YAML document.
        file: Its name, for messages.

    Raises:
        InvalidInputError: As for `parse_accelerators`.
    """
    records = _parse(text, file, ModelsFile).models
    return _unambiguous([record.to_domain() for record in records], file, "models")


def _parse(text: str, file: str, schema: type[_File]) -> _File:
    try:
        return schema.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise InvalidInputError([Problem("", f"is not YAML: {error}", file=file)]) from error
    except ValidationError as error:
        raise InvalidInputError(problems_from_validation(error, file, model=schema)) from error


def _unambiguous(entries: Sequence[_Entry], file: str, what: str) -> tuple[_Entry, ...]:
    owners: dict[str, str] = {}
    problems: list[Problem] = []
    for index, entry in enumerate(entries):
        for name in (entry.name, *entry.aliases):
            owner = owners.setdefault(_key(name), entry.name)
            if owner != entry.name:
                message = f"name {name!r} already means {owner}"
                problems.append(Problem(f"{what}[{index}]", message, file=file))
        if sum(other.name == entry.name for other in entries[:index]):
            message = f"name {entry.name!r} is used twice"
            problems.append(Problem(f"{what}[{index}].name", message, file=file))
    if problems:
        raise InvalidInputError(problems)
    return tuple(entries)


def _key(name: str) -> str:
    return _SEPARATORS.sub("-", name.strip().casefold())


def _by_key(entries: Iterable[_Entry]) -> dict[str, _Entry]:
    return {_key(name): entry for entry in entries for name in (entry.name, *entry.aliases)}


def _look_up(
    what: str, name: str, by_key: Mapping[str, _Entry], entries: Sequence[_Entry]
) -> _Entry:
    entry = by_key.get(_key(name))
    if entry is not None:
        return entry
    spelled = {_key(word): word for entry in entries for word in (entry.name, *entry.aliases)}
    similar = get_close_matches(_key(name), spelled, n=len(spelled) or 1, cutoff=0.5)
    nearest: dict[str, str] = {}  # of each entry the name most like it
    for key in similar:
        nearest.setdefault(by_key[key].name, spelled[key])
    known = [entry.name for entry in entries]
    raise UnknownNameError(what, name, list(nearest.values())[:_SUGGESTIONS], known)
