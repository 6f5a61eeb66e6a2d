"""Checks of configurations across a document: degrees and units, names, pools, limits to choose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from data.document import entries, mapping_at, number_at, text_at
from data.problems import Finding
from data.wording import Loc, choices, did_you_mean, shown
from stoker.domain.serving import Serving

_Entry = Mapping[str, object]
_DEGREES = ("tensor", "pipeline", "data")


def profile_key(profile: _Entry) -> tuple[str, str] | None:
    """Return what no other profile may have, and its words; None where a name is not readable."""
    model, accelerator = text_at(profile, "model"), text_at(profile, "accelerator")
    if not model or not accelerator:
        return None
    name = text_at(profile, "configuration") or ""
    words = f"the profile of {shown(model)} on {shown(accelerator)}"
    if name:
        words += f" in configuration {shown(name)}"
    return f"{model}\n{accelerator}\n{name}", words


def check_configurations(value: _Entry) -> Iterator[Finding]:
    """Yield what is wrong with configurations across the document of a fleet."""
    cards = {
        text_at(item, "name"): number_at(item, "cards") or 1
        for _, item in entries(value, "accelerators")
    }
    sliced = {
        text_at(item, "name")
        for _, item in entries(value, "accelerators")
        if mapping_at(item, "slice") is not None
    }
    for loc, accelerator in entries(value, "accelerators"):
        yield from _check_slice(loc, accelerator)
    by_pair: dict[tuple[str | None, str | None], list[_Entry]] = {}
    apart: set[str | None] = set()
    for _, profile in entries(value, "profiles"):
        pair = (text_at(profile, "model"), text_at(profile, "accelerator"))
        by_pair.setdefault(pair, []).append(profile)
        if mapping_at(profile, "disaggregated") is not None:
            apart.add(pair[0])
    for loc, profile in entries(value, "profiles"):
        pair = (text_at(profile, "model"), text_at(profile, "accelerator"))
        yield from _check_degrees(loc, profile, cards.get(pair[1]))
        yield from _check_prefill(loc, profile, by_pair[pair])
        if pair[1] in sliced:
            yield from _check_on_slice(loc, profile)
    for loc, server in entries(value, "servers"):
        yield from _check_choices(loc, server, apart)
        for key in ("current", "desired"):
            allocation = mapping_at(server, key)
            if allocation is not None:
                pair = (text_at(server, "model"), text_at(allocation, "accelerator"))
                yield from _check_allocation((*loc, key), allocation, by_pair.get(pair, []))


def _check_slice(loc: Loc, accelerator: _Entry) -> Iterator[Finding]:
    """A slice is of one kind, and of a card that has another name."""
    part = mapping_at(accelerator, "slice")
    if part is None:
        return
    told = [key for key in ("sevenths", "parts") if part.get(key) is not None]
    if len(told) != 1:
        message = "is not told" if not told else "is told in two ways"
        yield Finding((*loc, "slice"), message, "one of sevenths and parts")
    if text_at(accelerator, "card_type") is None:
        yield Finding(
            (*loc, "card_type"), "is missing: a slice is one of a card", "the type of the card"
        )
    if (number_at(accelerator, "cards") or 1) != 1:
        yield Finding(
            (*loc, "cards"), f"{shown(accelerator['cards'])} cards of a slice", "1, or leave it out"
        )


def _check_on_slice(loc: Loc, profile: _Entry) -> Iterator[Finding]:
    """A replica on slices takes one: what runs on one sees no other."""
    units = number_at(profile, "accelerators_per_replica")
    if units is not None and units > 1:
        yield Finding(
            (*loc, "accelerators_per_replica"),
            f"{shown(units)} slices of cards for one replica",
            "1: what runs on a slice sees no other",
        )
    parallel = mapping_at(profile, "parallel") or {}
    for key in _DEGREES:
        if (number_at(parallel, key) or 1) > 1:
            yield Finding(
                (*loc, "parallel", key),
                f"{shown(parallel[key])} on slices of cards",
                "1: what runs on a slice sees no other",
            )
    if mapping_at(profile, "disaggregated") is not None:
        yield Finding(
            (*loc, "disaggregated"), "is given on slices of cards", "whole cards, or leave it out"
        )


def _check_degrees(loc: Loc, profile: _Entry, cards: float | None) -> Iterator[Finding]:
    """Degrees take whole units, and as many as are told beside."""
    parallel = mapping_at(profile, "parallel")
    if parallel is None:
        return
    degrees = {key: number_at(parallel, key) or 1 for key in (*_DEGREES, "expert")}
    if any(degree < 1 or degree != int(degree) for degree in degrees.values()):
        return
    needed = 1
    for key in _DEGREES:
        needed *= int(degrees[key])
    words = " × ".join(f"{key} {int(degrees[key])}" for key in _DEGREES if degrees[key] > 1)
    words = words or "a replica without degrees"
    group = int(degrees["tensor"] * degrees["data"])
    if group % int(degrees["expert"]):
        yield Finding(
            (*loc, "parallel", "expert"),
            f"{int(degrees['expert'])} does not divide the {group} cards of tensor × data",
            f"a divisor of {group}",
        )
    if cards is None or cards < 1 or cards != int(cards):
        return
    if needed % int(cards):
        yield Finding(
            (*loc, "parallel"),
            f"{words} takes {needed} cards, and a unit of the accelerator has {int(cards)}",
            f"degrees that take a multiple of {int(cards)} cards",
        )
        return
    units = number_at(profile, "accelerators_per_replica")
    if units is not None and units * cards != needed:
        yield Finding(
            (*loc, "accelerators_per_replica"),
            f"{shown(units)} is not what parallel takes: {words}, {needed} of the cards of which a "
            f"unit has {int(cards)}",
            f"{needed // int(cards)}, or leave it out",
        )


def _check_prefill(loc: Loc, profile: _Entry, pair: list[_Entry]) -> Iterator[Finding]:
    name = text_at(mapping_at(profile, "disaggregated") or {}, "prefill_configuration")
    if name is not None:
        known = [own for item in pair if (own := text_at(item, "configuration"))]
        if name not in known:
            yield Finding(
                (*loc, "disaggregated", "prefill_configuration"),
                f"no profile of the model on this accelerator is called {shown(name)}"
                f"{did_you_mean(name, known)}",
                choices(known) if known else "leave it out",
            )


def _check_choices(loc: Loc, server: _Entry, apart: set[str | None]) -> Iterator[Finding]:
    for key, words in (("max_batch", "batch limit"), ("serving", "way of serving")):
        given = server.get(key)
        if isinstance(given, list):
            for index, item in enumerate(given):
                if item in given[:index]:
                    yield Finding(
                        (*loc, key, index), f"the {words} {shown(item)} stands twice", "each once"
                    )
    serving, model = server.get("serving"), text_at(server, "model")
    word = Serving.DISAGGREGATED.value
    if isinstance(serving, list) and word in serving and model and model not in apart:
        yield Finding(
            (*loc, "serving", serving.index(word)),
            f"{word}, but no profile of {shown(model)} says how (disaggregated)",
            f"a profile of {shown(model)} with disaggregated; or {Serving.AGGREGATED.value}",
        )


def _check_allocation(loc: Loc, allocation: _Entry, pair: list[_Entry]) -> Iterator[Finding]:
    """What runs is in a configuration that there is, and in one alone."""
    name = text_at(allocation, "configuration")
    names = [text_at(item, "configuration") for item in pair]
    known = [own for own in names if own]
    if name is not None and pair and name not in known:
        yield Finding(
            (*loc, "configuration"),
            f"no configuration of the model on this accelerator is called {shown(name)}"
            f"{did_you_mean(name, known)}",
            choices(known) if known else "leave it out",
        )
    if name is None and len(pair) > 1 and None not in names and allocation.get("replicas"):
        yield Finding(
            (*loc, "configuration"),
            "is missing, and the model has several on this accelerator",
            choices(known),
        )
    prefill = number_at(allocation, "prefill_replicas")
    if not prefill:
        return
    replicas = number_at(allocation, "replicas")
    if replicas is not None and prefill >= replicas:
        yield Finding(
            (*loc, "prefill_replicas"),
            f"{shown(prefill)} leaves none of the {shown(replicas)} replicas to decode",
            "fewer than replicas",
        )
    own = [item for item in pair if text_at(item, "configuration") == name]
    own = own or (pair if name is None and len(pair) == 1 else [])
    if own and all(mapping_at(item, "disaggregated") is None for item in own):
        yield Finding(
            (*loc, "prefill_replicas"),
            "replicas prefill for others, but the profile does not say how (disaggregated)",
            "0, or a profile with disaggregated",
        )
