"""What there is to see of a closed loop at one moment."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from demos.cluster.closed_loop import ClosedLoop
from demos.cluster.hindsight import counted, replica_seconds, size_at
from emulator.load_phases import Load
from emulator.virtual_load import Served

_FEWEST = 5
_SHARE = 0.95
POINTS = 60
"""Moments of the day that what was so far is told at."""

_HOURS_OF_LATENCY = 1.0


@dataclass(frozen=True, slots=True)
class Watched:
    """A server that is watched.

    Attributes:
        name: The server.
        accelerator: What it runs on.
        load: The load that comes for it.
        ttft_ms: Its target for the 95th percentile of TTFT.
        itl_ms: Its target for the 95th percentile of ITL.
        cost_per_hour: Cost of a replica.
    """

    name: str
    accelerator: str
    load: Load
    ttft_ms: float
    itl_ms: float
    cost_per_hour: float


@dataclass(frozen=True, slots=True)
class ServerMoment:
    """How one server does now; None for what is not known.

    Attributes:
        watched: The server.
        offered_rps: Rate that comes now.
        planned_rps: Rate that the loop plans for.
        loads: Rates that came so far, at even distances from the start of the day to its end.
        serving: Replicas that serve.
        starting: Replicas on their way.
        draining: Replicas that finish what they have, and go.
        asked: Replicas asked for.
        sizes: Replicas that served so far, at the same times as `loads`.
        ttft_ms: 95th percentile of TTFT in the last hour of the day.
        itl_ms: 95th percentile of ITL in the last hour of the day.
        requests: Requests that have ended.
        in_time: Share of them that were served whole and within both targets.
        cost: Cost so far.
        holds: What holds it back, or what the loop does with it, in words.
    """

    watched: Watched
    offered_rps: float
    planned_rps: float | None
    loads: Sequence[float]
    serving: int
    starting: int
    draining: int
    asked: int
    sizes: Sequence[float]
    ttft_ms: float | None
    itl_ms: float | None
    requests: int
    in_time: float | None
    cost: float
    holds: str

    @property
    def cost_per_hour(self) -> float:
        """What it costs while it is like this."""
        held = self.serving + self.starting + self.draining
        return held * self.watched.cost_per_hour


@dataclass(frozen=True, slots=True)
class DecisionMade:
    """A change that the loop made.

    Attributes:
        at_s: When, since the load began.
        server: To which server.
        before: Replicas until then.
        after: Replicas from then on.
        why: What it rests on, in words.
    """

    at_s: float
    server: str
    before: int
    after: int
    why: str


@dataclass(frozen=True, slots=True)
class Moment:
    """A closed loop at one moment.

    Attributes:
        at_s: Time since the load began.
        day_s: Length of the day.
        cycles: Cycles so far.
        took_s: What the last one took; None before the first.
        problems: What the last cycle complained of.
        servers: The servers.
        decisions: Changes so far, the newest first.
    """

    at_s: float
    day_s: float
    cycles: int
    took_s: float | None
    problems: Sequence[str]
    servers: Sequence[ServerMoment]
    decisions: Sequence[DecisionMade]

    @property
    def hour(self) -> str:
        """The time of the day that is played."""
        return hour_of(self.at_s, self.day_s)


def hour_of(at_s: float, day_s: float) -> str:
    """Return a time of the day that is played, such as 09:42."""
    minutes = min(24 * 60, max(0, int(at_s / day_s * 24 * 60)))
    return f"{minutes // 60:02}:{minutes % 60:02}"


def moment_of(found: ClosedLoop, servers: Sequence[Watched], day_s: float) -> Moment:
    """Return what there is to see of a loop that runs."""
    at_s = max(0.0, min(found.seconds(), day_s))
    cycles = found.cycles()
    last: Mapping[str, Any] = cycles[-1][1] if cycles else {}
    return Moment(
        at_s,
        day_s,
        len(cycles),
        last.get("took_s"),
        tuple(last.get("problems", ())),
        tuple(_server(found, each, last, at_s, day_s) for each in servers),
        tuple(reversed(_decisions(cycles))),
    )


def _server(
    found: ClosedLoop, watched: Watched, record: Mapping[str, Any], at_s: float, day_s: float
) -> ServerMoment:
    told = record.get("servers", {}).get(watched.name, {})
    pods = found.pods(watched.name)
    served = found.served(watched.name)
    lately = at_s - day_s / 24 * _HOURS_OF_LATENCY
    recent = [each for each in served if found.sent_s(each) + each.e2e_ms / 1000.0 >= lately]
    sizes = counted(found, pods, ready=True, end_s=at_s)
    held = counted(found, pods, ready=False, end_s=at_s)
    times = [day_s * index / POINTS for index in range(POINTS)]
    return ServerMoment(
        watched,
        watched.load.rate_rps(min(at_s, day_s)),
        (told.get("forecast") or {}).get("arrival_rate_rps"),
        [watched.load.rate_rps(time_s) for time_s in times if time_s <= at_s],
        sum(each.ready_s is not None and each.stopping_s is None for each in pods),
        sum(each.ready_s is None and each.stopping_s is None for each in pods),
        sum(each.stopping_s is not None and each.gone_s is None for each in pods),
        _asked(found, watched.name, record),
        [float(size_at(sizes, time_s)) for time_s in times if time_s <= at_s],
        _tail([each.ttft_ms for each in recent]),
        _tail([each.itl_ms for each in recent]),
        len(served),
        _in_time(served, watched),
        replica_seconds(held, at_s) / 3600 * watched.cost_per_hour,
        _holds(told.get("decision") or {}),
    )


def _asked(found: ClosedLoop, name: str, record: Mapping[str, Any]) -> int:
    """Return the replicas that its workload asks for, by the newest record."""
    changed = [
        change["replicas"]
        for change in record.get("changes", ())
        if change["outcome"] == "applied" and change["workload"].endswith(f"/{name}")
    ]
    seen = [
        workload["replicas_wanted"]
        for workload in (record.get("cluster") or {}).get("workloads", ())
        if workload["server"] == name
    ]
    first = [each.replicas for each in found.setup.deployed if each.server == name]
    return int([*first, *seen, *changed][-1])


def _decisions(cycles: Sequence[tuple[float, Mapping[str, Any]]]) -> list[DecisionMade]:
    return [
        DecisionMade(
            at_s,
            change["workload"].rpartition("/")[2],
            int(change["replicas_before"]),
            int(change["replicas"]),
            _why(record, change["workload"].rpartition("/")[2]),
        )
        for at_s, record in cycles
        for change in record["changes"]
        if change["outcome"] == "applied"
    ]


def _why(record: Mapping[str, Any], server: str) -> str:
    told = record["servers"].get(server) or {}
    forecast, decision = told.get("forecast") or {}, told.get("decision") or {}
    placed = (record["plan"].get("allocations") or {}).get(server) or {}
    words = []
    if forecast.get("arrival_rate_rps") is not None:
        rate, ahead_s = forecast["arrival_rate_rps"], forecast["horizon_s"]
        words.append(f"{rate:.1f}/s expected within {ahead_s:.0f} s")
    if placed.get("max_rate_rps"):
        words.append(f"a replica carries {placed['max_rate_rps']:.1f}/s")
    if decision.get("reason"):
        words.append(decision["reason"])
    return "; ".join(words)


def _holds(decision: Mapping[str, Any]) -> str:
    if not decision:
        return "the first cycle is on its way"
    held = ", ".join(str(each).replace("_", " ") for each in decision["held"])
    if decision["direction"] in ("up", "down", "move"):
        words = {"up": "grows", "down": "shrinks", "move": "moves"}[decision["direction"]]
        return f"{words}, held by {held}" if held else words
    return f"stays: {held}" if held else "stays as it is"


def _tail(values: Sequence[float]) -> float | None:
    known = sorted(value for value in values if not math.isnan(value))
    return known[math.ceil(_SHARE * len(known)) - 1] if len(known) >= _FEWEST else None


def _in_time(served: Sequence[Served], watched: Watched) -> float | None:
    if not served:
        return None
    kept = [
        each.done and each.ttft_ms <= watched.ttft_ms and each.itl_ms <= watched.itl_ms
        for each in served
    ]
    return sum(kept) / len(kept)
