"""Pictures of plans and of single replicas, drawn with matplotlib.

Every function here turns values into a `matplotlib.figure.Figure` or writes figures to files; none
plans anything, shows a window or touches the global state of pyplot. Pictures are made for paper
and for colour-blind eyes: hatches, markers and words say what colours say, and no meaning hangs on
red against green. The same input gives the same file, byte for byte.

Importing this package loads matplotlib: commands import it when they draw.
"""

from stoker.cli.plots.batches import batch_figure
from stoker.cli.plots.cards import cards_figure
from stoker.cli.plots.changes import Change, changes_figure
from stoker.cli.plots.comparison import Carried, carried_figure, comparison_figure
from stoker.cli.plots.difference import difference_figure
from stoker.cli.plots.engine_batches import engine_batch_figure
from stoker.cli.plots.engine_load import engine_load_figure
from stoker.cli.plots.engine_replica import (
    EngineReplica,
    costliest_engine_replica,
    planned_engine_replica,
)
from stoker.cli.plots.engine_states import engine_states_figure
from stoker.cli.plots.latencies import latencies_figure
from stoker.cli.plots.load import load_figure
from stoker.cli.plots.matrix import matrix_figure
from stoker.cli.plots.replica import PlannedReplica, costliest_replica, planned_replica
from stoker.cli.plots.scaling import ScalePoint, scaling_figure
from stoker.cli.plots.states import states_figure
from stoker.cli.plots.write import write_explanation_plots, write_figure, write_plan_plots

__all__ = [
    "Carried",
    "Change",
    "EngineReplica",
    "PlannedReplica",
    "ScalePoint",
    "batch_figure",
    "cards_figure",
    "carried_figure",
    "changes_figure",
    "comparison_figure",
    "costliest_engine_replica",
    "costliest_replica",
    "difference_figure",
    "engine_batch_figure",
    "engine_load_figure",
    "engine_states_figure",
    "latencies_figure",
    "load_figure",
    "matrix_figure",
    "planned_engine_replica",
    "planned_replica",
    "scaling_figure",
    "states_figure",
    "write_explanation_plots",
    "write_figure",
    "write_plan_plots",
]
