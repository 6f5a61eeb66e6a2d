import sys
from dataclasses import replace
from pathlib import Path
from subprocess import run

import pytest
from PIL import Image

from optimizer.planner import plan_fleet
from stoker.cli.plots import cards_figure, matrix_figure, write_figure, write_plan_plots
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan

Planned = tuple[Fleet, Plan]
ALWAYS = ["cost-and-cards.png", "allocation-matrix.png", "latency-against-targets.png"]
REPLICA = ["state-distribution.png", "batch-curve.png"]


def test_all_pictures_of_a_plan(scarce: Planned, tmp_path: Path) -> None:
    written = write_plan_plots(*scarce, tmp_path / "new" / "plots")
    assert [path.name for path in written] == ALWAYS + REPLICA
    for path in written:
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert min(image.size) > 200
            assert "Software" not in image.info
            assert "Creation Time" not in image.info
        assert path.stat().st_size < 150_000


def test_plan_by_the_engine_has_its_latency_over_load(
    engine_planned: Planned, scarce: Planned, tmp_path: Path
) -> None:
    written = write_plan_plots(*engine_planned, tmp_path)
    assert [path.name for path in written] == [*ALWAYS, "latency-over-load.png", *REPLICA]
    again = write_plan_plots(*engine_planned, tmp_path / "again")
    assert [path.read_bytes() for path in written] == [path.read_bytes() for path in again]
    write_plan_plots(*scarce, tmp_path)
    assert not (tmp_path / "latency-over-load.png").exists()


def test_same_plan_same_bytes(small: Planned, tmp_path: Path) -> None:
    first = write_plan_plots(*small, tmp_path / "a")
    second = write_plan_plots(*small, tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_pictures_of_an_earlier_plan_do_not_stay(
    small: Planned, cardless: Planned, tmp_path: Path
) -> None:
    write_plan_plots(*small, tmp_path)
    (tmp_path / "mine.png").write_bytes(b"kept")
    written = write_plan_plots(*cardless, tmp_path)
    assert [path.name for path in written] == ALWAYS
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*ALWAYS, "mine.png"])


def test_pictures_of_a_fleet_without_servers(serverless: Planned, tmp_path: Path) -> None:
    assert [path.name for path in write_plan_plots(*serverless, tmp_path)] == ALWAYS


@pytest.mark.parametrize("name", ["模型-七十", "tab\tand\nline", "$x$ \\alpha _^{", "é" * 200])
def test_any_name_can_be_drawn(small: Planned, tmp_path: Path, name: str) -> None:
    fleet, _ = small
    odd = replace(fleet.servers[0], name=name)
    fleet = replace(fleet, servers=(odd,), name=name)
    write_plan_plots(fleet, plan_fleet(fleet), tmp_path)


def test_unwritable_directory_is_an_error(small: Planned, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        write_figure(cards_figure(small[1]), tmp_path / "file" / "x.png")


def test_drawing_needs_no_pyplot() -> None:
    code = "import sys, stoker.cli.plots; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0


def test_figures_do_not_depend_on_what_was_drawn_before(small: Planned, tmp_path: Path) -> None:
    fleet, plan = small
    alone = write_figure(matrix_figure(fleet, plan), tmp_path / "a.png").read_bytes()
    write_figure(cards_figure(plan), tmp_path / "b.png")
    assert write_figure(matrix_figure(fleet, plan), tmp_path / "c.png").read_bytes() == alone
