"""`stoker control manifests`: hands-off scaling by HPA or KEDA."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actuator.manifests import DesiredMetric, Follower
from stoker.cli.exits import ExitCode
from stoker.cli.options import OutputOption, examples
from stoker.cli.output import show_notes, write_text
from stoker.domain.errors import InvalidInputError, Problem, StokerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actuator.followed import ManagedWorkload
    from data.control_document.reading import ControlledFleet
    from stoker.domain.control.settings import ControlSettings

_LISTED_S = 30.0

EPILOG = examples(
    "stoker control manifests control.yaml --for keda",
    "stoker control manifests control.yaml --for hpa --metric wva | kubectl apply -f -",
)


def manifests(
    document: Annotated[
        Path,
        typer.Argument(
            metavar="CONTROL",
            help="Control document: whose workloads are to be followed.",
            show_default=False,
        ),
    ],
    follower: Annotated[
        Follower, typer.Option("--for", help="Who writes replicas.", case_sensitive=False)
    ] = Follower.KEDA,
    metric: Annotated[
        DesiredMetric,
        typer.Option(
            help="Whose metric names are read; those of `wva` and `inferno` need "
            "`records.compatible_metrics`.",
            case_sensitive=False,
        ),
    ] = DesiredMetric.STOKER,
    prometheus: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="Where KEDA reaches Prometheus.",
            show_default="the document's",
        ),
    ] = "",
    output: OutputOption = None,
) -> None:
    """Print the manifests by which HPA or KEDA bring workloads to the replicas that Stoker emits.

    Workloads are those that the document names under `servers`; where a server names none, those
    that carry its label in the cluster. Exit code 3 where some workload cannot be followed.
    """
    from actuator.followed import followed, named_workloads
    from actuator.manifests import horizontal_pod_autoscaler, scaled_object
    from data.control_document.reading import read_control
    from data.yaml_writer import to_yaml_documents

    control = read_control(document)
    settings = control.settings
    url = prometheus or settings.metrics.prometheus_url
    if follower is Follower.KEDA and not url:
        message = "is missing: KEDA asks Prometheus itself"
        raise InvalidInputError([Problem("metrics.prometheus_url", message, "or --prometheus URL")])
    workloads = list(named_workloads(settings))
    problems: list[str] = []
    if any(not _names_its_own(settings, each.name) for each in control.fleet.servers):
        labelled, problems = _labelled(control)
        workloads += labelled  # last: they tell the bounds of annotations too
    found, unfit = followed(workloads, control.fleet, settings, follower)
    problems += unfit
    written = [
        scaled_object(each, metric, url)
        if follower is Follower.KEDA
        else horizontal_pod_autoscaler(each, metric)
        for each in found
    ]
    if written:
        write_text(to_yaml_documents(written), output)
    show_notes([*_notes(settings, follower, metric), *problems])
    if problems or not written:
        raise typer.Exit(ExitCode.NOT_SERVED)


def _names_its_own(settings: ControlSettings, server: str) -> bool:
    control = settings.servers.get(server)
    return control is not None and bool(control.workloads)


def _labelled(control: ControlledFleet) -> tuple[list[ManagedWorkload], list[str]]:
    """Return the workloads of the cluster, and what is wrong with others.

    Raises:
        StokerError: The cluster does not tell.
    """
    from actuator.followed import ManagedWorkload
    from collector.kubernetes.api import ApiServer, connect
    from collector.kubernetes.mirror import Mirror
    from collector.kubernetes.state import KINDS, cluster_state

    fleet, settings = control.fleet, control.settings
    api = ApiServer(connect(settings.cluster))
    with Mirror(api, KINDS, settings.cluster.namespaces, time.monotonic) as mirror:
        mirror.wait_listed(_LISTED_S)
        state = cluster_state(mirror, fleet, settings.cluster, settings.servers, time.time())
    if state is None:
        raise StokerError(
            "the cluster does not tell its workloads; let stoker doctor examine it, or name the "
            "workloads of every server under servers"
        )
    fit = [
        ManagedWorkload(
            each.ref, each.server, each.accelerator, each.min_replicas, each.max_replicas
        )
        for each in state.variants
        if not each.problem
    ]
    return fit, [each.problem for each in state.variants if each.problem]


def _notes(settings: ControlSettings, follower: Follower, metric: DesiredMetric) -> Iterator[str]:
    from stoker.domain.control.choices import Actuation

    if settings.cluster.actuation is not Actuation.EMIT:
        yield "cluster.actuation is scale: set it to emit, or two write the same replicas"
    if metric is not DesiredMetric.STOKER and not settings.records.compatible_metrics:
        yield f"{metric.series} is emitted with records.compatible_metrics: true alone"
    if follower is Follower.KEDA and settings.metrics.bearer_token_file:
        yield "Prometheus takes a token: name a TriggerAuthentication in each trigger"
    if follower is Follower.HPA and any(each.scale_to_zero for each in settings.servers.values()):
        yield "an HPA keeps one replica where scale_to_zero is set; KEDA goes to zero"
