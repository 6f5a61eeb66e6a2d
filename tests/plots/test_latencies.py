from dataclasses import replace

import numpy as np

from stoker.cli.plots import latencies_figure
from stoker.cli.plots.latencies import MOST_SERVERS
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan
from tests.support.figures import (
    check_figure,
    draw,
    no_overlap,
    points,
    row_names,
    title_of,
    words_of,
)
from tests.support.plans import allocation, mixed_fleet, mixed_plan, server

Planned = tuple[Fleet, Plan]


def test_every_latency_and_target_has_its_mark(scarce: Planned) -> None:
    fleet, plan = scarce
    figure = latencies_figure(fleet, plan)
    check_figure(figure)
    ttft, itl = figure.axes
    names = row_names(ttft)
    assert names == [item.name for item in fleet.servers]
    for item in plan.allocations:
        row = names.index(item.server)
        assert {x for x, y in points(ttft) if y == row} == {item.ttft_ms, item.ttft_target_ms}
        assert {x for x, y in points(itl) if y == row} == {item.itl_ms, item.itl_target_ms}
    assert "[ms]" in ttft.get_xlabel()


def test_title_counts_promises_kept_and_broken(scarce: Planned) -> None:
    fleet, plan = scarce
    broken = len(plan.unplaced)
    kept = len(fleet.servers) - broken
    assert title_of(latencies_figure(fleet, plan)) == (
        f"{kept} of {len(fleet.servers)} servers predicted to keep targets, {broken} to break one"
    )


def test_wide_ranges_are_on_a_log_axis(scarce: Planned) -> None:
    ttft, _ = latencies_figure(*scarce).axes
    assert ttft.get_xscale() == "log"
    assert "log scale" in ttft.get_xlabel()


def test_unknown_figures_are_said_to_be_unknown() -> None:
    figure = latencies_figure(mixed_fleet(), mixed_plan())
    check_figure(figure)
    ttft, itl = figure.axes
    assert words_of(ttft).count("not placed") == 2
    assert "nothing to serve" in words_of(ttft)
    assert "unknown" in words_of(itl)
    assert "unknown" not in words_of(ttft)


def test_target_of_an_unknown_latency_does_not_count_as_kept() -> None:
    fleet = replace(mixed_fleet(), servers=(server("one"), server("two")))
    items = (allocation("one", itl_ms=None), allocation("two"))
    figure = latencies_figure(fleet, mixed_plan(allocations=items, unplaced=()))
    assert title_of(figure) == "1 of 2 servers predicted to keep targets, 1 unknown"


def test_no_targets() -> None:
    fleet = replace(mixed_fleet(), servers=(server("one"), server("two")))
    items = tuple(
        allocation(name, ttft_target_ms=None, itl_target_ms=None) for name in ("one", "two")
    )
    figure = latencies_figure(fleet, mixed_plan(allocations=items, unplaced=()))
    check_figure(figure)
    assert len(points(figure.axes[0])) == 2
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["no target"]
    assert title_of(figure).startswith("0 of 2 servers predicted to keep targets")


def test_nothing_known_at_all(cardless: Planned, serverless: Planned) -> None:
    fleet, plan = cardless
    figure = latencies_figure(fleet, plan)
    check_figure(figure)
    assert not points(figure.axes[0])
    assert words_of(figure.axes[0]) == ["not placed"] * len(fleet.servers)
    check_figure(latencies_figure(*serverless))


def test_one_server_and_mixes(single: Planned, mixed: Planned) -> None:
    check_figure(latencies_figure(*single))
    check_figure(latencies_figure(*mixed))


def test_sixty_rows_do_not_overlap_and_more_are_cut_to_the_tightest() -> None:
    count = MOST_SERVERS + 30
    names = [f"server-{index}" for index in range(count)]
    fleet = replace(mixed_fleet(), servers=tuple(server(name) for name in names))
    items = tuple(
        allocation(name, ttft_ms=float(index + 1), itl_ms=1.0) for index, name in enumerate(names)
    )
    figure = latencies_figure(fleet, mixed_plan(allocations=items, unplaced=()))
    check_figure(figure)
    draw(figure)
    assert row_names(figure.axes[0]) == names[30:]
    assert no_overlap(list(figure.axes[0].get_yticklabels()))
    assert f"the {MOST_SERVERS} nearest" in title_of(figure)


def test_latency_of_zero_is_drawn() -> None:
    fleet = replace(mixed_fleet(), servers=(server("one"),))
    plan = mixed_plan(allocations=(allocation("one", ttft_ms=0.0, itl_ms=0.0),), unplaced=())
    figure = latencies_figure(fleet, plan)
    check_figure(figure)
    assert np.isfinite(points(figure.axes[0])).all()
