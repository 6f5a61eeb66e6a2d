"""The rate to plan for: what is foretold, what a deadline asks for, nothing where all is idle."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from controller.batch import BatchProgress, deadline_load
from controller.forecast import Forecast, forecast
from controller.history import LoadHistory
from controller.idleness import unseen
from controller.load import MeasuredLoad
from controller.memory import Memory, ServerMemory
from controller.promises import target_of
from controller.season import period_of
from controller.startups import StartupTimes
from controller.waiting import none_starts, with_queue
from controller.world import running_variant
from stoker.domain.control.choices import ForecastMethod
from stoker.domain.control.cluster import VariantState
from stoker.domain.control.settings import ControlSettings, ForecastSettings, ServerControl
from stoker.domain.fleet import Fleet
from stoker.domain.server import Server

_MOST_SEASONS = 16
"""Most servers whose season is looked for in one cycle: a tenth of a second each, or so."""
_QUIET = 0.05
"""Share of the largest rate up to which a season foretells that a server stays idle."""


def rates_to_plan(
    fleet: Fleet,
    loads: Mapping[str, MeasuredLoad],
    memory: Memory,
    settings: ControlSettings,
    variants: Mapping[str, tuple[VariantState, ...]],
    at: float,
) -> dict[str, Forecast]:
    """Return the rates by the time that replicas asked for now would serve, and one cycle more.

    Servers of unknown load are left out, and so are those with work of unknown size. Parameters of
    seasons are found for a few servers a cycle, as that takes the most time; until its turn comes,
    a server is foretold with those it has, or by a line.
    """
    turns = _turns(fleet, memory, settings.forecast, at)
    found = {}
    for server in fleet.servers:
        measured = loads[server.name]
        if measured.load is None:
            continue
        remembered = memory.server(server.name)
        startup_s = startup_of(server, variants.get(server.name, ()), memory.startups, settings)
        work = remembered.batch
        if work is not None and work.left_tokens > 0:
            told = _by_deadline(work, measured, startup_s, settings)
        else:
            turn = server.name in turns
            own = variants.get(server.name, ())
            told = _foretold(server, measured, remembered, own, startup_s, settings, at, turn=turn)
            if none_starts(own):
                period_s = settings.loop.period_s
                told = with_queue(told, measured, target_of(fleet, server), period_s)
        if told is not None:
            found[server.name] = told
    return found


def with_seasons(memory: Memory, forecasts: Mapping[str, Forecast]) -> Memory:
    """Return the memory with the parameters of the seasons that told forecasts."""
    told = {
        name: replace(memory.server(name), season=each.season)
        for name, each in forecasts.items()
        if each.season is not None and each.season != memory.server(name).season
    }
    return replace(memory, servers={**memory.servers, **told}) if told else memory


def _turns(fleet: Fleet, memory: Memory, settings: ForecastSettings, at: float) -> frozenset[str]:
    """Return the servers whose season is looked for now: those without one, then the oldest."""
    if settings.method is not ForecastMethod.HOLT_WINTERS:
        return frozenset()
    waiting = []
    for server in fleet.servers:
        remembered = memory.server(server.name)
        season = remembered.season
        if season is not None and not season.old(at, settings):
            continue
        if isinstance(period_of(remembered.history, settings), int):
            waiting.append((-math.inf if season is None else season.at, server.name))
    return frozenset(name for _, name in sorted(waiting)[:_MOST_SEASONS])


def startup_of(
    server: Server,
    variants: Sequence[VariantState],
    startups: StartupTimes,
    settings: ControlSettings,
) -> float:
    """Return what a new replica of a server takes to start, on the accelerator that it runs on.

    A server that runs nowhere may be started on any of its accelerators: the slowest one counts.
    """
    otherwise_s = settings.forecast.startup_s
    names = {each.accelerator for each in variants}
    running = running_variant(tuple(variants))
    if running is not None and (running.replicas_wanted or running.replicas):
        names = {running.accelerator}
    elif not names and server.current is not None and server.current.accelerator:
        names = {server.current.accelerator}
    return max(
        (startups.expected_s(server.model, name, otherwise_s) for name in names),
        default=otherwise_s,
    )


def _by_deadline(
    work: BatchProgress, measured: MeasuredLoad, startup_s: float, settings: ControlSettings
) -> Forecast | None:
    """Return the rate that keeps a deadline; None where the size of the work is unknown."""
    due = None if measured.load is None else deadline_load(work, measured.load, startup_s)
    if due is None:
        return None
    words = f"{work.left_tokens:.6g} tokens are left until its deadline"
    rate = due.arrival_rate_rps
    return Forecast(rate, rate, 0.0, settings.forecast.method, words)


def _foretold(
    server: Server,
    measured: MeasuredLoad,
    remembered: ServerMemory,
    variants: Sequence[VariantState],
    startup_s: float,
    settings: ControlSettings,
    at: float,
    *,
    turn: bool,
) -> Forecast:
    assert measured.load is not None
    rate = measured.load.arrival_rate_rps
    horizon_s = startup_s + settings.loop.period_s
    how, season = settings.forecast, remembered.season
    waits = not turn and season is None and how.method is ForecastMethod.HOLT_WINTERS
    if waits:
        how = replace(how, method=ForecastMethod.LINEAR)
    told = forecast(remembered.history, horizon_s, how, None if turn else season)
    if told is not None and waits:
        told = replace(told, reason="its season is looked for in one of the next cycles")
    if told is None:
        return Forecast(rate, rate, 0.0, settings.forecast.method, "no history")
    idle_s = None
    if not unseen(measured, variants):
        idle_s = _idle_s(server, measured, remembered.history, settings, at)
    if idle_s is not None and not _comes_again(told, remembered.history):
        return Forecast(0.0, 0.0, horizon_s, told.method, f"idle for {idle_s:.0f} s")
    # Never plan for less than what is offered.
    return replace(told, rate_rps=max(told.rate_rps, rate))


def _idle_s(
    server: Server,
    measured: MeasuredLoad,
    history: LoadHistory,
    settings: ControlSettings,
    at: float,
) -> float | None:
    """Return how long a server that may scale to zero has been idle; None where not long enough.

    A line through the load of the last hour stays above zero long after the last request.
    """
    control = settings.servers.get(server.name) or ServerControl(server.name)
    since = history.idle_since()
    if not control.scale_to_zero or since is None or measured.inside:
        return None
    if measured.load is None or measured.load.arrival_rate_rps > 0 or measured.partial:
        return None
    return at - since if at - since >= settings.stability.zero_after_s else None


def _comes_again(told: Forecast, history: LoadHistory) -> bool:
    """Return whether a season foretells load: replicas are to be ready when it comes."""
    largest = max((each.arrival_rate_rps for each in history.samples), default=0.0)
    return told.method is ForecastMethod.HOLT_WINTERS and told.middle_rps > _QUIET * largest
