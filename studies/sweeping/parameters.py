"""The parameters that may vary: their names, what they mean for a fleet, and which values fit.

A parameter is written ``NAME``, ``NAME.SELECTOR`` or ``target.SELECTOR.FIELD``. Some are factors
(`load`, `targets`, `speed`): their values multiply. The others are figures: a number replaces the
fleet's own, and ``x0.5`` multiplies it. Settings take words.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stoker.domain.errors import Problem
from stoker.domain.fleet import Fleet
from stoker.domain.latency import Latency
from studies.sweeping.changes import (
    Change,
    LoadChange,
    LoadScale,
    SpeedChange,
    TargetChange,
    TargetScale,
)
from studies.sweeping.domains import (
    AMOUNT,
    COUNT,
    COUNT_LIMIT,
    CV,
    DOCUMENTS,
    FACTOR,
    POSITIVE,
    POSITIVE_COUNT,
    POSITIVE_FACTOR,
    POSITIVE_LIMIT,
    WEIGHT,
    WHOLE,
    Domain,
)
from studies.sweeping.hardware_parameters import cards_parameter, price_parameter
from studies.sweeping.names import (
    UnknownNameError,
    profiles_named,
    servers_named,
    some_words,
    targets_named,
)
from studies.sweeping.server_parameters import (
    BOUNDS,
    bound_parameter,
    profile_parameter,
    quota_parameter,
    spread_parameter,
    weight_parameter,
)
from studies.sweeping.switches import LIMITS, SETTINGS
from studies.sweeping.values import Value


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter bound to a fleet.

    Attributes:
        name: As it was written; names the column of results.
        change: What it does to the fleet.
        domain: Its values.
    """

    name: str
    change: Change
    domain: Domain

    def accepted(self, value: Value) -> Value:
        """Return a value as this parameter means it.

        Raises:
            ValueError: The value does not fit.
        """
        refusal = self.domain.refusal(value)
        if refusal:
            raise ValueError(refusal)
        if self.domain.factor and value.number is not None:
            return Value(value.number)
        return value

    def apply(self, fleet: Fleet, value: Value) -> Fleet:
        """Return the fleet with that value of the parameter."""
        return self.change.apply(fleet, value)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of parameter, for the lists that messages and documents show.

    Attributes:
        form: How it is written.
        meaning: What it changes.
        domain: Its values.
    """

    form: str
    meaning: str
    domain: Domain


_LOAD_FIELDS: Mapping[str, tuple[str, Domain]] = {
    "rate": ("arrival_rate_rps", AMOUNT),
    "input_tokens": ("input_tokens", AMOUNT),
    "output_tokens": ("output_tokens", AMOUNT),
    "arrival_cv": ("arrival_cv", CV),
    "input_tokens_cv": ("input_tokens_cv", CV),
    "output_tokens_cv": ("output_tokens_cv", CV),
    "prefix_hit_rate": ("prefix_hit_rate", Domain(most=1.0)),
}


_WHOM = "[.SERVER|.CLASS|.MODEL|.CLASS/MODEL]"
_TARGET_FIELDS = ("ttft_ms", "itl_ms", "e2e_ms", "tps")
_TARGET_FORM = "target[.CLASS|.MODEL|.CLASS/MODEL].FIELD"

KINDS: tuple[Kind, ...] = (
    Kind("load[.SERVER|.CLASS|.MODEL|.CLASS/MODEL]", "arrival rates, multiplied", FACTOR),
    *(
        Kind(f"{name}[.SERVER|.CLASS|.MODEL|.CLASS/MODEL]", f"`{field}` of loads", domain)
        for name, (field, domain) in _LOAD_FIELDS.items()
    ),
    Kind("targets[.CLASS|.MODEL|.CLASS/MODEL]", "all latency targets, multiplied", POSITIVE_FACTOR),
    Kind(
        _TARGET_FORM,
        "one target: `ttft_ms`, `itl_ms`, `e2e_ms` (mean; `ttft_ms.p95` a percentile) or `tps`",
        POSITIVE,
    ),
    Kind(
        "price[.TYPE|.ACCELERATOR|.POOL]",
        "price of a card of the type or the pool, or of a unit",
        AMOUNT,
    ),
    Kind("cards[.TYPE|.POOL]", "how many cards there are", COUNT),
    Kind(
        "speed[.MODEL|.ACCELERATOR|.MODEL/ACCELERATOR]",
        "engine times of profiles, divided",
        POSITIVE_FACTOR,
    ),
    Kind(
        "profile", "profiles: documents, or shipped ones by name; `own` for the fleet's", DOCUMENTS
    ),
    Kind(f"min_replicas{_WHOM}", "least replicas of servers", WHOLE),
    Kind("max_replicas.SERVER|.CLASS|.MODEL|.CLASS/MODEL", "most replicas", POSITIVE_LIMIT),
    Kind(f"max_batch{_WHOM}", "batch limit of servers; `none` for a derived one", POSITIVE_LIMIT),
    Kind(f"spread_zones{_WHOM}", "zones that replicas stand in at least", POSITIVE_COUNT),
    Kind("quota.GROUP|.POOL", "cards that a group of pools, or one, may give", COUNT_LIMIT),
    Kind("weight.OBJECTIVE", "weight of an objective in a weighted sum", WEIGHT),
    *(Kind(name, "limit or headroom of the plan", domain) for name, (_, domain) in LIMITS.items()),
    *(Kind(name, "setting of the optimizer", domain) for name, (_, domain) in SETTINGS.items()),
)
"""All kinds of parameters, in the order in which they are documented."""


class UnknownParameterError(ValueError):
    """A text that names no parameter of the fleet.

    Attributes:
        problem: What is wrong.
    """

    def __init__(self, name: str, message: str, allowed: str) -> None:
        """Make the problem of a parameter's name."""
        self.problem = Problem(name, message, allowed)
        super().__init__(str(self.problem))


def bind(fleet: Fleet, name: str) -> Parameter:
    """Return the parameter that a name means for a fleet.

    Raises:
        UnknownParameterError: There is no such parameter, or it selects nothing.
    """
    head, _, rest = name.partition(".")
    makers: Mapping[str, Callable[[Fleet, str], tuple[Change, Domain]]] = {
        "load": _load,
        "targets": _targets,
        "target": _target,
        "price": price_parameter,
        "cards": cards_parameter,
        "speed": _speed,
        "profile": profile_parameter,
        "spread_zones": spread_parameter,
        "quota": quota_parameter,
        "weight": weight_parameter,
    }
    try:
        if head in BOUNDS and name != "max_replicas":
            change, domain = bound_parameter(fleet, head, rest)
        elif head in makers:
            change, domain = makers[head](fleet, rest)
        elif head in _LOAD_FIELDS:
            field, domain = _LOAD_FIELDS[head]
            change = LoadChange(field, _loaded(fleet, rest))
        elif name.replace("-", "_") in SETTINGS:
            change, domain = SETTINGS[name.replace("-", "_")]
        elif name.replace("-", "_") in LIMITS:
            change, domain = LIMITS[name.replace("-", "_")]
        else:
            raise _unknown(name)
    except UnknownNameError as error:
        raise UnknownParameterError(name, str(error), error.allowed) from error
    return Parameter(name, change, domain)


def _unknown(name: str) -> UnknownParameterError:
    forms = [kind.form for kind in KINDS]
    heads = list(dict.fromkeys(form.partition("[")[0].partition(".")[0] for form in forms))
    close = difflib.get_close_matches(name.partition(".")[0], heads, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return UnknownParameterError(name, f"is no parameter{hint}", ", ".join(heads))


def _loaded(fleet: Fleet, selector: str) -> frozenset[str]:
    named = servers_named(fleet, selector)
    if not any(server.load for server in fleet.servers if server.name in named):
        message = f"no server of {selector!r} has a known load" if selector else "no load is known"
        raise UnknownNameError(message, "servers with a load")
    return named


def _load(fleet: Fleet, selector: str) -> tuple[Change, Domain]:
    return LoadScale(_loaded(fleet, selector)), FACTOR


def _targets(fleet: Fleet, selector: str) -> tuple[Change, Domain]:
    return TargetScale(targets_named(fleet, selector)), POSITIVE_FACTOR


def _target(fleet: Fleet, rest: str) -> tuple[Change, Domain]:
    selector, field, statistic = _split_target(rest)
    if field not in _TARGET_FIELDS:
        message = "does not end in a target" + (f": {field!r}" if field else "")
        raise UnknownNameError(
            message, f"{_TARGET_FORM} with FIELD {some_words(_TARGET_FIELDS)}, or ttft_ms.p95"
        )
    pairs = targets_named(fleet, selector)
    latency = None if field == "tps" else Latency(field)
    change = TargetChange(pairs, latency, _percentile(field, statistic))
    return change, POSITIVE


def _split_target(rest: str) -> tuple[str, str, str]:
    """Return selector, field and statistic of ``SELECTOR.FIELD.pNN`` and its shorter forms."""
    parts = rest.split(".")
    for at in range(len(parts) - 1, -1, -1):
        if parts[at] in _TARGET_FIELDS:
            return ".".join(parts[:at]), parts[at], ".".join(parts[at + 1 :])
    return "", parts[-1], ""


def _percentile(field: str, statistic: str) -> float | None:
    if statistic in ("", "mean") and not (field == "tps" and statistic):
        return None
    allowed = "nothing" if field == "tps" else "mean, or a percentile such as p95 or p99.9"
    if field != "tps" and statistic.startswith("p"):
        try:
            percentile = float(statistic[1:])
        except ValueError:
            percentile = math.nan
        if 0 < percentile < 100:
            return percentile
    raise UnknownNameError(f"{statistic!r} behind {field} is no statistic", allowed)


def _speed(fleet: Fleet, selector: str) -> tuple[Change, Domain]:
    return SpeedChange(profiles_named(fleet, selector)), POSITIVE_FACTOR
