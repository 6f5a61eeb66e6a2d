"""Writing pictures to files."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path

from matplotlib.figure import Figure

from stoker.cli.plots.batches import batch_figure
from stoker.cli.plots.cards import cards_figure
from stoker.cli.plots.engine_batches import engine_batch_figure
from stoker.cli.plots.engine_load import engine_load_figure
from stoker.cli.plots.engine_replica import costliest_engine_replica
from stoker.cli.plots.engine_states import engine_states_figure
from stoker.cli.plots.latencies import latencies_figure
from stoker.cli.plots.matrix import matrix_figure
from stoker.cli.plots.replica import costliest_replica
from stoker.cli.plots.states import states_figure
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan

CARDS = "cost-and-cards.png"
MATRIX = "allocation-matrix.png"
LATENCIES = "latency-against-targets.png"
STATES = "state-distribution.png"
BATCHES = "batch-curve.png"
LOAD = "latency-over-load.png"

_DOTS_PER_INCH = 120


def write_plan_plots(fleet: Fleet, plan: Plan, directory: Path) -> list[Path]:
    """Draw a plan into a directory, and return the files in order.

    Always written: cost and cards by type, the allocation matrix, latencies against targets. With
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
    engine = costliest_engine_replica(fleet, plan)
    if engine is not None:
        figures[LOAD] = engine_load_figure(engine)
        figures[STATES] = engine_states_figure(engine)
        figures[BATCHES] = engine_batch_figure(engine)
    replica = costliest_replica(fleet, plan)
    if replica is not None:
        figures[STATES] = states_figure(replica)
        figures[BATCHES] = batch_figure(replica)
    for name in (LOAD, STATES, BATCHES):
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
