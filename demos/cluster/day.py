"""A day of two servers under the control loop, in minutes."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from demos.cluster.closed_loop import (
    ClosedLoop,
    Deployed,
    Document,
    Setup,
    cluster,
    looping,
    wait_until,
)
from demos.cluster.emulated import EmulatedWorkload
from demos.cluster.figures import ServerCourse, cost_figure, course_figure, course_of
from demos.cluster.hindsight import Sizes, rates_of_one, turns
from demos.cluster.moment import Watched, hour_of
from demos.cluster.nodes import GpuNode
from demos.cluster.watching import shown
from demos.report import Report, numbers_table
from emulator.load_phases import Load
from emulator.replica import ServedModel
from simulator import Engine, FixedLength, LognormalLength, SeparateLengths
from stoker.cli.figures import money
from stoker.cli.output import progress
from stoker.domain.profile import TokenWorkParameters

CURRENCY = "USD"
COST_PER_HOUR = 3.0
TTFT_MS, ITL_MS = 1500.0, 60.0

_ACCELERATOR = "H100"
_FEWEST_HOURS = 2
"""Hours of the day without which there is nothing to draw."""
_PRODUCT = "NVIDIA-H100-80GB-HBM3"
_TIMES = TokenWorkParameters(20.0, 0.12, 0.0008)
_INPUT_TOKENS, _OUTPUT_TOKENS = 300.0, 120
_MAX_BATCH = 136
_RATES = {"chat": (20.0, 15.0, 3.0), "reports": (13.0, 9.0, 14.0)}
"""Mean and amplitude of the rate, and the hour at which it is least, by server."""


def play(day_s: float) -> Report:
    """Let a day pass, and return what came of it.

    Args:
        day_s: How long the day lasts.

    Raises:
        StokerError: Programs that it needs are missing.
    """
    fleet = _fleet()
    ones = rates_of_one(fleet, {name: _load_document(rates[0]) for name, rates in _RATES.items()})
    loads = {name: _load(name, day_s) for name in _RATES}
    watched = [
        Watched(name, _ACCELERATOR, loads[name], TTFT_MS, ITL_MS, COST_PER_HOUR) for name in _RATES
    ]
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        with progress("Starting a cluster and Prometheus", "the first replicas get ready"):
            found = stack.enter_context(cluster(_setup(fleet, loads, day_s), folder))
        end_s = day_s
        with looping(found), shown(found, watched, day_s, CURRENCY) as show:
            try:
                wait_until(found, day_s, show)
            except KeyboardInterrupt:
                end_s = min(day_s, found.seconds())
        if end_s < _FEWEST_HOURS / 24 * day_s:
            raise KeyboardInterrupt  # too little to draw
        courses = [course_of(found, each, ones[each.name], end_s) for each in watched]
        attained = {name: _attained(found, name) for name in _RATES}
        return _report(found, courses, attained, day_s, end_s)


def _fleet() -> Document:
    return {
        "version": 1,
        "currency": CURRENCY,
        "accelerators": [{"name": "H100", "cost_per_hour": COST_PER_HOUR, "memory_gb": 80}],
        "capacity": {"H100": 16},
        "profiles": [
            {
                "model": f"{name}-8b",
                "accelerator": "H100",
                "max_batch": _MAX_BATCH,
                "at_tokens": _OUTPUT_TOKENS,
                "parameters": {
                    "kind": "token-work",
                    "alpha_ms": _TIMES.alpha_ms,
                    "beta_ms": _TIMES.beta_ms,
                    "gamma_ms": _TIMES.gamma_ms,
                },
            }
            for name in _RATES
        ],
        "service_classes": [
            {
                "name": "interactive",
                "priority": 1,
                "targets": [
                    {
                        "model": f"{name}-8b",
                        "ttft_ms": {"p95": TTFT_MS},
                        "itl_ms": {"p95": ITL_MS},
                    }
                    for name in _RATES
                ],
            }
        ],
        "servers": [
            {
                "name": name,
                "service_class": "interactive",
                "model": f"{name}-8b",
                "load": "unknown",
                "min_replicas": 1,
            }
            for name in _RATES
        ],
    }


def _load_document(rate_rps: float) -> dict[str, float]:
    return {
        "arrival_rate_rps": rate_rps,
        "input_tokens": _INPUT_TOKENS,
        "output_tokens": float(_OUTPUT_TOKENS),
    }


@dataclass(frozen=True, slots=True)
class _Day:
    """A wave that is deepest at one hour of the day and highest half a day later.

    Attributes:
        mean_rps: Rate in the middle.
        amplitude_rps: How far it goes up and down from there.
        deepest_h: Hour of the least load.
        duration_s: How long the day lasts.
    """

    mean_rps: float
    amplitude_rps: float
    deepest_h: float
    duration_s: float

    @property
    def peak_rps(self) -> float:
        """A rate that it never exceeds."""
        return self.mean_rps + self.amplitude_rps

    def rate_rps(self, at_s: float) -> float:
        """Return the rate at a time from its start."""
        turn = 2 * math.pi * (at_s / self.duration_s - self.deepest_h / 24)
        return self.mean_rps - self.amplitude_rps * math.cos(turn)


def _load(name: str, day_s: float) -> Load:
    lengths = SeparateLengths(LognormalLength(_INPUT_TOKENS, 0.5), FixedLength(_OUTPUT_TOKENS))
    return Load((_Day(*_RATES[name], day_s),), lengths, seed=len(name))


def _setup(fleet: Document, loads: Mapping[str, Load], day_s: float) -> Setup:
    # What takes half an hour of a real day, or a minute, takes as much less of this one, but no
    # less than the programs can follow.
    period_s = max(1.0, day_s / 60)
    startup_s = max(1.0, day_s / 60)
    window_s = max(4.0, day_s / 24)
    control = {
        "loop": {"mode": "act", "period_s": period_s, "deadline_s": period_s},
        "metrics": {
            "window_s": window_s,
            "stale_s": max(10.0, 1.5 * window_s),
            "fresh_replica_s": window_s,
        },
        "forecast": {
            "method": "linear",
            "quantile": 0.8,
            "history_s": max(8.0, day_s / 10),
            "startup_s": startup_s,
        },
        "stability": {"scale_down_window_s": 3 * period_s, "cooldown_down_s": period_s},
        "lease": {"enabled": False},
    }
    deployed = tuple(
        Deployed(
            name,
            _ACCELERATOR,
            _PRODUCT,
            1 + round(load.rate_rps(0.0) / 6.0),
            EmulatedWorkload(
                name, ServedModel(f"{name}-8b", Engine(_TIMES, _MAX_BATCH)), load, gateway=True
            ),
        )
        for name, load in loads.items()
    )
    nodes = (GpuNode("h100-a", _PRODUCT, 8), GpuNode("h100-b", _PRODUCT, 8))
    return Setup(fleet, control, nodes, deployed, startup_s, max(0.5, window_s / 8))


def _attained(found: ClosedLoop, name: str) -> float:
    requests = found.served(name)
    kept = [each.done and each.ttft_ms <= TTFT_MS and each.itl_ms <= ITL_MS for each in requests]
    return sum(kept) / max(1, len(kept))


def _report(
    found: ClosedLoop,
    courses: Sequence[ServerCourse],
    attained: Mapping[str, float],
    day_s: float,
    end_s: float,
) -> Report:
    cost = sum(course.cost for course in courses)
    hindsight = sum(course.hindsight_cost for course in courses)
    peak = sum(course.peak_cost for course in courses)
    changes = [change for _, record in found.cycles() for change in record["changes"]]
    applied = sum(change["outcome"] == "applied" for change in changes)
    slowest = max((record.took_s or 0.0 for record in found.records), default=0.0)
    findings = [
        f"{course.name}: {attained[course.name]:.1%} of {len(found.served(course.name)):,} "
        f"requests within TTFT {TTFT_MS:g} ms and ITL {ITL_MS:g} ms, on "
        f"{min(size for _, size in course.asked)} to {max(size for _, size in course.asked)} "
        "replicas."
        for course in courses
    ]
    findings.append(
        f"The day costs {money(cost)} {CURRENCY}: {cost / hindsight - 1:+.0%} against one who "
        f"knows the load and starts replicas as long before, {cost / peak - 1:+.0%} against the "
        "peak all the time."
    )
    findings.append(
        f"{len(found.records)} cycles changed something {applied} times; the slowest cycle took "
        f"{slowest:.1f} s."
    )
    rows = [
        (
            course.name,
            f"{attained[course.name]:.1%}",
            f"{max(size for _, size in course.asked)}",
            f"{turns([size for _, size in course.asked])}",
            money(course.cost),
            money(course.hindsight_cost),
            money(course.peak_cost),
        )
        for course in courses
    ]
    heads = ("server", "attained", "most", "turns", f"{CURRENCY}", "by hindsight", "always peak")
    until = "" if end_s >= day_s else f" until {hour_of(end_s, day_s)}"
    title = f"A day in {day_s:g} s{until}: the control loop on a real API server and Prometheus"
    return Report(
        title=title,
        data={
            "day_s": day_s,
            "end_s": end_s,
            "currency": CURRENCY,
            "cycles": len(found.records),
            "changes": applied,
            "servers": {
                course.name: {
                    "requests": len(found.served(course.name)),
                    "attainment": attained[course.name],
                    "asked": _listed(course.asked),
                    "serving": _listed(course.serving),
                    "by_hindsight": _listed(course.hindsight),
                    "cost": course.cost,
                    "cost_by_hindsight": course.hindsight_cost,
                    "cost_of_peak": course.peak_cost,
                }
                for course in courses
            },
        },
        tables=[numbers_table(heads, rows)],
        findings=findings,
        figures={
            "control-loop.png": course_figure(courses, title, day_s / 24, "hour of the day"),
            "cost.png": cost_figure(courses, CURRENCY, "Cost of the day"),
        },
    )


def _listed(sizes: Sizes) -> list[list[float]]:
    """Return sizes as JSON has them."""
    return [[at_s, size] for at_s, size in sizes]
