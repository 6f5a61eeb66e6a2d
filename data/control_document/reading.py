"""From control documents to the settings of the domain, with every problem named."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from data.control_document.beyond import beyond_a_loop
from data.control_document.classes import class_checks, told_by_classes
from data.control_document.fields import ControlDocument, ServerEntry
from data.control_document.limits import limit_checks
from data.control_document.quiet import quiet_checks, quiet_hours
from data.decode import Decoded, read_document
from data.fleets import builtin_names, read_fleet
from data.problems import problems_from_validation
from data.wording import choices, shown
from stoker.domain.control.choices import (
    Actuation,
    ClassKind,
    EngineKind,
    ForecastMethod,
    Mode,
    TransitionKind,
)
from stoker.domain.control.cluster import WorkloadKind, WorkloadRef
from stoker.domain.control.settings import (
    ClusterSettings,
    ControlSettings,
    CorrectionSettings,
    ForecastSettings,
    LeaseSettings,
    LoopSettings,
    MetricSettings,
    RecordSettings,
    ServerControl,
    ServiceClassControl,
    StabilitySettings,
    TransitionSettings,
)
from stoker.domain.control.signals import SignalName
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet


@dataclass(frozen=True, slots=True)
class ControlledFleet:
    """A fleet and how it is controlled, as they were read together.

    Attributes:
        fleet: The fleet.
        settings: How it is controlled.
        version: Changes with the content of either document.
    """

    fleet: Fleet
    settings: ControlSettings
    version: str


def read_control(path: Path) -> ControlledFleet:
    """Return a control document with the fleet that it names.

    Raises:
        InvalidInputError: Every problem of the document, or of the fleet.
    """
    settings = parse_control(read_document(path), str(path))
    source = settings.fleet
    if source not in builtin_names():
        source = str((path.parent / source).resolve())
    fleet = read_fleet(source)
    settings, unfit = told_by_classes(fleet, settings, str(path))
    problems = [*_against(fleet, settings, str(path)), *unfit, *beyond_a_loop(fleet, source)]
    problems += limit_checks(fleet, settings, str(path))
    if problems:
        raise InvalidInputError(problems)
    return ControlledFleet(fleet, settings, _version(path, source))


def parse_control(decoded: Decoded, file: str = "") -> ControlSettings:
    """Return the settings of a decoded control document.

    Raises:
        InvalidInputError: Every problem of the document.
    """
    try:
        entry = ControlDocument.model_validate(decoded.value)
    except ValidationError as error:
        raise InvalidInputError(problems_from_validation(error, file, model=ControlDocument)) from (
            error
        )
    problems = list(_checks(entry, file))
    if problems:
        raise InvalidInputError(problems)
    return _settings(entry)


def _settings(entry: ControlDocument) -> ControlSettings:
    loop, metrics, forecast = entry.loop, entry.metrics, entry.forecast
    stability, transition, cluster = entry.stability, entry.transition, entry.cluster
    return ControlSettings(
        entry.fleet,
        LoopSettings(**{**loop.model_dump(), "mode": Mode(loop.mode)}),
        MetricSettings(
            **{
                **metrics.model_dump(),
                "engine": EngineKind(metrics.engine),
                "duplicate_labels": tuple(metrics.duplicate_labels),
                "distinct_labels": tuple(metrics.distinct_labels),
            }
        ),
        ForecastSettings(**{**forecast.model_dump(), "method": ForecastMethod(forecast.method)}),
        StabilitySettings(
            **{
                **stability.model_dump(),
                "quiet_hours": tuple(quiet_hours(each) for each in stability.quiet_hours),
            }
        ),
        CorrectionSettings(**entry.correction.model_dump()),
        TransitionSettings(
            **{
                **transition.model_dump(),
                "kind": TransitionKind(transition.kind),
                "canary_steps": tuple(transition.canary_steps),
            }
        ),
        ClusterSettings(
            **{
                **cluster.model_dump(),
                "namespaces": tuple(cluster.namespaces),
                "actuation": Actuation(cluster.actuation),
            }
        ),
        RecordSettings(**entry.records.model_dump()),
        LeaseSettings(**entry.lease.model_dump()),
        {each.server: _server(each) for each in entry.servers},
        {
            each.service_class: ServiceClassControl(
                ClassKind(each.kind),
                each.backlog_tokens,
                None if each.deadline is None else _moment(each.deadline),
            )
            for each in entry.service_classes
        },
    )


def _server(entry: ServerEntry) -> ServerControl:
    return ServerControl(
        entry.server,
        {
            each.accelerator: WorkloadRef(each.namespace, each.name, WorkloadKind(each.kind))
            for each in entry.workloads
        },
        dict(entry.queries),
        dict(entry.ages),
        dict(entry.match),
        EngineKind(entry.engine),
        None if entry.kind is None else ClassKind(entry.kind),
        entry.backlog_tokens,
        None if entry.deadline is None else _moment(entry.deadline),
        entry.min_replicas,
        entry.max_replicas,
        entry.scale_to_zero,
    )


def _checks(entry: ControlDocument, file: str) -> Iterator[Problem]:
    """Yield what is wrong beyond the types of single fields."""
    if entry.loop.deadline_s > entry.loop.period_s:
        yield Problem(
            "loop.deadline_s",
            f"is {entry.loop.deadline_s:g}: the next cycle would begin before this one is over",
            f"at most loop.period_s, {entry.loop.period_s:g}",
            file,
        )
    if entry.loop.dry_run and entry.loop.mode != "act":
        yield Problem(
            "loop.dry_run",
            f"is true, and the mode {entry.loop.mode} tries nothing",
            "only with mode: act",
            file,
        )
    if entry.lease.renew_s * 2 > entry.lease.duration_s:
        yield Problem(
            "lease.renew_s",
            f"is {entry.lease.renew_s:g}: one lost renewal would lose the Lease",
            f"at most half of lease.duration_s, {entry.lease.duration_s / 2:g}",
            file,
        )
    yield from quiet_checks(entry.stability.quiet_hours, file)
    steps = entry.transition.canary_steps
    if sorted(set(steps)) != steps or steps[-1] != 1.0:
        yield Problem(
            "transition.canary_steps", f"is {steps}", "shares that grow, and end with 1", file
        )
    yield from class_checks(entry.service_classes, file)
    for index, shared in enumerate(entry.service_classes):
        yield from _moment_checks(shared.deadline, f"service_classes[{index}]", file)
    seen: set[str] = set()
    for index, server in enumerate(entry.servers):
        path = f"servers[{index}]"
        yield from _server_checks(server, path, file)
        yield from _moment_checks(server.deadline, path, file)
        if not entry.service_classes:  # else its class may tell what it does not
            yield from _work_checks(server, path, file)
        if server.server in seen:
            yield Problem(f"servers[{index}].server", f"{server.server!r} is told twice", "", file)
        seen.add(server.server)


def _server_checks(server: ServerEntry, path: str, file: str) -> Iterator[Problem]:
    names = [name.value for name in SignalName]
    for name in server.queries:
        if name not in names:
            yield Problem(f"{path}.queries", f"{shown(name)} is no signal", choices(names), file)
    for name in server.ages.keys() - server.queries.keys():
        yield Problem(
            f"{path}.ages",
            f"{shown(name)} is the age of no query",
            choices(sorted(server.queries)) if server.queries else "only beside `queries`",
            file,
        )
    low, high = server.min_replicas, server.max_replicas
    if low is not None and high is not None and low > high:
        yield Problem(f"{path}.min_replicas", f"is {low}", f"at most max_replicas, {high}", file)
    accelerators = [each.accelerator for each in server.workloads]
    for name in {each for each in accelerators if accelerators.count(each) > 1}:
        yield Problem(f"{path}.workloads", f"has two on {name!r}", "one an accelerator", file)


def _moment_checks(text: str | None, path: str, file: str) -> Iterator[Problem]:
    if text is not None and _moment(text) is None:
        allowed = "a moment with its zone, such as 2026-12-01T06:00:00Z"
        yield Problem(f"{path}.deadline", f"is {shown(text)}", allowed, file)


def _work_checks(server: ServerEntry, path: str, file: str) -> Iterator[Problem]:
    told = (server.backlog_tokens, server.deadline)
    if server.kind == "batch" and None in told:
        missing = "backlog_tokens" if told[0] is None else "deadline"
        yield Problem(f"{path}.{missing}", "is missing", "needed with kind: batch", file)
    if server.kind != "batch" and told != (None, None):
        name = "deadline" if told[0] is None else "backlog_tokens"
        yield Problem(f"{path}.{name}", "is told", "only with kind: batch", file)


def _against(fleet: Fleet, settings: ControlSettings, file: str) -> Iterator[Problem]:
    """Yield names that the fleet does not have."""
    servers = [each.name for each in fleet.servers]
    accelerators = [each.name for each in fleet.accelerators]
    types = sorted({each.card_type for each in fleet.accelerators})
    for name, control in settings.servers.items():
        if name not in servers:
            message = f"the fleet has no server {shown(name)}"
            yield Problem("servers", message, choices(servers), file)
        for accelerator in control.workloads:
            if accelerator not in accelerators:
                message = f"the fleet has no accelerator {shown(accelerator)}"
                yield Problem(f"servers {name}: workloads", message, choices(accelerators), file)
    for product, card_type in settings.cluster.product_labels.items():
        if card_type not in types:
            message = f"{shown(product)}: the fleet has no card type {shown(card_type)}"
            yield Problem("cluster.product_labels", message, choices(types), file)


def _version(path: Path, source: str) -> str:
    """Return a short hash of the content of both documents."""
    digest = hashlib.sha256(path.read_bytes())
    other = Path(source)
    files = sorted(other.iterdir()) if other.is_dir() else [other]
    for each in files:
        if each.is_file():
            digest.update(each.read_bytes())
    return digest.hexdigest()[:12]


def _moment(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment.astimezone(UTC).timestamp()
