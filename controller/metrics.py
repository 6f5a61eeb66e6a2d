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

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from controller.families import counter, gauge
from controller.record import CycleRecord
from controller.server_metrics import profile_metrics, server_metrics, startup_metrics
from controller.workload_metrics import Scaling, metrics_of_others, scalings_of, workload_metrics
from stoker import __version__
from stoker.domain.control.changes import ChangeOutcome
from stoker.domain.control.choices import Mode

_COMPATIBLE = ("inferno", "wva")


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
        self._failures = 0
        self._withdrawn = False
        self._outcomes = Counter(dict.fromkeys((each.value for each in ChangeOutcome), 0))
        self._scalings: Counter[Scaling] = Counter()

    def told(self, record: CycleRecord) -> None:
        """Take in the record of a cycle."""
        with self._lock:
            self._record = record
            self._cycles += 1
            for change in record.document["changes"]:
                self._outcomes[change["outcome"]] += 1
            self._scalings.update(scalings_of(record.document))

    def failing(self, failures: int, *, withdrawn: bool) -> None:
        """Take in how many cycles failed in a row, and whether the loop lets another one lead.

        No record tells of these, and the last one says that this loop leads.
        """
        with self._lock:
            self._failures, self._withdrawn = failures, withdrawn

    def collect(self) -> Iterable[Metric]:
        """Yield all metrics; before the first cycle counts alone."""
        with self._lock:
            record, failures = self._record, self._failures
            leads = record is not None and record.leader and not self._withdrawn
            outcomes, scalings = dict(self._outcomes), dict(self._scalings)
            cycles = self._cycles
        yield gauge("stoker_build_info", "Version of Stoker.", ("version",), {(__version__,): 1.0})
        yield counter("stoker_cycles", "Cycles of the loop.", (), {(): float(cycles)})
        yield counter(
            "stoker_changes",
            "Changes of workloads, by what came of them.",
            ("outcome",),
            {(outcome,): float(count) for outcome, count in outcomes.items()},
        )
        yield gauge(
            "stoker_failed_cycles",
            "Cycles that failed in a row, up to now.",
            (),
            {(): float(failures)},
        )
        if record is None:
            return
        yield from _loop(record, leads=leads)
        yield from server_metrics(record.document)
        yield from workload_metrics(record.document)
        yield from startup_metrics(record.document)
        yield from profile_metrics(record.document)
        if self._compatible:
            for prefix in _COMPATIBLE:
                yield from metrics_of_others(prefix, record.document, scalings)


def _loop(record: CycleRecord, *, leads: bool) -> Iterator[Metric]:
    document = record.document
    plan = document["plan"]
    made = float(plan["status"] != "none")
    writes = record.mode is not Mode.OBSERVE and not document["dry_run"]
    for name, words, value in (
        ("stoker_cycle_timestamp_seconds", "When the last cycle began.", record.at),
        ("stoker_cycle_duration_seconds", "How long the last cycle took.", record.took_s),
        (
            "stoker_leader",
            "Whether this loop may do what its mode asks for (1) or not (0).",
            float(leads),
        ),
        (
            "stoker_acts",
            "Whether this loop leads (1), of those that may write; none of one that may not.",
            float(leads) if writes else None,
        ),
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
            yield gauge(name, words, (), {(): float(value)})
    yield gauge(
        "stoker_mode",
        "What the loop may do: 1 for the mode it is in.",
        ("mode",),
        {(each.value,): float(each is record.mode) for each in Mode},
    )
    yield gauge(
        "stoker_problems_by_kind",
        "What went wrong in the last cycle, by kind.",
        ("kind",),
        {(kind,): float(count) for kind, count in document["problem_kinds"].items()},
    )
