"""Draw the pictures of docs/plots.md and docs/demos.md: ``python -m demos.render_docs_images``.

The folder to write to may be given; it is ``docs/images`` otherwise.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
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
)
from optimizer.planner import plan_fleet
from stoker.cli.plots import write_plan_plots
from stoker.domain.errors import StokerError
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
}
"""Demonstrations by name, with the picture of each that the page shows."""

_SCALE = 0.35


def render(directory: Path) -> list[Path]:
    """Draw all pictures of the two pages and return their paths.

    Args:
        directory: Where to write: ``plots/`` and ``demos/`` are made in it.
    """
    fleet = scale_capacity(read_fleet("large"), _SCALE)
    plan = plan_fleet(fleet)
    written = write_plan_plots(fleet, plan, directory / "plots")
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


if __name__ == "__main__":
    render(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/images"))
