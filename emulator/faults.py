"""What can be made to go wrong with a replica, as a document says it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from stoker.domain.errors import InvalidInputError, Problem


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with a replica. The default is nothing.

    Attributes:
        latency_factor: Factor on the time of every iteration.
        error_rate: Share of new requests that are answered with an error.
        freeze: Iterations stand still; the server still takes requests and answers metrics.
        drop_metrics: Metrics are not answered.
        drop_names: Families of metrics that are left out, by the beginning of their names.
        startup_factor: Factor on the start-up time of starts from now on.
    """

    latency_factor: float = 1.0
    error_rate: float = 0.0
    freeze: bool = False
    drop_metrics: bool = False
    drop_names: tuple[str, ...] = ()
    startup_factor: float = 1.0


@dataclass(frozen=True, slots=True)
class FaultOrder:
    """A document that asks for faults.

    Attributes:
        changes: Fields of `Faults` to set.
        clear: Whether all earlier faults end first.
        crash: Whether the replica loses all requests and starts again.
        for_ms: After this time of the emulated clock the faults end; None for until further orders.
        replicas: Names of the replicas that are meant; None for all.
    """

    changes: Mapping[str, object]
    clear: bool = False
    crash: bool = False
    for_ms: float | None = None
    replicas: tuple[str, ...] | None = None

    def applied_to(self, faults: Faults) -> Faults:
        """Return faults as they are after the order."""
        before = Faults() if self.clear else faults
        return replace(before, **self.changes)  # type: ignore[arg-type] # checked by `read_order`


_FIELDS = tuple(field.name for field in fields(Faults))
_KEYS = (*_FIELDS, "clear", "crash", "for_s", "replicas")


def read_order(document: object) -> FaultOrder:
    """Return the order that a decoded JSON document gives.

    Raises:
        InvalidInputError: With every field that is unknown or has a value that is not allowed.
    """
    if not isinstance(document, Mapping):
        raise InvalidInputError([Problem("", "is not an object", f"keys: {', '.join(_KEYS)}")])
    problems = [
        Problem(str(key), "is unknown", ", ".join(_KEYS)) for key in document if key not in _KEYS
    ]
    changes: dict[str, object] = {}
    for name in _FIELDS:
        if name in document:
            value, allowed = _checked(name, document[name])
            if allowed:
                problems.append(Problem(name, f"is {document[name]!r}", allowed))
            changes[name] = value
    problems += [
        Problem(name, f"is {document[name]!r}", "true or false")
        for name in ("clear", "crash")
        if not isinstance(document.get(name, False), bool)
    ]
    for_s = document.get("for_s")
    if for_s is not None and not (_is_number(for_s) and for_s > 0):
        problems.append(Problem("for_s", f"is {for_s!r}", "seconds, above 0"))
    names = document.get("replicas")
    if names is not None and not _is_texts(names):
        problems.append(Problem("replicas", f"is {names!r}", "a list of names"))
    if problems:
        raise InvalidInputError(problems)
    return FaultOrder(
        changes,
        bool(document.get("clear", False)),
        bool(document.get("crash", False)),
        None if for_s is None else float(for_s) * 1000.0,
        None if names is None else tuple(names),
    )


def _checked(name: str, value: object) -> tuple[object, str]:
    """Return the value of a field; or None and what is allowed."""
    if name in ("latency_factor", "startup_factor"):
        least = 0.01
        if _is_number(value) and least <= float(value) <= 1e6:  # type: ignore[arg-type]
            return float(value), ""  # type: ignore[arg-type]
        return None, f"a factor from {least} to 1,000,000"
    if name == "error_rate":
        if _is_number(value) and 0 <= float(value) <= 1:  # type: ignore[arg-type]
            return float(value), ""  # type: ignore[arg-type]
        return None, "a share from 0 to 1"
    if name == "drop_names":
        if _is_texts(value):
            return tuple(value), ""  # type: ignore[arg-type]
        return None, "a list of names, or of what they begin with"
    return (value, "") if isinstance(value, bool) else (None, "true or false")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
