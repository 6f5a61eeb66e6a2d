"""What a pydantic model allows at a place, to say so in an error message."""

from __future__ import annotations

from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, Tag
from pydantic.fields import FieldInfo

from data.wording import Loc, choices

_KEY = "[key]"
"""What pydantic puts behind the key of a mapping that is itself at fault."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """Annotation of a field: what it accepts, in words of its own."""

    text: str


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a document, as its model sees it.

    Attributes:
        loc: The place without the tags that pydantic adds inside unions.
        keys: Keys that the object around it may have; empty where it is no such object.
        allowed: What the place accepts, in words; empty where unknown.
    """

    loc: Loc
    keys: tuple[str, ...]
    allowed: str


def field_keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a model by the key that documents write."""
    fields = model.model_fields
    return {field.alias or name: field for name, field in fields.items()}


def resolve(model: type[BaseModel], loc: Loc) -> Place:
    """Return what the model knows about a place that pydantic reported."""
    annotation: object = model
    metadata: tuple[object, ...] = ()
    clean: list[str | int] = []
    keys: tuple[str, ...] = ()
    key: object = None
    for part in loc:
        if part == _KEY:
            annotation, metadata = key, ()
            continue
        members = _members(annotation)
        tagged = next((member for member in members if _has_tag(member, part)), None)
        if tagged is not None:
            notes = (*metadata, *_metadata(annotation))
            metadata = tuple(note for note in notes if isinstance(note, Allowed))
            annotation = tagged
            continue
        clean.append(part)
        keys = ()
        for member in members:
            plain = _plain(member)
            if isinstance(plain, type) and issubclass(plain, BaseModel):
                fields = field_keys(plain)
                keys = tuple(fields)
                field = fields.get(str(part))
                annotation = field.annotation if field else None
                metadata = tuple(field.metadata) if field else ()
                break
            if get_origin(plain) in (list, dict):
                key, annotation = get_args(plain)[0], get_args(plain)[-1]
                metadata = ()
                break
        else:
            annotation, metadata = None, ()
    return Place(tuple(clean), keys, _describe(annotation, metadata))


def _members(annotation: object) -> list[object]:
    """Return the alternatives of a type: its union members, or itself."""
    plain = _plain(annotation)
    if get_origin(plain) in (Union, UnionType):
        return [member for member in get_args(plain) if member is not NoneType]
    return [annotation]


def _plain(annotation: object) -> object:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _metadata(annotation: object) -> tuple[object, ...]:
    return get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()


def _has_tag(member: object, part: str | int) -> bool:
    """Return whether a union member is the one that pydantic calls by this tag."""
    if any(isinstance(note, Tag) and note.tag == part for note in _metadata(member)):
        return True
    return part in _kinds(member)


def _kinds(member: object) -> tuple[str, ...]:
    """Return the values of `kind` that select a union member; none where it has no `kind`."""
    plain = _plain(member)
    if isinstance(plain, type) and issubclass(plain, BaseModel):
        kind = plain.model_fields.get("kind")
        return get_args(kind.annotation) if kind is not None else ()
    return ()


def _describe(annotation: object, metadata: tuple[object, ...]) -> str:
    notes = (*metadata, *_metadata(annotation))
    own = next((note.text for note in notes if isinstance(note, Allowed)), None)
    if own is not None:
        return own
    members = _members(annotation)
    kinds = [kind for member in members for kind in _kinds(member)]
    if kinds and len(members) > 1:
        return f"a mapping with the kind {' or '.join(kinds)}"
    texts = [_describe_one(member, notes) for member in members]
    return " or ".join(text for text in texts if text)


def _describe_one(annotation: object, notes: tuple[object, ...]) -> str:
    plain = _plain(annotation)
    notes = (*notes, *_metadata(annotation))
    if plain is float:
        return f"a number{_bounds(notes)}"
    if plain is int:
        return f"a whole number{_bounds(notes)}"
    if plain is bool:
        return "true or false"
    if plain is str:
        return "text"
    if get_origin(plain) is Literal:
        return choices([str(value) for value in get_args(plain)])
    if get_origin(plain) is list:
        return "a list"
    if get_origin(plain) is dict:
        return "a mapping"
    if isinstance(plain, type) and issubclass(plain, BaseModel):
        return f"a mapping with the keys {choices(tuple(field_keys(plain)))}"
    return ""


def _bounds(notes: tuple[object, ...]) -> str:
    lower, upper = "", ""
    for note in _flat(notes):
        match note:
            case Ge():
                lower = f"at least {_bound(note.ge)}"
            case Gt():
                lower = f"above {_bound(note.gt)}"
            case Le():
                upper = f"at most {_bound(note.le)}"
            case Lt():
                upper = f"below {_bound(note.lt)}"
    bounds = " and ".join(bound for bound in (lower, upper) if bound)
    return f", {bounds}" if bounds else ""


def _bound(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _flat(notes: tuple[object, ...]) -> list[object]:
    """Return the notes with those inside nested field declarations."""
    flat: list[object] = []
    for note in notes:
        flat.extend(note.metadata if isinstance(note, FieldInfo) else [note])
    return flat
