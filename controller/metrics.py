"""Metrics of the loop itself, for Prometheus: what it saw, decided and did last.

Counters begin at zero for every outcome, so that the first change of a kind is an increase.

Gauges are read off the last record when they are asked for, so that a server or a workload that is
gone has no series any more. The names of other autoscalers are a switch: HPA, KEDA and dashboards
that were made for them go on working.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from threading import Lock
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from controller.record import CycleRecord, JsonObject
from stoker import __version__
from stoker.domain.control.changes import ChangeOutcome
from stoker.domain.control.settings import Mode

_COMPATIBLE = ("inferno", "wva")
_VARIANT = ("variant_name", "namespace", "accelerator_type")
_UP, _DOWN = "up", "down"


class ControlMetrics(Collector):
    """Collects the metrics of one loop.

    Args:
        compatible: Whether the names of other autoscalers are emitted too.
    """

    def __init__(self, *, compatible: bool = False) -> None:
        self._compatible = compatible
        self._lock = Lock()
        self._record: CycleRecord | None = None
        self._cycles = 0
        self._outcomes = Counter(dict.fromkeys((each.value for each in ChangeOutcome), 0))
        self._scalings: Counter[tuple[str, str, str, str, str]] = Counter()

    def told(self, record: CycleRecord) -> None:
        """Take in the record of a cycle."""
        with self._lock:
            self._record = record
            self._cycles += 1
            for change in record.document["changes"]:
                self._outcomes[change["outcome"]] += 1
            self._scalings.update(_scalings(record.document))

    def collect(self) -> Iterable[Metric]:
        """Yield all metrics; none before the first cycle but the count of cycles."""
        with self._lock:
            record = self._record
            outcomes, scalings = dict(self._outcomes), dict(self._scalings)
            cycles = self._cycles
        yield _gauge("stoker_build_info", "Version of Stoker.", ("version",), {(__version__,): 1.0})
        yield _counter("stoker_cycles", "Cycles of the loop.", (), {(): float(cycles)})
        yield _counter(
            "stoker_changes",
            "Changes of workloads, by what came of them.",
            ("outcome",),
            {(outcome,): float(count) for outcome, count in outcomes.items()},
        )
        if record is None:
            return
        yield from _loop(record)
        yield from _servers(record.document)
        yield from _workloads(record.document)
        yield from _profiles(record.document)
        if self._compatible:
            for prefix in _COMPATIBLE:
                yield from _others(prefix, record.document, scalings)


def _loop(record: CycleRecord) -> Iterator[Metric]:
    document = record.document
    plan = document["plan"]
    made = float(plan["status"] != "none")
    for name, words, value in (
        ("stoker_cycle_timestamp_seconds", "When the last cycle began.", record.at),
        ("stoker_cycle_duration_seconds", "How long the last cycle took.", record.took_s),
        ("stoker_leader", "Whether this loop may act (1) or not (0).", float(record.leader)),
        ("stoker_paused", "Whether somebody paused the loop.", float(document["paused"])),
        (
            "stoker_plan_waits",
            "Whether a plan waits for approval.",
            float(document["proposal"] is not None),
        ),
        ("stoker_problems", "Problems that the last cycle told.", len(document["problems"])),
        (
            "stoker_plan_made",
            "Whether the last cycle made a plan.",
            made,
        ),
        ("stoker_plan_cost_per_hour", "Cost of the last plan per hour.", plan.get("cost_per_hour")),
    ):
        if value is not None:
            yield _gauge(name, words, (), {(): float(value)})
    yield _gauge(
        "stoker_mode",
        "What the loop may do: 1 for the mode it is in.",
        ("mode",),
        {(each.value,): float(each is record.mode) for each in Mode},
    )


def _servers(document: JsonObject) -> Iterator[Metric]:
    rates, foretold, known, wanted, held = {}, {}, {}, {}, {}
    values, ages = {}, {}
    for name, server in document["servers"].items():
        if server["load"] is not None:
            rates[(name,)] = server["load"]["arrival_rate_rps"]
        if server["forecast"] is not None:
            foretold[(name,)] = server["forecast"]["arrival_rate_rps"]
        for signal, told in server["signals"].items():
            known[(name, signal)] = float(told["state"] == "known")
            if told["state"] == "known" and told["value"] is not None:
                values[(name, signal)] = told["value"]
            if "age_s" in told:
                ages[(name, signal)] = told["age_s"]
        decision = server["decision"]
        if decision is None:
            continue
        if decision["wanted_replicas"] is not None:
            wanted[(name, decision["wanted_accelerator"] or "")] = float(
                decision["wanted_replicas"]
            )
        for reason in decision["held"]:
            held[(name, reason)] = 1.0
    yield _gauge(
        "stoker_server_arrival_rate_rps",
        "Requests offered per second; no series where that is unknown.",
        ("server",),
        rates,
    )
    yield _gauge(
        "stoker_server_forecast_rate_rps",
        "Requests per second that were planned for.",
        ("server",),
        foretold,
    )
    yield _gauge(
        "stoker_server_signal_known",
        "Whether a signal is known (1), or stale or unknown (0).",
        ("server", "signal"),
        known,
    )
    yield _gauge(
        "stoker_server_signal_value",
        "Value of a signal, in the unit that its name tells; no series where it is not known.",
        ("server", "signal"),
        values,
    )
    yield _gauge(
        "stoker_server_signal_age_seconds",
        "Age of the newest sample of a signal when the last cycle looked.",
        ("server", "signal"),
        ages,
    )
    yield _gauge(
        "stoker_server_wanted_replicas",
        "Replicas that the last plan asks for.",
        ("server", "accelerator"),
        wanted,
    )
    yield _gauge(
        "stoker_server_held",
        "What keeps a server from the size that the plan asks for.",
        ("server", "reason"),
        held,
    )


def _workloads(document: JsonObject) -> Iterator[Metric]:
    labels = ("workload", "namespace", "server", "accelerator")
    desired, current, ready = {}, {}, {}
    for workload in _each_workload(document):
        key = (
            workload["name"],
            workload["namespace"],
            workload["server"],
            workload["accelerator"],
        )
        desired[key] = float(workload["desired"])
        current[key] = float(workload["replicas_wanted"])
        ready[key] = float(workload["ready"])
    yield _gauge(
        "stoker_workload_desired_replicas",
        "Replicas that a workload is to have: those carried out, or those it has where none are.",
        labels,
        desired,
    )
    yield _gauge(
        "stoker_workload_replicas", "Replicas that a workload asks for now.", labels, current
    )
    yield _gauge("stoker_workload_ready_replicas", "Replicas that are ready.", labels, ready)


def _profiles(document: JsonObject) -> Iterator[Metric]:
    labels = ("model", "accelerator", "configuration", "part")
    applied, errors = {}, {}
    for profile in document["profiles"]:
        names = (profile["model"], profile["accelerator"], profile["configuration"])
        for part, told in profile["factors"].items():
            applied[(*names, part)] = told["applied"]
            errors[(*names, part)] = told["sd"]
    yield _gauge(
        "stoker_profile_factor",
        "Factor on the times of a profile that is planned with; 1 where none is applied.",
        labels,
        applied,
    )
    yield _gauge(
        "stoker_profile_factor_error",
        "How well the factor is known: standard deviation of its logarithm.",
        labels,
        errors,
    )


def _others(
    prefix: str, document: JsonObject, scalings: dict[tuple[str, str, str, str, str], int]
) -> Iterator[Metric]:
    desired, current, ratio = {}, {}, {}
    for workload in _each_workload(document):
        key = (workload["name"], workload["namespace"], workload["accelerator"])
        now, then = float(workload["replicas_wanted"]), float(workload["desired"])
        desired[key], current[key] = then, now
        ratio[key] = then / now if now else then  # their own rule for a workload without replicas
    yield _gauge(f"{prefix}_desired_replicas", "Replicas to have.", _VARIANT, desired)
    yield _gauge(f"{prefix}_current_replicas", "Replicas now.", _VARIANT, current)
    yield _gauge(f"{prefix}_desired_ratio", "Replicas to have, over those now.", _VARIANT, ratio)
    yield _counter(
        f"{prefix}_replica_scaling",
        "Changes of replicas.",
        (*_VARIANT, "direction", "reason"),
        {key: float(count) for key, count in scalings.items()},
    )


def _each_workload(document: JsonObject) -> Iterator[dict[str, Any]]:
    """Yield the workloads with the replicas that they are to have.

    What was only decided is nobody's to follow: not in the modes that change nothing, not before
    it is approved, not by a loop that is paused or does not lead.
    """
    targets = {each["workload"]: each["replicas"] for each in document["changes"]}
    cluster = document["cluster"]
    for workload in () if cluster is None else cluster["workloads"]:
        namespace, _, name = workload["workload"].partition(" ")[2].partition("/")
        desired = targets.get(workload["workload"], workload["replicas_wanted"])
        yield {**workload, "namespace": namespace, "name": name, "desired": desired}


def _scalings(document: JsonObject) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield (variant, namespace, accelerator, direction, reason) of the changes that were made."""
    accelerators = {each["workload"]: each["accelerator"] for each in _each_workload(document)}
    for change in document["changes"]:
        before = change["replicas_before"]
        if change["outcome"] != "applied" or before is None or before == change["replicas"]:
            continue
        namespace, _, name = change["workload"].partition(" ")[2].partition("/")
        direction = _UP if change["replicas"] > before else _DOWN
        yield name, namespace, accelerators.get(change["workload"], ""), direction, "optimization"


def _gauge(
    name: str, words: str, labels: tuple[str, ...], values: dict[Any, float]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, words, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def _counter(
    name: str, words: str, labels: tuple[str, ...], values: dict[Any, float]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, words, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family
