from dataclasses import replace

from data.fleets import read_fleet
from optimizer.planner import plan_fleet
from stoker.cli.plots import matrix_figure
from stoker.cli.plots.matrix import MOST_MODELS
from stoker.cli.plots.matrix_cells import CellState, matrix_cells
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan
from tests.support.figures import bars, check_figure, draw, no_overlap, title_of, words_of
from tests.support.plans import mixed_fleet, mixed_plan, server

Planned = tuple[Fleet, Plan]


def test_every_server_has_its_cell(scarce: Planned) -> None:
    fleet, plan = scarce
    figure = matrix_figure(fleet, plan)
    check_figure(figure)
    axes = figure.axes[0]
    assert len(words_of(axes)) == len(bars(axes)) == len(fleet.servers)
    served = sum(item.fully_served for item in plan.allocations)
    assert title_of(figure).startswith(f"large: {served} of {len(fleet.servers)} servers")
    for item in plan.allocations:
        wanted = f"{item.replicas} × {item.accelerator}"
        assert any(wanted in words for words in words_of(axes))


def test_words_do_not_cover_each_other(scarce: Planned, mixed: Planned) -> None:
    for fleet, plan in (scarce, mixed):
        figure = matrix_figure(fleet, plan)
        draw(figure)
        assert no_overlap(list(figure.axes[0].texts))


def test_what_is_not_served_in_full_is_hatched(scarce: Planned) -> None:
    fleet, plan = scarce
    figure = matrix_figure(fleet, plan)
    hatched = [bar for bar in bars(figure.axes[0]) if bar.get_hatch()]
    assert len(hatched) == len(plan.unplaced) > 0
    explained = [text.get_text() for text in figure.legends[0].get_texts()]
    assert explained == [CellState.BEST_EFFORT.value]


def test_plain_plan_needs_no_explanation(small: Planned) -> None:
    figure = matrix_figure(*small)
    check_figure(figure)
    assert not figure.legends
    assert not any(bar.get_hatch() for bar in bars(figure.axes[0]))


def test_mix_names_its_parts(mixed: Planned) -> None:
    fleet, plan = mixed
    cells = matrix_cells(fleet, plan)
    mixes = [item for item in plan.allocations if item.mix]
    assert mixes
    for item in mixes:
        lines = cells[item.service_class, item.model].lines
        for part in item.mix:
            assert any(f"{part.replicas} × {part.accelerator}" in line for line in lines)


def test_servers_of_one_class_and_model_share_a_cell() -> None:
    cells = matrix_cells(mixed_fleet(), mixed_plan())
    premium = cells["Premium", "llama_70b"]
    assert len(premium.lines) == 3
    assert premium.lines[1].startswith("2 × A100 + 1 × L4")
    assert premium.cost_per_hour == 9.6
    bronze = cells["Bronze", "llama_70b"]
    assert bronze.state is CellState.UNPLACED
    check_figure(matrix_figure(mixed_fleet(), mixed_plan()))


def test_many_servers_in_a_cell_are_counted() -> None:
    fleet = replace(mixed_fleet(), servers=tuple(server(f"s{index}") for index in range(20)))
    cells = matrix_cells(fleet, mixed_plan(allocations=(), unplaced=()))
    assert cells["Premium", "llama_70b"].lines[-1] == "and 17 servers more"


def test_nothing_is_placed(cardless: Planned) -> None:
    fleet, plan = cardless
    figure = matrix_figure(fleet, plan)
    check_figure(figure)
    assert all(words == "not placed\ncapacity" for words in words_of(figure.axes[0]))
    assert len(figure.axes) == 1  # no scale of costs


def test_no_servers(serverless: Planned) -> None:
    figure = matrix_figure(*serverless)
    check_figure(figure)
    assert not figure.axes


def test_one_server(single: Planned) -> None:
    figure = matrix_figure(*single)
    check_figure(figure)
    assert len(bars(figure.axes[0])) == 1


def test_large_fleets_are_cut_and_say_so() -> None:
    servers = tuple(server(f"s{index}", model=f"m{index}") for index in range(MOST_MODELS + 5))
    fleet = replace(mixed_fleet(), servers=servers)
    figure = matrix_figure(fleet, mixed_plan(allocations=(), unplaced=()))
    check_figure(figure)
    assert len(bars(figure.axes[0])) == MOST_MODELS
    assert f"first {MOST_MODELS} models" in title_of(figure)


def test_names_are_shown_literally() -> None:
    fleet = read_fleet("small")
    one = replace(fleet.servers[0], name="a$b$c")
    fleet = replace(fleet, servers=(one,), name="cost $1 and $2 " * 4)
    figure = matrix_figure(fleet, plan_fleet(fleet))
    check_figure(figure)
    assert r"\$1" in title_of(figure)
