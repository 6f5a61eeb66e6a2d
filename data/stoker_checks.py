"""Checks across a document in Stoker's format: names, references and figures that belong together.

They work on the decoded document beside the validation of types, so that all problems are found
at once; values of a wrong type are passed over here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from data.configuration_checks import check_configurations, profile_key
from data.document import Document, entries, mapping_at, number_at, text_at
from data.name_checks import repeated, unresolved
from data.node_fields import check_nodes
from data.overlap_fields import ENGINE_FIELDS
from data.pool_checks import check_pools
from data.problems import Finding
from data.sharing_fields import check_sharing
from data.stoker_schema import LinearEntry, TokenWorkEntry
from data.wording import Loc, shown

_PARAMETERS = {
    "linear": tuple(key for key in LinearEntry.model_fields if key != "kind"),
    "token-work": tuple(key for key in TokenWorkEntry.model_fields if key != "kind"),
    "overlap": ENGINE_FIELDS,
}


def check_fleet(document: Document) -> Iterator[Finding]:
    """Yield what is wrong across the document of a fleet."""
    value = document.value
    if not isinstance(value, dict):
        return
    yield from _check_names(document)
    yield from _check_references(value)
    yield from _check_capacity(value)
    yield from check_pools(document, value)
    yield from check_nodes(value)
    yield from check_sharing(document, value)
    yield from _check_node_types(value)
    yield from check_configurations(value)
    for loc, profile in entries(value, "profiles"):
        yield from _check_parameters(loc, profile)
    per_replica = _units_per_replica(value)
    accelerators = _names(value, "accelerators", "name") or {}
    models = _names(value, "profiles", "model") or {}
    for loc, server in entries(value, "servers"):
        yield from _check_server(loc, server)
        for key in ("current", "desired"):
            allocation = mapping_at(server, key)
            if allocation is not None:
                pair = (text_at(server, "model"), text_at(allocation, "accelerator"))
                # A model or an accelerator that is amiss is told where it stands; that the cost
                # is unknown only follows from it.
                amiss = pair[0] not in models or pair[1] not in accelerators
                yield from _check_allocation((*loc, key), allocation, amiss or pair in per_replica)


def _check_names(document: Document) -> Iterator[Finding]:
    value = document.value
    for section in ("accelerators", "service_classes", "servers"):
        named = [
            ((*loc, "name"), name, f"the name {shown(name)}")
            for loc, entry in entries(value, section)
            if (name := text_at(entry, "name")) is not None
        ]
        yield from repeated(document, named)
    pairs = [
        (loc, *key) for loc, entry in entries(value, "profiles") if (key := profile_key(entry))
    ]
    yield from repeated(document, pairs)
    for loc, service_class in entries(value, "service_classes"):
        targets = [
            ((*loc, *inner, "model"), model, f"the target of {shown(model)}")
            for inner, target in entries(service_class, "targets")
            if (model := text_at(target, "model")) is not None
        ]
        yield from repeated(document, targets)


def _check_references(value: Mapping[str, object]) -> Iterator[Finding]:
    accelerators = _names(value, "accelerators", "name")
    if accelerators is not None:
        for loc, profile in entries(value, "profiles"):
            name = text_at(profile, "accelerator")
            yield from unresolved((*loc, "accelerator"), name, accelerators, "accelerator")
        for loc, server in entries(value, "servers"):
            for key in ("current", "desired"):
                name = text_at(mapping_at(server, key) or {}, "accelerator")
                yield from unresolved((*loc, key, "accelerator"), name, accelerators, "accelerator")
    classes = _names(value, "service_classes", "name")
    models = _names(value, "profiles", "model")
    for loc, server in entries(value, "servers"):
        if classes is not None:
            name = text_at(server, "service_class")
            yield from unresolved((*loc, "service_class"), name, classes, "service class")
        if models is not None:
            name = text_at(server, "model")
            yield from unresolved((*loc, "model"), name, models, "model with a profile")


def _check_capacity(value: Mapping[str, object]) -> Iterator[Finding]:
    capacity = mapping_at(value, "capacity")
    if capacity is None:
        unlimited = (mapping_at(value, "optimizer") or {}).get("unlimited")
        told = value.get("capacity") is not None or value.get("pools") or value.get("nodes")
        if not told and unlimited is not True:
            yield Finding(
                ("capacity",),
                "is missing",
                "cards by card type; or optimizer.unlimited: true, to plan without a limit",
            )
        return
    types = _card_types(value)
    if types is None:
        return
    for card_type in capacity:
        yield from unresolved(
            ("capacity", card_type), card_type, types, "card type of an accelerator"
        )


def _check_node_types(value: Mapping[str, object]) -> Iterator[Finding]:
    types = _card_types(value)
    if types is not None:
        for loc, node in entries(value, "nodes"):
            name = text_at(node, "card_type")
            yield from unresolved((*loc, "card_type"), name, types, "card type of an accelerator")
    needed = (mapping_at(value, "optimizer") or {}).get("placement") is True
    if needed and not value.get("nodes"):
        yield Finding(
            ("nodes",),
            "is missing, though optimizer.placement is true",
            "the nodes that replicas are placed on; or placement: false",
        )


def _card_types(value: Mapping[str, object]) -> dict[str, None] | None:
    """Return the card types of accelerators, or None where those cannot all be read."""
    if _names(value, "accelerators", "name") is None:
        return None
    return dict.fromkeys(
        name
        for _, entry in entries(value, "accelerators")
        if (name := text_at(entry, "card_type") or text_at(entry, "name")) is not None
    )


def _check_parameters(loc: Loc, profile: Mapping[str, object]) -> Iterator[Finding]:
    parameters = mapping_at(profile, "parameters") or {}
    kind = text_at(parameters, "kind") or ""
    keys = _PARAMETERS.get(kind, ())
    if keys and all(number_at(parameters, key) == 0 for key in keys):
        yield Finding(
            (*loc, "parameters"),
            "every parameter of engine time is zero, which describes no hardware"
            if kind == "overlap"
            else "every parameter is zero, which describes no hardware",
            "at least one parameter above 0",
        )
    if kind == "curve" and _no_time(parameters, "decode_ms") and _no_time(parameters, "prefill_ms"):
        yield Finding(
            (*loc, "parameters"),
            "every time is zero, which describes no hardware",
            "at least one time above 0",
        )


def _no_time(parameters: Mapping[str, object], key: str) -> bool:
    """Return whether a grid is one, and holds nothing but zeros."""
    grid = parameters.get(key)
    if not isinstance(grid, list) or not grid:
        return False
    rows = [row if isinstance(row, list) else [row] for row in grid]
    return all(type(time) in (int, float) and time == 0 for row in rows for time in row)


def _check_server(loc: Loc, server: Mapping[str, object]) -> Iterator[Finding]:
    load = mapping_at(server, "load")
    if load is not None:
        yield from _check_rate((*loc, "load"), load)
    least, most = number_at(server, "min_replicas"), number_at(server, "max_replicas")
    if least is not None and most is not None and least > most >= 1:
        yield Finding(
            (*loc, "min_replicas"),
            f"{shown(least)} is more than max_replicas, {shown(most)}",
            f"at most {shown(most)}",
        )


def _check_rate(loc: Loc, load: Mapping[str, object]) -> Iterator[Finding]:
    rates = [key for key in ("arrival_rate_rps", "arrival_rate_rpm") if load.get(key) is not None]
    if len(rates) != 1:
        message = "the arrival rate is missing" if not rates else "the arrival rate is given twice"
        yield Finding(loc, message, "one of arrival_rate_rps and arrival_rate_rpm")


def _check_allocation(
    loc: Loc, allocation: Mapping[str, object], cost_known: bool
) -> Iterator[Finding]:
    load = mapping_at(allocation, "load")
    if load is not None:
        yield from _check_rate((*loc, "load"), load)
    named = text_at(allocation, "accelerator") is not None
    if named and allocation.get("cost_per_hour") is None and not cost_known:
        yield Finding(
            (*loc, "cost_per_hour"),
            "is missing, and no profile of the model on this accelerator tells it",
            "the cost of all replicas per hour",
        )
    if not named and "accelerator" in allocation and (number_at(allocation, "replicas") or 0) > 0:
        yield Finding((*loc, "replicas"), "replicas without an accelerator", "0, or an accelerator")


def _names(value: Mapping[str, object], section: str, key: str) -> dict[str, None] | None:
    """Return the names that a section defines, or None where it is not readable in full.

    A mistake there is told by the validation; telling every reference to it too would bury it.
    """
    items = value.get(section)
    if not isinstance(items, list):
        return None
    found = [text_at(entry, key) for _, entry in entries(value, section)]
    known = dict.fromkeys(name for name in found if name is not None)
    return known if len(found) == len(items) and None not in found else None


def _units_per_replica(value: Mapping[str, object]) -> set[tuple[str | None, str | None]]:
    return {
        (text_at(entry, "model"), text_at(entry, "accelerator"))
        for _, entry in entries(value, "profiles")
    }
