"""`stoker place`: put the replicas of a plan on real nodes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stoker.cli.exits import ExitCode
from stoker.cli.figures import count_of
from stoker.cli.options import FormatOption, OutputOption, examples, positive
from stoker.cli.output import (
    TextFormat,
    check_output_directory,
    check_output_file,
    json_text,
    output_width,
    plain_text,
    progress,
    show,
    show_notes,
    write_text,
)
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.placement import PlacementStrategy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from data.planned_replicas import PlannedReplicas
    from stoker.domain.nodes import Node
    from stoker.domain.placement import NodePlacement

_MOST_NAMED = 5

EPILOG = (
    examples(
        "stoker place plan.json --nodes nodes.yaml",
        "stoker place plan.json --nodes nodes.yaml --strategy spread --most-per-node 2",
        "stoker place plan.json --nodes nodes.yaml --fleet small --format json",
        "stoker place plan.json --fleet fleet.yaml",
    )
    + """

**Exit codes**

0: every replica has a place. 2: bad input. 3: some replica does not fit; the placement of the
others is printed all the same."""
)


def place(
    plan: Annotated[
        Path,
        typer.Argument(
            metavar="PLAN",
            help="A plan, as `stoker solve --format json` writes it.",
            show_default=False,
        ),
    ],
    nodes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The nodes, YAML or JSON; those of the fleet, where left out.",
            show_default=False,
        ),
    ] = None,
    fleet: Annotated[
        str | None,
        typer.Option(
            metavar="FLEET",
            help="The fleet that was planned, for the priorities of its servers (without it all "
            "are equal) and its nodes.",
            show_default=False,
        ),
    ] = None,
    strategy: Annotated[
        PlacementStrategy,
        typer.Option(
            help="`pack`: on as few idle nodes as possible; `spread`: so that losing a zone or a "
            "node loses as few replicas as possible.",
            case_sensitive=False,
        ),
    ] = PlacementStrategy.PACK,
    most_per_node: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Most replicas of a server on one node (of each accelerator, for a mix).",
            show_default=False,
        ),
    ] = None,
    time_limit: Annotated[
        float,
        typer.Option(
            metavar="S",
            help="Stop after this many seconds, with the best placement found.",
            callback=positive,
        ),
    ] = 60.0,
    output_format: FormatOption = TextFormat.TABLE,
    output: OutputOption = None,
    plots: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Draw the nodes into this directory.", show_default=False),
    ] = None,
) -> None:
    """Place the replicas of a plan on nodes.

    A plan counts cards; here every replica gets its cards on one node, and within one NVLink or
    PCIe group where the node has one large enough. What does not fit comes with the reason and
    what would make it fit. Replicas of a plan over pools stand on the nodes of their pools.
    """
    check_output_file(output)
    check_output_directory(plots, "--plots")
    asked, machines = _read(plan, nodes, fleet)
    placement = _placed(asked, machines, strategy, most_per_node, time_limit)
    show_notes(placement.notes)
    _write(machines, placement, output_format, output)
    if plots is not None:
        from stoker.cli.plots import write_figure
        from stoker.cli.plots.nodes import nodes_figure

        path = write_figure(nodes_figure(machines, placement), plots / "nodes.png")
        show_notes([f"wrote {path}"])
    raise typer.Exit(ExitCode.NOT_SERVED if placement.unfit else ExitCode.DONE)


def _read(
    plan: Path, nodes: Path | None, fleet: str | None
) -> tuple[PlannedReplicas, tuple[Node, ...]]:
    from data.fleets import read_fleet
    from data.nodes_file import read_nodes
    from data.planned_replicas import read_planned_replicas

    known = None if fleet is None else read_fleet(fleet)
    priorities = {} if known is None else known.priorities
    if nodes is not None:
        machines = read_nodes(nodes)
    elif known is not None and known.nodes:
        machines = known.nodes
    else:
        told = "is missing" if known is None else f"is missing, and {fleet} tells of no nodes"
        allowed = "a file of nodes, or --fleet with a fleet that has a section nodes"
        raise InvalidInputError([Problem("--nodes", told, allowed)])
    asked = read_planned_replicas(plan, priorities)
    if known is not None:
        show_notes(_unknown_words(asked, priorities))
    return asked, machines


def _unknown_words(asked: PlannedReplicas, priorities: Mapping[str, int]) -> list[str]:
    """Return a note on servers of the plan whose priority the fleet does not tell."""
    unknown = dict.fromkeys(item.server for item in asked.demands if item.server not in priorities)
    if not unknown:
        return []
    more = ", ..." if len(unknown) > _MOST_NAMED else ""
    named = ", ".join(list(unknown)[:_MOST_NAMED]) + more
    servers = count_of(len(unknown), "server")
    return [f"the fleet has no {named}: {servers} of the plan placed as of the first priority"]


def _placed(
    asked: PlannedReplicas,
    nodes: Sequence[Node],
    strategy: PlacementStrategy,
    most_per_node: int | None,
    time_limit_s: float,
) -> NodePlacement:
    from optimizer.nodes.in_pools import place_in_pools

    count = sum(demand.replicas for demand in asked.demands)
    message = f"Placing {count_of(count, 'replica')} on {count_of(len(nodes), 'node')}"
    with progress(message):
        return place_in_pools(
            asked.demands, nodes, asked.pools, strategy, most_per_node, time_limit_s=time_limit_s
        )


def _write(
    nodes: Sequence[Node],
    placement: NodePlacement,
    output_format: TextFormat,
    output: Path | None,
) -> None:
    if output_format is TextFormat.JSON:
        from data.placement_format import placement_to_document

        write_text(json_text(placement_to_document(placement)), output)
        return
    from stoker.cli.placement_table import placement_report

    if output is None:
        show(placement_report(nodes, placement, output_width()))
    else:
        write_text(plain_text(placement_report(nodes, placement)), output)
