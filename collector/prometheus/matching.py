"""Which series belong to which server: by the model's name, and by labels where that is shared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from collector.prometheus.promql import DUPLICATE_LABELS, Grouping, duplicate_labels
from collector.prometheus.source import Sample
from stoker.domain.control.choices import EngineKind
from stoker.domain.control.settings import MetricSettings


@dataclass(frozen=True, slots=True)
class ServerSeries:
    """What the series of a server carry.

    Attributes:
        name: Name of the server in the fleet.
        model: Name of its model, as the engines' label tells it.
        match: Further labels that its series carry; the model's label may be among them.
        engine: Whose metric names are looked for.
        queries: The user's own queries by name of the signal.
        ages: The user's queries for the ages of these, in seconds, by name of the signal.
    """

    name: str
    model: str
    match: Mapping[str, str] = field(default_factory=dict)
    engine: EngineKind = EngineKind.AUTO
    queries: Mapping[str, str] = field(default_factory=dict)
    ages: Mapping[str, str] = field(default_factory=dict)

    @property
    def described(self) -> str:
        """The labels in words."""
        labels = {"model": self.model, **self.match}
        return ", ".join(f"{key}={value!r}" for key, value in labels.items())


@dataclass(frozen=True, slots=True)
class Matched:
    """Servers whose series are told apart by the same labels.

    Attributes:
        engine: Whose metric names are looked for.
        model_label: Label of the model.
        keys: The other labels, in order.
        servers: Name of the server by (model, values of the other labels).
        duplicates: Labels that tell scrapes of one pod apart.
        labels_of: The same the other way round.
    """

    engine: EngineKind
    model_label: str
    keys: tuple[str, ...]
    servers: Mapping[tuple[str, ...], str]
    duplicates: tuple[str, ...] = DUPLICATE_LABELS

    labels_of: Mapping[str, tuple[str, ...]] = field(init=False)

    def __post_init__(self) -> None:
        by_name = {server: values for values, server in self.servers.items()}
        object.__setattr__(self, "labels_of", by_name)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the servers."""
        return tuple(self.servers.values())

    def grouping(self, window_s: float, model_label: str = "") -> Grouping:
        """Return what queries are grouped by; `model_label` where it is not the engines' own."""
        models = tuple(sorted({key[0] for key in self.servers}))
        labels = (model_label or self.model_label, *self.keys)
        return Grouping(labels, window_s, models, duplicates=self.duplicates)

    def alone(self, server: str, window_s: float, model_label: str = "") -> Grouping:
        """Return what a query is grouped by that asks for one of the servers alone."""
        model, *values = self.labels_of[server]
        labels = (model_label or self.model_label, *self.keys)
        where = tuple(zip(self.keys, values, strict=True))
        return Grouping(labels, window_s, (model,), where, duplicates=self.duplicates)

    def rows(
        self, samples: Sequence[Sample], model_label: str = ""
    ) -> Iterator[tuple[str, Sample]]:
        """Yield (server, sample) of the samples that belong to a server."""
        labels = (model_label or self.model_label, *self.keys)
        for sample in samples:
            server = self.servers.get(tuple(sample.labels.get(label, "") for label in labels))
            if server is not None:
                yield server, sample

    def by_server(self, samples: Sequence[Sample], model_label: str = "") -> dict[str, float]:
        """Return the values by server."""
        return {server: sample.value for server, sample in self.rows(samples, model_label)}


def groups_of(
    servers: Sequence[ServerSeries], settings: MetricSettings
) -> tuple[tuple[Matched, ...], dict[str, str]]:
    """Return the servers in groups with the same labels, and why some are in none.

    A server whose series another one's would be counted with is in no group: its figures would be
    those of both.
    """
    label = settings.model_label
    wanted = {server.name: {label: server.model, **server.match} for server in servers}
    of_model: dict[str, list[ServerSeries]] = defaultdict(list)
    for server in servers:
        of_model[wanted[server.name][label]].append(server)
    ambiguous = {}
    for server in servers:
        shared = sorted(
            other.name
            for other in of_model[wanted[server.name][label]]
            if other.name != server.name
            and wanted[server.name].items() <= wanted[other.name].items()
        )
        if shared and not server.queries:
            ambiguous[server.name] = (
                f"{server.name}: series with {_words(wanted[server.name])} are those of "
                f"{', '.join(shared)} too; give each its own labels under `match`"
            )
    groups: dict[tuple[EngineKind, tuple[str, ...]], dict[tuple[str, ...], str]] = defaultdict(dict)
    for server in servers:
        if server.name in ambiguous:
            continue
        labels = dict(wanted[server.name])
        model = labels.pop(label)
        engine = server.engine if server.engine is not EngineKind.AUTO else settings.engine
        keys = tuple(sorted(labels))
        groups[engine, keys].setdefault((model, *(labels[key] for key in keys)), server.name)
    duplicates = duplicate_labels(settings.duplicate_labels, settings.distinct_labels)
    return (
        tuple(
            Matched(engine, label, keys, members, duplicates)
            for (engine, keys), members in groups.items()
        ),
        ambiguous,
    )


def _words(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in labels.items())
