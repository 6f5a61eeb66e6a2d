"""What control documents tell of service classes: defaults for all of their servers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from data.control_document.fields import ClassEntry
from data.wording import choices, shown
from stoker.domain.control.choices import ClassKind
from stoker.domain.control.settings import ControlSettings, ServerControl, ServiceClassControl
from stoker.domain.errors import Problem
from stoker.domain.fleet import Fleet


def class_checks(entries: Sequence[ClassEntry], file: str) -> Iterator[Problem]:
    """Yield what is wrong with what is told of service classes, whatever the fleet."""
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        path, name = f"service_classes[{index}]", entry.service_class
        if name in seen:
            yield Problem(f"{path}.service_class", f"{shown(name)} is told twice", "", file)
        seen.add(name)
        if entry.kind != "batch":
            for field in ("backlog_tokens", "deadline"):
                if getattr(entry, field) is not None:
                    yield Problem(f"{path}.{field}", "is told", "only with kind: batch", file)


def told_by_classes(
    fleet: Fleet, settings: ControlSettings, file: str
) -> tuple[ControlSettings, list[Problem]]:
    """Return the settings with what each server takes from its class, and what is wrong then.

    What is told of a server goes before what is told of its class. A server of another kind than
    its class takes nothing from it.
    """
    classes = settings.service_classes
    problems = []
    known = [each.name for each in fleet.service_classes]
    for name in classes.keys() - set(known):
        message = f"the fleet has no service class {shown(name)}"
        problems.append(Problem("service_classes", message, choices(known), file))
    if not classes:
        return settings, problems
    servers = dict(settings.servers)
    for server in fleet.servers:
        own = servers.get(server.name) or ServerControl(server.name)
        told = _with_class(own, classes, server.service_class)
        if told != ServerControl(server.name):
            servers[server.name] = told
        problems += _work_problems(told, server.service_class, file)
    return replace(settings, servers=servers), problems


def _with_class(
    own: ServerControl, classes: Mapping[str, ServiceClassControl], name: str
) -> ServerControl:
    shared = classes.get(name)
    if shared is None or own.kind not in (None, shared.kind):
        return own
    return replace(
        own,
        kind=shared.kind,
        backlog_tokens=_first(own.backlog_tokens, shared.backlog_tokens),
        deadline=_first(own.deadline, shared.deadline),
    )


def _first(own: float | None, shared: float | None) -> float | None:
    return shared if own is None else own


def _work_problems(told: ServerControl, name: str, file: str) -> Iterator[Problem]:
    work = {"backlog_tokens": told.backlog_tokens, "deadline": told.deadline}
    path = f"servers {told.server}"
    for field, value in work.items():
        if told.kind is ClassKind.BATCH and value is None:
            message = f"is missing: neither it nor its service class {shown(name)} tells it"
            yield Problem(f"{path}: {field}", message, "needed with kind: batch", file)
        if told.kind is not ClassKind.BATCH and value is not None:
            yield Problem(f"{path}: {field}", "is told", "only with kind: batch", file)
