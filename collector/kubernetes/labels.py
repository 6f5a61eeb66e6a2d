"""Labels and selectors of Kubernetes, and the names that workloads of model servers carry."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stoker.domain.control.configurations import LABEL
from stoker.domain.errors import InvalidInputError, Problem

DOMAIN = "stoker.dev"

SERVER = (f"{DOMAIN}/server", "inferno.server.name")
"""Labels that name the server, the first that is there counts."""
SERVICE_CLASS = (f"{DOMAIN}/class", "inferno.server.class")
MODEL = (f"{DOMAIN}/model", "inferno.server.model")
ACCELERATOR = (f"{DOMAIN}/accelerator", "inferno.server.allocation.accelerator")
CONFIGURATION = (LABEL,)
MAX_BATCH = (f"{DOMAIN}/max-batch", "inferno.server.allocation.maxbatchsize")
MANAGED = "inferno.server.managed"
"""Label that manages a workload beside the selector of the settings."""

PAUSED = f"{DOMAIN}/paused"
MIN_REPLICAS = f"{DOMAIN}/min-replicas"
MAX_REPLICAS = f"{DOMAIN}/max-replicas"

Selector = Callable[[Mapping[str, str]], bool]
"""Says whether labels are selected."""

_SET = re.compile(r"([^\s,!=()]+)\s+(in|notin)\s*\(([^()]*)\)")
_EQUAL = re.compile(r"([^\s,!=()]+)\s*(==|!=|=)\s*([^\s,!=()]*)")
_EXISTS = re.compile(r"(!?)\s*([^\s,!=()]+)")


def first(labels: Mapping[str, str], names: Sequence[str]) -> str:
    """Return the value of the first label that is there and not empty; empty for none."""
    return next((labels[name] for name in names if labels.get(name)), "")


def parse_selector(text: str) -> Selector:
    """Return the selector of a text such as ``app=web,tier in (a, b),!draft``; empty selects all.

    Raises:
        InvalidInputError: It is none.
    """
    tests: list[Selector] = []
    rest = text.strip()
    while rest:
        for pattern, build in ((_SET, _by_set), (_EQUAL, _by_value), (_EXISTS, _by_presence)):
            match = pattern.match(rest)
            if match:
                tests.append(build(*match.groups()))
                rest = rest[match.end() :].lstrip()
                break
        else:
            raise _not_a_selector(text)
        if rest:
            if not rest.startswith(",") or not rest[1:].strip():
                raise _not_a_selector(text)
            rest = rest[1:].lstrip()
    return lambda labels: all(test(labels) for test in tests)


def object_selector(selector: Mapping[str, Any]) -> Selector:
    """Return the selector of a workload's ``spec.selector``; an empty one selects nothing."""
    wanted: Mapping[str, str] = selector.get("matchLabels") or {}
    tests: list[Selector] = [_by_value(key, "=", value) for key, value in wanted.items()]
    for expression in selector.get("matchExpressions") or ():
        key, operator = expression["key"], expression["operator"]
        values = ",".join(expression.get("values") or ())
        if operator in ("In", "NotIn"):
            tests.append(_by_set(key, operator.lower(), values))
        else:
            tests.append(_by_presence("" if operator == "Exists" else "!", key))
    return lambda labels: bool(tests) and all(test(labels) for test in tests)


def _by_value(key: str, operator: str, value: str) -> Selector:
    if operator == "!=":
        return lambda labels: labels.get(key) != value
    return lambda labels: labels.get(key) == value


def _by_set(key: str, operator: str, values: str) -> Selector:
    allowed = {value.strip() for value in values.split(",")}
    if operator == "notin":
        return lambda labels: labels.get(key) not in allowed
    return lambda labels: labels.get(key) in allowed


def _by_presence(negated: str, key: str) -> Selector:
    return lambda labels: (key in labels) != bool(negated)


def _not_a_selector(text: str) -> InvalidInputError:
    return InvalidInputError(
        [
            Problem(
                "cluster.selector",
                f"is {text!r}",
                "a label selector such as stoker.dev/managed=true,team in (a, b)",
            )
        ]
    )
