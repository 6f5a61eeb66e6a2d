"""Signals of single workloads: how the replicas do that a server has on one accelerator.

While a server moves, figures over all its replicas hide how the few new ones do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from collector.prometheus import promql
from collector.prometheus.ages import aged
from collector.prometheus.asking import Asker
from collector.prometheus.candidates import GATEWAY, PREFIXES, candidates_for
from collector.prometheus.matching import ServerSeries
from collector.prometheus.promql import Grouping, duplicate_labels
from collector.prometheus.source import Source
from stoker.domain.control.choices import EngineKind
from stoker.domain.control.cluster import WorkloadRef
from stoker.domain.control.observation import ServerObservation
from stoker.domain.control.settings import MetricSettings
from stoker.domain.control.signals import Signal, SignalName

HEALTH = (
    SignalName.TTFT_MEAN,
    SignalName.TTFT_P50,
    SignalName.TTFT_P95,
    SignalName.TTFT_P99,
    SignalName.ITL_MEAN,
    SignalName.ITL_P50,
    SignalName.ITL_P95,
    SignalName.ITL_P99,
    SignalName.ERROR_RATE,
)
"""Signals that tell how replicas do."""


@dataclass(frozen=True, slots=True)
class WorkloadSeries:
    """What the series of a workload carry.

    Attributes:
        ref: The workload.
        series: Those of its server.
        pods: Names of its pods.
    """

    ref: WorkloadRef
    series: ServerSeries
    pods: tuple[str, ...]


def read_workloads(
    source: Source,
    wanted: Sequence[WorkloadSeries],
    settings: MetricSettings,
    time_left_s: Callable[[], float],
) -> Mapping[WorkloadRef, ServerObservation]:
    """Return the health of single workloads, as far as series with the label `pod` tell it.

    Nothing is raised because of the world: what cannot be read is left out.

    Args:
        source: Where to ask.
        wanted: Which workloads.
        settings: Windows and ages.
        time_left_s: Tells how many seconds are left for all.
    """
    if not wanted:
        return {}
    asker = Asker(source, settings, time_left_s)
    there = {sample.labels.get("__name__") for sample in asker.ask(promql.names_there(PREFIXES))}
    found = {}
    for each in wanted:
        labels = {settings.model_label: each.series.model, **each.series.match}
        model = labels.pop(settings.model_label)
        group = Grouping(
            (settings.model_label, *sorted(labels)),
            settings.window_s,
            (model,),
            tuple(sorted(labels.items())),
            each.pods,
            duplicate_labels(settings.duplicate_labels, settings.distinct_labels),
        )
        ages: dict[str, float | None] = {}
        engine = each.series.engine
        engine = settings.engine if engine is EngineKind.AUTO else engine
        signals = {}
        for name in HEALTH:
            signal = _read(asker, name, engine, group, there, settings, ages)
            if signal is not None:
                signals[name] = signal
        found[each.ref] = ServerObservation(each.series.name, signals)
    return found


def _read(
    asker: Asker,
    name: SignalName,
    engine: EngineKind,
    group: Grouping,
    there: set[str | None],
    settings: MetricSettings,
    ages: dict[str, float | None],
) -> Signal | None:
    for candidate in candidates_for(name, engine):
        if candidate.engine == GATEWAY or any(metric not in there for metric in candidate.needs):
            continue
        query = candidate.expression(group)
        samples = asker.ask(query)
        if len(samples) == 1:
            if candidate.metric not in ages:
                told = asker.ask(promql.age(group, candidate.metric))
                ages[candidate.metric] = told[0].value if len(told) == 1 else None
            value = max(0.0, samples[0].value * candidate.scale)
            return aged(value, ages[candidate.metric], query, settings)
    return None
