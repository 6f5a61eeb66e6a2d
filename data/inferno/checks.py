"""Checks across a system in Inferno's format: names, references, parameters.

They work on decoded documents in the reference's spelling, beside the validation of types. The
reference plans around many loose ends (a model without a profile, a profile on an unknown
accelerator, capacity of a type that nothing has); those stay allowed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from data.document import Document, entries, mapping_at, number_at, text_at
from data.inferno.schema import DEFAULT_CLASS
from data.name_checks import repeated, unresolved
from data.problems import Finding
from data.wording import Loc, shown

_NAMED = (
    ("accelerators", "name"),
    ("count", "type"),
    ("serviceClasses", "name"),
    ("servers", "name"),
)
_BATCH_LIMIT = (
    "a whole number, at least 1; 0 only where every server of the model has its own maxBatchSize"
)


def check_collection(document: Document, *above: str) -> Iterator[Finding]:
    """Yield what is wrong within a collection, i.e. the content of one of the six files.

    Args:
        document: The document that holds it.
        above: Keys that lead to the collection.
    """
    value = document.value
    for key, name_key in _NAMED:
        named = [
            ((*loc, name_key), name, f"the name {shown(name)}")
            for loc, entry in entries(value, *above, key)
            if (name := text_at(entry, name_key)) is not None
        ]
        yield from repeated(document, named)
    pairs = [
        (loc, f"{name}\n{acc}", f"the data of {shown(name)} on {shown(acc)}")
        for loc, entry in entries(value, *above, "models")
        if (name := text_at(entry, "name")) and (acc := text_at(entry, "acc"))
    ]
    yield from repeated(document, pairs)
    for loc, entry in entries(value, *above, "models"):
        yield from check_parameters(loc, entry)
    for loc, entry in entries(value, *above, "serviceClasses"):
        yield from check_targets(document, loc, entry)


def check_parameters(loc: Loc, entry: Mapping[str, object]) -> Iterator[Finding]:
    """Yield a finding unless the data of a model holds the parameters of one service model."""
    given = {
        key for key in ("decodeParms", "prefillParms", "perfParms") if entry.get(key) is not None
    }
    if given in ({"perfParms"}, {"decodeParms", "prefillParms"}):
        return
    allowed = "decodeParms and prefillParms (linear), or perfParms (token-work)"
    if not given:
        yield Finding(loc, "the performance parameters are missing", allowed)
    elif "perfParms" in given:
        yield Finding(loc, "parameters of two service models", allowed)
    else:
        missing = "prefillParms" if "decodeParms" in given else "decodeParms"
        yield Finding((*loc, missing), "is missing", allowed)


def check_batch_limits(value: object) -> Iterator[Finding]:
    """Yield a finding for each batch limit that a server would need and the profile does not tell.

    The batch limit of a replica is worked out from `maxBatchSize` and `atTokens` of the profile,
    unless the server has a limit of its own. Zero, which is also what the reference reads where
    the key is left out, would silently make it 1.

    Args:
        value: A decoded document ``{"system": {...}}``.
    """
    own: dict[str, bool] = {}
    for _, server in entries(value, "system", "serverData", "servers"):
        if (model := text_at(server, "model")) is not None:
            own[model] = own.get(model, True) and bool(number_at(server, "maxBatchSize"))
    for loc, entry in entries(value, "system", "modelData", "models"):
        if own.get(text_at(entry, "name") or "", False):
            continue
        for key in ("maxBatchSize", "atTokens"):
            given = entry.get(key)
            if given is None or number_at(entry, key) == 0:
                message = "is missing" if given is None else "0 tells no batch limit"
                yield Finding((*loc, key), message, _BATCH_LIMIT)


def check_targets(document: Document, loc: Loc, entry: Mapping[str, object]) -> Iterator[Finding]:
    """Yield a finding for each model that a service class has two targets for."""
    targets = [
        ((*loc, *inner, "model"), model, f"the target of {shown(model)}")
        for inner, target in entries(entry, "modelTargets")
        if (model := text_at(target, "model")) is not None
    ]
    yield from repeated(document, targets)


def check_system(document: Document) -> Iterator[Finding]:
    """Yield what is wrong across a document ``{"system": {...}}``."""
    system = mapping_at(document.value, "system") if isinstance(document.value, dict) else None
    if system is None:
        return
    for section in system:
        yield from check_collection(document, "system", section)
    value = document.value
    yield from check_batch_limits(value)
    classes = _names(value, "serviceClassData", "serviceClasses")
    models = _names(value, "modelData", "models")
    promised = _promised_models(value)
    for loc, server in entries(value, "system", "serverData", "servers"):
        if classes is not None:
            name = text_at(server, "class")
            yield from unresolved(
                (*loc, "class"), name, {DEFAULT_CLASS: None} | classes, "service class"
            )
        if classes is not None and models is not None:
            name = text_at(server, "model")
            yield from unresolved((*loc, "model"), name, models | promised, "model")


def _names(value: object, section: str, key: str) -> dict[str, None] | None:
    """Return the names that a section defines, or None where it is not readable in full.

    A mistake there is told by the validation; telling every reference to it too would bury it.
    """
    found = [text_at(entry, "name") for _, entry in entries(value, "system", section, key)]
    known = dict.fromkeys(name for name in found if name is not None)
    items = value
    for step in ("system", section, key):
        items = items.get(step) if isinstance(items, dict) else None
    readable = isinstance(items, list) and len(items) == len(found) and None not in found
    return known if readable else None


def _promised_models(value: object) -> dict[str, None]:
    """Return the models that some class has a target for: known, if without a profile."""
    found = [
        text_at(target, "model")
        for _, entry in entries(value, "system", "serviceClassData", "serviceClasses")
        for _, target in entries(entry, "modelTargets")
    ]
    return dict.fromkeys(name for name in found if name is not None)
