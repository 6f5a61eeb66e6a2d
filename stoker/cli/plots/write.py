"""Writing pictures to files."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

from matplotlib.figure import Figure

from stoker.cli.plots.batches import batch_figure
from stoker.cli.plots.cards import cards_figure
from stoker.cli.plots.engine_batches import engine_batch_figure
from stoker.cli.plots.engine_load import engine_load_figure
from stoker.cli.plots.engine_replica import costliest_engine_replica
from stoker.cli.plots.engine_states import engine_states_figure
from stoker.cli.plots.explanation import alternatives_figure
from stoker.cli.plots.latencies import latencies_figure
from stoker.cli.plots.limits import limits_figure
from stoker.cli.plots.matrix import matrix_figure
from stoker.cli.plots.plan_pools import plan_pools_figure
from stoker.cli.plots.replica import costliest_replica
from stoker.cli.plots.replica_ranges import replica_ranges_figure
from stoker.cli.plots.shadow_prices import shadow_prices_figure
from stoker.cli.plots.states import states_figure
from stoker.domain.explanation import Explanation
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan

CARDS = "cost-and-cards.png"
MATRIX = "allocation-matrix.png"
LATENCIES = "latency-against-targets.png"
STATES = "state-distribution.png"
BATCHES = "batch-curve.png"
LOAD = "latency-over-load.png"
POOLS = "pools.png"
LIMITS = "limits.png"
ALTERNATIVES = "alternatives.png"
SHADOW_PRICES = "shadow-prices.png"
RANGES = "replica-ranges.png"

_DOTS_PER_INCH = 120


def write_plan_plots(fleet: Fleet, plan: Plan, directory: Path) -> list[Path]:
    """Draw a plan into a directory, and return the files in order.

    Always written: cost and cards by type, the allocation matrix, latencies against targets. A
    plan over pools has its pools drawn, and one with limits what it uses of them. With
    a server whose replica can be redrawn (see `costliest_replica` and `costliest_engine_replica`),
    the state distribution and the batch curve of the costliest such server's replica follow, and
    from the analysis of the engine its latency over load. Files of those names that this plan does
    not have are removed: they would be taken for its own.

    Args:
        fleet: What was planned.
        plan: The plan.
        directory: Where to write; made where it is missing.

    Raises:
        OSError: If a file cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    figures = {
        CARDS: cards_figure(plan),
        MATRIX: matrix_figure(fleet, plan),
        LATENCIES: latencies_figure(fleet, plan),
    }
    if plan.pools:
        figures[POOLS] = plan_pools_figure(plan)
    if plan.limits:
        figures[LIMITS] = limits_figure(plan)
    engine = costliest_engine_replica(fleet, plan)
    if engine is not None:
        figures[LOAD] = engine_load_figure(engine)
        figures[STATES] = engine_states_figure(engine)
        figures[BATCHES] = engine_batch_figure(engine)
    replica = costliest_replica(fleet, plan)
    if replica is not None:
        figures[STATES] = states_figure(replica)
        figures[BATCHES] = batch_figure(replica)
    return _write(figures, (POOLS, LIMITS, LOAD, STATES, BATCHES), directory)


def write_explanation_plots(explanation: Explanation, directory: Path) -> list[Path]:
    """Draw an explanation into a directory, and return the files in order.

    What the alternatives of each server would cost, what one more of each card or limit is worth,
    and the replicas that profiles off by their error would take. What the explanation does not
    tell is not drawn, and a file of that name is removed.

    Args:
        explanation: Why a plan is so.
        directory: Where to write; made where it is missing.

    Raises:
        OSError: If a file cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    figures = {}
    if any(item.runner_up is not None for item in explanation.allocations):
        title = "What each server would have instead, and what that would cost"
        figures[ALTERNATIVES] = alternatives_figure(title, explanation)
    if explanation.shadow_prices:
        title = "What one more card, or one more unit of a limit, would save"
        figures[SHADOW_PRICES] = shadow_prices_figure(title, explanation)
    if any(item.replica_range is not None for item in explanation.allocations):
        title = "Replicas that it takes if the profile is off by its error"
        figures[RANGES] = replica_ranges_figure(title, explanation)
    return _write(figures, (ALTERNATIVES, SHADOW_PRICES, RANGES), directory)


def _write(figures: Mapping[str, Figure], maybe: Sequence[str], directory: Path) -> list[Path]:
    """Write figures by name, and remove what an earlier run left of those not drawn now."""
    for name in maybe:
        if name not in figures:
            (directory / name).unlink(missing_ok=True)
    return [write_figure(figure, directory / name) for name, figure in figures.items()]


def write_figure(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG and return the path; the same figure gives the same bytes.

    Raises:
        OSError: If the file cannot be written.
    """
    image = BytesIO()
    with warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; that is no news to act on.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(image, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(image.getvalue())
    return path
