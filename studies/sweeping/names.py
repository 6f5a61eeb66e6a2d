"""Which servers, targets, prices or profiles a selector means: names of the fleet, looked up."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from stoker.domain.fleet import Fleet

_MOST_NAMED = 12
_T = TypeVar("_T")


class UnknownNameError(ValueError):
    """A selector names nothing of the fleet, or several kinds of things.

    Attributes:
        allowed: What it could have named.
    """

    def __init__(self, message: str, allowed: str) -> None:
        """Keep the message and what is allowed."""
        super().__init__(message)
        self.allowed = allowed


def servers_named(fleet: Fleet, selector: str) -> frozenset[str]:
    """Return the servers that a selector means: a server, a class, a model, or CLASS/MODEL."""
    by_kind: dict[str, dict[str, frozenset[str]]] = {"server": {}, "class": {}, "model": {}}
    both: dict[str, frozenset[str]] = {}
    for server in fleet.servers:
        own = frozenset([server.name])
        for names, key in (
            (by_kind["server"], server.name),
            (by_kind["class"], server.service_class),
            (by_kind["model"], server.model),
            (both, f"{server.service_class}/{server.model}"),
        ):
            names[key] = names.get(key, frozenset()) | own
    if not selector:
        return frozenset(server.name for server in fleet.servers)
    return _found(selector, {**by_kind, "class/model": both})


def targets_named(fleet: Fleet, selector: str) -> frozenset[tuple[str, str]]:
    """Return class and model of the targets meant: of a class, a model, or CLASS/MODEL."""
    by_kind: dict[str, dict[str, frozenset[tuple[str, str]]]] = {
        "class": {},
        "model": {},
        "class/model": {},
    }
    for item in fleet.service_classes:
        for target in item.targets:
            own = frozenset([(item.name, target.model)])
            keys = (item.name, target.model, f"{item.name}/{target.model}")
            for names, key in zip(by_kind.values(), keys, strict=True):
                names[key] = names.get(key, frozenset()) | own
    if not selector:
        return frozenset().union(*by_kind["class/model"].values())
    return _found(selector, by_kind)


def profiles_named(fleet: Fleet, selector: str) -> frozenset[tuple[str, str]]:
    """Return model and accelerator of the profiles meant: of either, or MODEL/ACCELERATOR."""
    by_kind: dict[str, dict[str, frozenset[tuple[str, str]]]] = {
        "model": {},
        "accelerator": {},
        "model/accelerator": {},
    }
    for item in fleet.profiles:
        own = frozenset([(item.model, item.accelerator)])
        keys = (item.model, item.accelerator, f"{item.model}/{item.accelerator}")
        for names, key in zip(by_kind.values(), keys, strict=True):
            names[key] = names.get(key, frozenset()) | own
    if not selector:
        return frozenset().union(*by_kind["model/accelerator"].values())
    return _found(selector, by_kind)


def card_types_named(fleet: Fleet, selector: str) -> tuple[str, ...]:
    """Return the card types meant, in order: all, or one."""
    types = {item.card_type for item in fleet.accelerators}
    types |= {item.card_type for item in fleet.capacity}
    if not selector:
        return tuple(sorted(types))
    return tuple(_found(selector, {"type": {name: frozenset([name]) for name in types}}))


def pool_named(fleet: Fleet, selector: str) -> str:
    """Return the pool that a selector means; empty where it means none.

    A name that a card type and a pool share means the type; ``pool:NAME`` means the pool.
    """
    pools = {pool.name for pool in fleet.pools}
    if selector.removeprefix("pool:") in pools and selector not in pools:
        return selector.removeprefix("pool:")
    types = {item.card_type for item in fleet.accelerators}
    return selector if selector in pools and selector not in types else ""


def quota_named(fleet: Fleet, selector: str) -> tuple[str, bool]:
    """Return the quota that a selector means, and whether it is that of a group of pools.

    A group's name comes before that of a pool; ``pool:NAME`` means the pool.
    """
    groups = {item.name for item in fleet.quotas}
    pools = {pool.name for pool in fleet.pools}
    if selector in groups:
        return selector, True
    name = selector.removeprefix("pool:")
    if name in pools:
        return name, False
    allowed = listed([*sorted(groups), *sorted(pools - groups)]) or "a fleet with pools"
    raise UnknownNameError(f"the fleet has no quota and no pool {selector!r}", allowed)


def accelerators_named(fleet: Fleet, selector: str) -> tuple[frozenset[str], bool]:
    """Return the accelerators meant, and whether by the type of their cards.

    A name that a card type and an accelerator share means the type.
    """
    types: dict[str, frozenset[str]] = {}
    for item in fleet.accelerators:
        types[item.card_type] = types.get(item.card_type, frozenset()) | {item.name}
    if not selector:
        return frozenset(item.name for item in fleet.accelerators), True
    name = selector.removeprefix("type:")
    if name in types:
        return types[name], True
    units = {item.name: frozenset([item.name]) for item in fleet.accelerators}
    if selector.removeprefix("accelerator:") in units:
        return units[selector.removeprefix("accelerator:")], False
    return _found(selector, {"accelerator": units, "type": types}), False


def _found(selector: str, by_kind: Mapping[str, Mapping[str, frozenset[_T]]]) -> frozenset[_T]:
    """Return what a selector, ``NAME`` or ``KIND:NAME``, means.

    Raises:
        UnknownNameError: It is nothing's name, or the name of things that differ.
    """
    kind, _, rest = selector.partition(":")
    if kind in by_kind and rest in by_kind[kind]:
        return by_kind[kind][rest]
    kinds = [kind for kind, names in by_kind.items() if selector in names]
    meanings = {by_kind[kind][selector] for kind in kinds}
    if len(meanings) == 1:
        return meanings.pop()
    if kinds:
        words = " and ".join(f"a {kind}" for kind in kinds)
        allowed = " or ".join(f"{kind}:{selector}" for kind in kinds)
        raise UnknownNameError(f"{selector!r} is the name of {words}", allowed)
    names = list(dict.fromkeys(name for group in by_kind.values() for name in group))
    kinds_words = some_words([kind for kind, group in by_kind.items() if group])
    close = difflib.get_close_matches(selector, names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    allowed = f"{kinds_words}: {listed(names)}"
    raise UnknownNameError(f"the fleet has no {kinds_words} {selector!r}{hint}", allowed)


def some_words(words: Sequence[str]) -> str:
    """Return words as a choice: ``server, class or model``."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} or {words[-1]}"


def listed(names: Iterable[str]) -> str:
    """Return names in one line, shortened where there are many."""
    shown = list(names)
    rest = len(shown) - _MOST_NAMED
    text = ", ".join(shown[:_MOST_NAMED])
    return f"{text} and {rest} more" if rest > 0 else text
