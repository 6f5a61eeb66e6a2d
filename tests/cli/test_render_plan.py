import re
import time
from dataclasses import replace

import pytest

from stoker.cli.allocation_rows import allocation_rows
from stoker.cli.output import WIDE, plain_text
from stoker.cli.render_plan import plan_report
from stoker.domain.fleet import Fleet
from stoker.domain.plan import ClassService, Plan, PlanStatus, Unplaced
from stoker.domain.reasons import Rejection, UnplacedReason
from stoker.domain.usage import CardUsage
from tests.support.plans import LONG_NAME, allocation, mixed_fleet, mixed_plan, server


def text(plan: Plan | None = None, width: int | None = None, fleet: Fleet | None = None) -> str:
    return plain_text(*plan_report(fleet or mixed_fleet(), plan or mixed_plan(), width))


def line_of(report: str, start: str) -> str:
    return next(line.strip() for line in report.splitlines() if line.strip().startswith(start))


def test_a_wide_report_has_one_line_for_each_server() -> None:
    report = text()
    assert re.fullmatch(
        rf"{LONG_NAME} +Premium +llama_70b +3 × 2xA100 +32 +4.80 +35.2 +≤ 500 +19.4 +≤ 40 "
        r"+61% +0.32% +fitted +full",
        line_of(report, LONG_NAME),
    )
    assert re.search(r"12,346 +> 500 +\? +vs 40 +61% +31.0%", line_of(report, "Bronze-best"))
    assert line_of(report, "Bronze-best").endswith("best effort")
    assert line_of(report, "Bronze-out").endswith("not placed")
    assert line_of(report, "Premium-idle").endswith("no load")


def test_a_mix_lists_its_parts_below_the_server() -> None:
    lines = [line.strip() for line in text().splitlines()]
    start = next(i for i, line in enumerate(lines) if line.startswith("Premium-mix"))
    assert "3 × mix of 2" in lines[start]
    assert lines[start + 1].startswith("· 2 × A100")
    assert lines[start + 2].startswith("· 1 × L4")


def test_a_narrow_report_keeps_every_figure_and_cuts_no_name() -> None:
    report = text(width=80)
    assert max(len(line) for line in report.splitlines()) <= 80
    assert "…" not in report
    joined = "".join(line[:24].strip() for line in report.splitlines())
    assert LONG_NAME in joined
    for figure in ("35.2", "19.4", "≤ 500", "≤ 40", "> 500", "61%", "0.32%", "31.0%", "fitted"):
        assert figure in report


def test_a_report_for_a_pipe_is_plain_and_as_wide_as_it_must_be() -> None:
    report = plan_report(mixed_fleet(), mixed_plan())
    assert report.width > WIDE
    assert "\x1b" not in plain_text(*report)
    assert all(line == line.rstrip() for line in plain_text(*report).splitlines())
    assert LONG_NAME in plain_text(*report)


def test_unplaced_servers_come_with_reason_detail_remedy_and_rejections() -> None:
    report = text()
    for words in (
        "no_candidate: No accelerator reaches ITL 1 ms.",
        "remedy: Raise the ITL target.",
        "rejected: itl_unreachable: A100; no_profile: L4",
    ):
        assert words in report


def test_what_the_time_limit_cost_is_said_once() -> None:
    late = Unplaced(
        "Premium-mix",
        UnplacedReason.TIME_LIMIT,
        "the solver ran out of time before it found any plan",
        "allow more time, or choose the greedy solver",
        {"L4": Rejection.NO_PROFILE},
    )
    never = next(item for item in mixed_plan().unplaced if item.server == "Bronze-never")
    names = ("Premium-mix", "Premium-idle", "Bronze-best", "Bronze-out")
    unplaced = (*(replace(late, server=name) for name in names), never)
    plan = mixed_plan(status=PlanStatus.TIME_LIMIT, allocations=(), unplaced=unplaced)
    lines = [line.strip() for line in text(plan).splitlines()]
    start = lines.index("4 servers")
    assert lines[start + 1] == f"time_limit: {late.detail}"
    assert lines[start + 2] == f"remedy: {late.remedy}"
    assert sum(late.detail in line for line in lines) == 1
    assert sum(line.startswith("rejected:") for line in lines) == 1
    assert "Bronze-never" in lines
    alone = text(mixed_plan(unplaced=(late,)))
    assert f"Premium-mix\n  time_limit: {late.detail}\n" in alone


def test_totals_say_cost_status_served_and_notes() -> None:
    report = text()
    assert "1,234.50 EUR per hour, 901,185.00 per month of 730 h" in report
    assert "feasible: a valid plan, gap at most 1.01% (bound 9.80 EUR/h)" in report
    assert "3 of 6 servers (priority 1: 3 of 3; priority 10: 0 of 3 (at most 1 possible))" in report
    assert "The time limit passed in the last stage." in report
    assert "solve 5.01 s" in report
    assert "analysis reference" in report


def test_cards_in_use_are_drawn_against_those_available() -> None:
    report = text()
    assert re.search(r"A100 +8 +8 +█{20} 100% +1,230.00", report)
    assert re.search(r"L4 +1 +40 +█░{19} +2% +4.50", report)
    unlimited = mixed_plan(usage=(CardUsage("A100", 8, None, 3.0),))
    assert re.search(r"A100 +8 +any +3.00", text(unlimited))
    assert "no cards used, none available" in text(mixed_plan(usage=()))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": PlanStatus.OPTIMAL, "gap": 0.0}, "optimal: proven, gap 0"),
        ({"status": PlanStatus.OPTIMAL, "gap": 1e-9}, "optimal: proven, gap below 0.0001%"),
        ({"gap": None, "bound": None}, "how far it is from the best is not known"),
        ({"status": PlanStatus.INFEASIBLE, "allocations": ()}, "infeasible: no server"),
        ({"status": PlanStatus.TIME_LIMIT, "allocations": ()}, "before any plan was found"),
    ],
)
def test_status_in_words(changes: dict[str, object], words: str) -> None:
    assert words in text(mixed_plan(**changes))


def test_what_is_proven_about_the_served_servers() -> None:
    plan = mixed_plan(services=(ClassService(1, 3, 2, 2),))
    assert "priority 1: 2 of 3 (proven the most possible)" in text(plan)


def test_the_question_mark_is_explained_only_where_it_stands() -> None:
    known = mixed_plan(allocations=(allocation(LONG_NAME),), unplaced=())
    only = replace(mixed_fleet(), servers=(server(LONG_NAME),))
    assert "? = not known" in text()
    assert "not known" not in text(known, fleet=only).replace("the best is not known", "")


def test_rows_follow_the_order_of_the_fleet() -> None:
    fleet = mixed_fleet()
    backwards = replace(fleet, servers=tuple(reversed(fleet.servers)))
    names = [row.server for row in allocation_rows(backwards, mixed_plan()) if row.server]
    assert names == [s.name for s in backwards.servers]


def test_a_report_of_thousands_of_servers_takes_seconds() -> None:
    names = [f"server-{number}" for number in range(5000)]
    fleet = replace(mixed_fleet(), servers=tuple(server(name) for name in names))
    plan = mixed_plan(allocations=tuple(allocation(name) for name in names))
    started = time.process_time()
    report = text(plan, fleet=fleet)
    assert time.process_time() - started < 10
    assert report.count("server-") == 5000
