"""The truth: operating points simulated, as long as their precision asks for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.fidelity.case import Json, Replica
from simulator import LatencySummary, Run, Scenario, simulate, summarize

PERCENTS = (50.0, 90.0, 95.0, 99.0)
LATENCIES = ("ttft", "itl", "token_itl", "e2e", "wait")


@dataclass(frozen=True, slots=True)
class Precision:
    """A figure and how well it must be known.

    Attributes:
        latency: Which latency.
        figure: "mean", "p50", ...
        half_width: Of the 95% interval, relative, at most.
    """

    latency: str
    figure: str
    half_width: float = 0.02


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to simulate.

    Attributes:
        wanted: What must be precise before a run counts.
        requests: Requests of the first run of a point; at least `per_slot` for each place of
            the batch.
        per_slot: See above.
        most_requests: Requests of the longest run.
    """

    wanted: tuple[Precision, ...]
    requests: int = 200_000
    per_slot: int = 1_000
    most_requests: int = 6_000_000

    def first_run(self, replica: Replica) -> int:
        """Return the requests to begin with."""
        return min(max(self.requests, self.per_slot * replica.max_batch), self.most_requests)

    def missing(self, truth: Truth, figure: str | None = None) -> float:
        """Return the largest half-width over what is wanted; 0 where none is known.

        Args:
            truth: What a run said.
            figure: Look at the precision of this one alone, such as "mean".
        """
        ratios = [
            truth.half_width(item.latency, item.figure) / item.half_width
            for item in self.wanted
            if figure in (None, item.figure)
        ]
        return max((ratio for ratio in ratios if not math.isnan(ratio)), default=0.0)


@dataclass(frozen=True, slots=True)
class Figures:
    """A latency as simulated, in milliseconds, with relative half-widths of 95% intervals.

    Attributes:
        values: By "mean" and "p50", "p90", ...
        half_widths: Likewise; NaN where unknown.
    """

    values: dict[str, float]
    half_widths: dict[str, float]


@dataclass(frozen=True, slots=True)
class Truth:
    """What a simulated replica did at one rate.

    Attributes:
        rate_rps: Requests offered per second.
        throughput_rps: Requests completed per second.
        latencies: By name, see `LATENCIES`.
        mean_in_service: Mean number of requests in service.
        mean_waiting: Mean number of requests waiting.
        busy: Share of the time with an iteration running.
        preemptions: Preemptions per request.
        too_large: Share of the requests that memory could never hold.
        kv_use: Mean share of the KV blocks in use; None without a limit.
        requests: Requests simulated.
    """

    rate_rps: float
    throughput_rps: float
    latencies: dict[str, Figures]
    mean_in_service: float
    mean_waiting: float
    busy: float
    preemptions: float
    too_large: float
    kv_use: float | None
    requests: int

    def value(self, latency: str, figure: str) -> float:
        """Return a figure such as ("ttft", "p95")."""
        return self.latencies[latency].values[figure]

    def half_width(self, latency: str, figure: str) -> float:
        """Return its relative half-width."""
        return self.latencies[latency].half_widths[figure]

    def to_json(self) -> dict[str, Json]:
        """Return the plain form; unknown figures are null."""
        plain: dict[str, Json] = {
            name: getattr(self, name) for name in self.__slots__ if name != "latencies"
        }
        for name, figures in self.latencies.items():
            plain[name] = {key: _known(value) for key, value in figures.values.items()}
            plain[f"{name}_half_width"] = {
                key: _known(value) for key, value in figures.half_widths.items()
            }
        return plain

    @classmethod
    def from_json(cls, plain: dict[str, Json]) -> Truth:
        """Return what `to_json` wrote."""
        scalars = {name: plain[name] for name in cls.__slots__ if name != "latencies"}
        latencies = {
            name: Figures(_numbers(plain[name]), _numbers(plain[f"{name}_half_width"]))
            for name in LATENCIES
        }
        return cls(**scalars, latencies=latencies)  # type: ignore[arg-type]


def saturation_rps(replica: Replica, seed: int, requests: int = 100_000) -> float:
    """Return the throughput of a replica whose queue is never empty, in requests per second.

    An open stream of the replica's own kind, above what it can serve, finds the mixed state that
    a long queue leads to; a crowd that starts at one time would keep in step where lengths are
    fixed. Its rate comes from that crowd, raised until the replica falls behind.
    """
    requests = max(requests, 800 * replica.max_batch)
    crowd = simulate(replica.crowded(requests // 4, seed))
    rate = 1.2 * summarize(crowd, ()).throughput_rps.value
    while True:
        served = _served_behind_a_queue(replica.scenario(rate, requests, seed))
        if served < 0.95 * rate:
            break
        rate *= 1.3
    # Once more, closer to the edge: the queue is long all the same.
    closer = _served_behind_a_queue(replica.scenario(1.1 * served, 2 * requests, seed + 1))
    return closer


def _served_behind_a_queue(scenario: Scenario) -> float:
    run = simulate(scenario, warm_up=0.0, cool_down=0.0)
    series = run.series
    last = len(series.at_ms) - 1
    first = int(0.3 * last)
    span_ms = series.at_ms[last - 1] - series.at_ms[first]
    return float(1000 * (series.completed[last - 1] - series.completed[first]) / span_ms)


def simulated(replica: Replica, rate_rps: float, seed: int, effort: Effort) -> Truth:
    """Return what a replica does at a rate, from one run that is long enough, or the longest."""
    requests = effort.first_run(replica)
    while True:
        truth = _truth(simulate(replica.scenario(rate_rps, requests, seed)), rate_rps)
        missing = effort.missing(truth)
        if missing <= 1.0 or requests >= effort.most_requests:
            return truth
        growth = max(2.0, min(1.3 * missing**2, 20.0))
        requests = min(int(requests * growth), effort.most_requests)


def pooled(truths: Sequence[Truth]) -> Truth:
    """Return the mean of independent runs of one operating point."""
    runs = len(truths)

    def mean(name: str) -> float:
        return math.fsum(getattr(truth, name) for truth in truths) / runs

    latencies = {}
    for name in LATENCIES:
        parts = [truth.latencies[name] for truth in truths]
        values = {key: sum(part.values[key] for part in parts) / runs for key in parts[0].values}
        widths = {
            key: math.hypot(*(part.values[key] * part.half_widths[key] for part in parts))
            / (runs * values[key] or math.nan)
            for key in values
        }
        latencies[name] = Figures(values, widths)
    return Truth(
        rate_rps=truths[0].rate_rps,
        throughput_rps=mean("throughput_rps"),
        latencies=latencies,
        mean_in_service=mean("mean_in_service"),
        mean_waiting=mean("mean_waiting"),
        busy=mean("busy"),
        preemptions=mean("preemptions"),
        too_large=mean("too_large"),
        kv_use=None if truths[0].kv_use is None else mean("kv_use"),
        requests=sum(truth.requests for truth in truths),
    )


def states(replica: Replica, rate_rps: float, seed: int, requests: int) -> list[float]:
    """Return the share of time with 0, 1, ... requests in service, up to the batch limit."""
    run = simulate(replica.scenario(rate_rps, requests, seed))
    records, measured = run.records, run.measured
    times = np.concatenate([records.admitted_ms, records.completion_ms])
    changes = np.repeat([1, -1], len(records))
    order = np.argsort(times, kind="stable")
    times, number = times[order], np.cumsum(changes[order])
    begin, end = records.arrival_ms[[measured.start, measured.stop - 1]]
    lasting = np.diff(np.clip(times, begin, end))
    # Within one instant some leave before others join: such states last no time.
    shares = np.bincount(np.maximum(number[:-1], 0), lasting, replica.max_batch + 1)
    return [float(share) for share in shares[: replica.max_batch + 1] / lasting.sum()]


def _truth(run: Run, rate_rps: float) -> Truth:
    summary = summarize(run, PERCENTS)
    return Truth(
        rate_rps=rate_rps,
        throughput_rps=summary.throughput_rps.value,
        latencies={name: _figures(getattr(summary, f"{name}_ms")) for name in LATENCIES},
        mean_in_service=summary.mean_batch,
        mean_waiting=summary.mean_waiting,
        busy=summary.busy,
        preemptions=summary.preemptions_per_request,
        too_large=summary.too_large,
        kv_use=summary.kv_use,
        requests=len(run.records),
    )


def _figures(latency: LatencySummary) -> Figures:
    estimates = {"mean": latency.mean} | {
        f"p{percent:g}": estimate for percent, estimate in latency.percentiles.items()
    }
    return Figures(
        {key: estimate.value for key, estimate in estimates.items()},
        {
            key: estimate.ci95 / estimate.value if estimate.value > 0 else math.nan
            for key, estimate in estimates.items()
        },
    )


def _known(value: float) -> Json:
    return None if math.isnan(value) else value


def _numbers(plain: Json) -> dict[str, float]:
    assert isinstance(plain, dict)
    return {
        key: float(value) if isinstance(value, int | float) else math.nan
        for key, value in plain.items()
    }
