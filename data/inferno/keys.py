"""Keys in any case: documents as real files hold them, brought to the reference's spelling."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Annotated, Union, get_args, get_origin

from data.inferno.schema import InfernoModel
from data.model_fields import field_keys
from data.problems import Finding
from data.wording import Loc, shown


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
    fields = field_keys(model)
    spelling = {key.casefold(): key for key in fields}
    result: dict[str, object] = {}
    for key, item in value.items():
        name = spelling.get(str(key).casefold(), str(key))
        if _passed_over(model, key, item) or (item is None and name in fields):
            continue
        if name in result:
            findings.append(
                Finding((*loc, name), f"given twice, also as {shown(key)}", "each key once")
            )
            continue
        known = name in fields
        annotation = fields[name].annotation if known else None
        result[name] = _inside(annotation, item, (*loc, name), findings)
    return result


def _inside(annotation: object, value: object, loc: Loc, findings: list[Finding]) -> object:
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


def _passed_over(model: type[InfernoModel], key: str, value: object) -> bool:
    folded = str(key).casefold()
    if folded in {name.casefold() for name in model.informative}:
        return True
    empty = value is None or (value == 0 and not isinstance(value, bool))
    return empty and folded in {name.casefold() for name in model.empty_only}
