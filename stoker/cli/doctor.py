"""`stoker doctor`: examine a set-up before anything acts in it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from stoker.cli.exits import ExitCode
from stoker.cli.options import FormatOption, examples, positive
from stoker.cli.output import TextFormat, json_text, progress, show, write_text
from stoker.domain.control.diagnosis import Finding, Level
from stoker.domain.errors import InvalidInputError, Problem, StokerError

EPILOG = examples(
    "stoker doctor control.yaml",
    "stoker doctor control.yaml --all",
    "stoker doctor control.yaml --format json",
)


def doctor(
    document: Annotated[
        Path,
        typer.Argument(
            metavar="CONTROL", help="Control document of the loop to examine.", show_default=False
        ),
    ],
    everything: Annotated[
        bool, typer.Option("--all", help="Show what is fine too, not only what is wrong.")
    ] = False,
    patience: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="Longest examination.", callback=positive),
    ] = 60.0,
    output_format: FormatOption = TextFormat.TABLE,
) -> None:
    """Examine documents, Prometheus, every signal, permissions, workloads, cards and profiles.

    Nothing is changed. Each finding says what to do. Exit code 3 where something cannot work, 0
    where all is fine or only worse than it could be.
    """
    with progress("examining", "Prometheus, the cluster, and every server"):
        findings = tuple(_examine(document, patience))
    errors = sum(each.level is Level.ERROR for each in findings)
    if output_format is TextFormat.JSON:
        shown = findings if everything else [f for f in findings if f.level is not Level.FINE]
        write_text(json_text([{**asdict(each), "level": each.level.value} for each in shown]))
    else:
        from stoker.cli.doctor_report import doctor_report

        show(doctor_report(findings, everything=everything))
    if errors:
        raise typer.Exit(ExitCode.NOT_SERVED)


def _examine(document: Path, patience_s: float) -> Iterator[Finding]:
    from collector.diagnosis.cluster import examine_workloads
    from collector.diagnosis.permissions import (
        examine_permissions,
        reading_verbs,
        writing_verbs,
    )
    from collector.diagnosis.signals import examine_prometheus, examine_signals
    from collector.kubernetes.api import ApiServer, connect
    from collector.kubernetes.labels import parse_selector
    from collector.kubernetes.mirror import Mirror
    from collector.kubernetes.state import KINDS, cluster_state
    from collector.observer import series_of
    from collector.prometheus.source import PrometheusSource
    from data.control_document.reading import read_control

    deadline = time.monotonic() + patience_s
    try:
        found = read_control(document)
        parse_selector(found.settings.cluster.selector)
    except InvalidInputError as error:
        for problem in error.problems:
            yield Finding("documents", str(document), Level.ERROR, str(problem), _mended(problem))
        return
    fleet, settings = found.fleet, found.settings
    yield Finding("documents", str(document), Level.FINE, f"{len(fleet.servers)} servers")
    yield from _examine_records(document)
    source = PrometheusSource(settings.metrics) if settings.metrics.prometheus_url else None
    prometheus = list(examine_prometheus(source, settings.metrics, time.time))
    yield from prometheus
    if source is not None and all(each.level is not Level.ERROR for each in prometheus):
        servers = [series_of(fleet, settings, server.name) for server in fleet.servers]
        yield from examine_signals(
            source, servers, fleet, settings, lambda: deadline - time.monotonic()
        )
    try:
        client = connect(settings.cluster)
    except StokerError as error:
        yield Finding(
            "cluster",
            "",
            Level.ERROR,
            str(error),
            "set cluster.kubeconfig to a file that kubectl --kubeconfig FILE get pods works with",
        )
        return
    permissions = list(examine_permissions(client, reading_verbs(settings), time.time))
    yield from permissions
    if any(each.topic == "cluster" and each.level is Level.ERROR for each in permissions):
        return
    with Mirror(
        ApiServer(client),
        KINDS,
        settings.cluster.namespaces,
        time.monotonic,
        others=not settings.cluster.sole_tenant,
    ) as mirror:
        mirror.wait_listed(max(1.0, deadline - time.monotonic()))
        state = cluster_state(mirror, fleet, settings.cluster, settings.servers, time.time())
        refusals = [mirror.copies(kind).problem for kind in KINDS]
    refs = () if state is None else [each.ref for each in state.variants if not each.problem]
    yield from examine_permissions(client, writing_verbs(settings, refs), time.time, first=False)
    if state is None:
        words = "; ".join(each for each in refusals if each) or "no answer in time"
        yield Finding(
            "cluster",
            "",
            Level.ERROR,
            f"does not tell workloads and pods: {words}",
            "kubectl apply -f deploy/rbac.yaml, and run the loop as its account; a slow cluster "
            "may need --patience 300",
        )
        return
    yield from examine_workloads(state, fleet, settings)


def _mended(problem: Problem) -> str:
    """Return what to write in a document instead."""
    where = f"in {problem.file}" if problem.file else "in the document"
    place = f"set {problem.path}" if problem.path else "change what its words name"
    allowed = f" to {problem.allowed}" if problem.allowed else ""
    return f"{where}, {place}{allowed}; stoker validate FLEET checks a fleet document alone"


def _examine_records(document: Path) -> Iterator[Finding]:
    from data.control_document.reading import read_control
    from stoker.cli.control_wiring import records_folder

    folder = records_folder(document, read_control(document).settings.records)
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    if place.is_dir() and os.access(place, os.W_OK):
        yield Finding("records", str(folder), Level.FINE, "can be written")
    else:
        yield Finding(
            "records",
            str(folder),
            Level.ERROR,
            "cannot be written",
            "set records.folder to a folder that the loop may write",
        )
