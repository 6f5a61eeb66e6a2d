"""Draw the pictures of docs/plots.md and docs/demos.md: ``python -m demos.render_docs_images``.

The folder to write to may be given; it is ``docs/images`` otherwise.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory

from data.fleets import read_fleet
from demos import (
    d01_rising_load,
    d02_unlimited,
    d03_limited_capacity,
    d04_load_change,
    d05_scaling,
    d06_saturation_policies,
    d07_milp_against_greedy,
    d08_trace,
    d09_horizon,
    d10_sweep,
    d11_pools,
    d12_configurations,
    d13_sharing,
    d14_explanation,
    d15_control_loop,
    d16_placement,
    d17_objectives,
)
from optimizer.explaining.difference import compare_plans
from optimizer.explaining.explain import ExplainOptions, explain_plan
from optimizer.planner import plan_fleet
from stoker.cli.explanation_options import profile_errors
from stoker.cli.plots import (
    difference_figure,
    write_explanation_plots,
    write_figure,
    write_plan_plots,
)
from stoker.cli.plots.write import ALTERNATIVES, LIMITS, POOLS
from stoker.domain.errors import StokerError
from stoker.domain.limits import Headroom, Limits, Survival
from stoker.domain.scaling import scale_capacity

SHOWN: dict[str, tuple[Callable[[Path, str], dict[str, object]], str]] = {
    "01-rising-load": (d01_rising_load.main, "load.png"),
    "02-unlimited": (d02_unlimited.main, "allocation-matrix.png"),
    "03-limited-capacity": (d03_limited_capacity.main, "comparison.png"),
    "04-load-change": (d04_load_change.main, "changes.png"),
    "05-scaling": (d05_scaling.main, "scaling.png"),
    "06-saturation-policies": (d06_saturation_policies.main, "carried.png"),
    "07-milp-against-greedy": (d07_milp_against_greedy.main, "comparison.png"),
    "08-trace": (d08_trace.main, "attainment.png"),
    "09-horizon": (d09_horizon.main, "horizon.png"),
    "10-sweep": (d10_sweep.main, "sweep.png"),
    "11-pools": (d11_pools.main, "pools.png"),
    "12-configurations": (d12_configurations.main, "configurations.png"),
    "13-sharing": (d13_sharing.main, "sharing.png"),
    "14-explanation": (d14_explanation.main, "explanation.png"),
    "15-control-loop": (d15_control_loop.main, "control-loop.png"),
    "16-placement": (d16_placement.main, "placement.png"),
    "17-objectives": (d17_objectives.main, "objectives.png"),
}
"""Demonstrations by name, with the picture of each that the page shows."""

_SCALE = 0.35
_FEWER = 0.6
"""Cards of the small fleet whose plan is explained."""
_ERROR = 0.05
_BUDGET = 80.0
_POWER_W = 80_000.0


def render(directory: Path) -> list[Path]:
    """Draw all pictures of the two pages and return their paths.

    Args:
        directory: Where to write: ``plots/`` and ``demos/`` are made in it.
    """
    fleet = scale_capacity(read_fleet("large"), _SCALE)
    plan = plan_fleet(fleet)
    written = write_plan_plots(fleet, plan, directory / "plots")
    written += _pools(directory / "plots") + _explanation(directory / "plots")
    target = directory / "demos"
    target.mkdir(parents=True, exist_ok=True)
    for name, (main, picture) in SHOWN.items():
        with TemporaryDirectory() as folder:
            try:
                main(Path(folder), "table")
            except StokerError as error:
                print(f"{name}: its picture stays, since {error}", file=sys.stderr)
                continue
            written.append(Path(copyfile(Path(folder) / picture, target / f"{name}.png")))
    return written


def _pools(directory: Path) -> list[Path]:
    """Draw the pools and limits of a plan over the pools of the demonstration."""
    limits = Limits(
        budget_per_hour=_BUDGET,
        power_w=_POWER_W,
        max_server_spot_share=d11_pools.SPOT_SHARE,
        headroom=Headroom(survive=Survival.ZONE),
    )
    fleet = replace(d11_pools.quarter_fleet(), pools=d11_pools.POOLS, limits=limits)
    with TemporaryDirectory() as folder:
        drawn = write_plan_plots(fleet, plan_fleet(fleet), Path(folder))
        kept = [path for path in drawn if path.name in (POOLS, LIMITS)]
        return [Path(copyfile(path, directory / path.name)) for path in kept]


def _explanation(directory: Path) -> list[Path]:
    """Draw why a plan on fewer cards is so, and how it differs from that on all of them."""
    whole = read_fleet("small")
    fewer = scale_capacity(whole, _FEWER)
    before, plan = plan_fleet(whole), plan_fleet(fewer)
    options = ExplainOptions(time_limit_s=None, errors=profile_errors(fewer, _ERROR))
    with TemporaryDirectory() as folder:
        drawn = write_explanation_plots(explain_plan(fewer, plan, options=options), Path(folder))
        # The alternatives are what a demonstration shows.
        kept = [path for path in drawn if path.name != ALTERNATIVES]
        written = [Path(copyfile(path, directory / path.name)) for path in kept]
    figure = difference_figure(compare_plans(before, plan))
    return [*written, write_figure(figure, directory / "difference.png")]


if __name__ == "__main__":
    render(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/images"))
