"""Keys in any case: documents as real files hold them, brought to the reference's spelling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Union, get_args, get_origin

from data.inferno.schema import InfernoModel
from data.model_fields import field_keys
from data.problems import Finding
from data.wording import Loc, shown


@dataclass(frozen=True, slots=True)
class _Known:
    """What a model knows of keys: spelling by folded key, types, and what it passes over."""

    spelling: Mapping[str, str]
    annotations: Mapping[str, object]
    informative: frozenset[str]
    empty_only: frozenset[str]

    def passes_over(self, folded: str, value: object) -> bool:
        if folded in self.informative:
            return True
        if folded not in self.empty_only:
            return False
        return value is None or (value == 0 and not isinstance(value, bool))


@cache
def _known(model: type[InfernoModel]) -> _Known:
    fields = field_keys(model)
    return _Known(
        {key.casefold(): key for key in fields},
        {key: field.annotation for key, field in fields.items()},
        frozenset(key.casefold() for key in model.informative),
        frozenset(key.casefold() for key in model.empty_only),
    )


def canonical(
    model: type[InfernoModel], value: object, loc: Loc, findings: list[Finding]
) -> object:
    """Return a decoded document with the keys that a model knows in the reference's spelling.

    A null counts as a key left out, as it does in the reference. Keys that only inform are left
    out. Unknown keys stay as they are, for the validation to report.

    Args:
        model: What the document should be.
        value: The document.
        loc: Its place, for findings.
        findings: Takes a finding for each key given twice, in two cases.
    """
    if not isinstance(value, dict):
        return value
    known = _known(model)
    result: dict[str, object] = {}
    for key, item in value.items():
        folded = str(key).casefold()
        name = known.spelling.get(folded, str(key))
        if known.passes_over(folded, item) or (item is None and name in known.annotations):
            continue
        if name in result:
            findings.append(
                Finding((*loc, name), f"given twice, also as {shown(key)}", "each key once")
            )
            continue
        result[name] = _inside(known.annotations.get(name), item, (*loc, name), findings)
    return result


def _inside(annotation: object, value: object, loc: Loc, findings: list[Finding]) -> object:
    if not isinstance(value, dict | list):
        return value
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(item for item in get_args(annotation) if item is not NoneType)
    if isinstance(annotation, type) and issubclass(annotation, InfernoModel):
        return canonical(annotation, value, loc, findings)
    if get_origin(annotation) is list and isinstance(value, list):
        (inner,) = get_args(annotation)
        return [_inside(inner, item, (*loc, index), findings) for index, item in enumerate(value)]
    return value
