"""Questions and orders to a loop: plans by their identity, approvals that do not outlive them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from controller.record import CycleRecord
from stoker.cli.control_report import status_report
from stoker.cli.output import plain_text
from stoker.domain.control.choices import Mode
from stoker.domain.control.orders import ConflictError, NotThereError
from stoker.domain.errors import InvalidInputError
from tests.support.desk import CHAT, CHAT_WORKLOAD, CODE, DeskWorld, desk_world


@pytest.fixture
def of(tmp_path: Path) -> DeskWorld:
    return desk_world(tmp_path)


def waiting(of: DeskWorld) -> str:
    plan = of.desk.pending()["plan"]
    assert plan is not None
    return str(plan["id"])


def test_before_the_first_cycle_there_is_nothing(of: DeskWorld) -> None:
    for ask in (of.desk.status, of.desk.pending, lambda: of.desk.approve(None, None)):
        with pytest.raises(NotThereError, match="no cycle is over yet"):
            ask()
    assert of.desk.history(5) == {"cycles": [], "next": None}


def test_a_plan_waits_until_it_is_approved_and_is_carried_out_once(of: DeskWorld) -> None:
    first = of.cycle().document
    assert first["proposal"] == {"id": waiting(of), "servers": [CHAT]}
    assert first["servers"][CHAT]["decision"]["held"] == ["awaits_approval"]
    seen = waiting(of)
    assert of.cycle().document["proposal"]["id"] == seen  # the very same is decided again
    assert of.chat() == 1
    approved = of.desk.approve(seen, None)
    assert approved["plan"] == seen
    assert list(approved["approved"]) == [CHAT]
    assert of.woken  # the loop is told at once
    assert of.desk.pending()["plan"]["approved"] == [CHAT]
    done = of.cycle().document
    assert [each["outcome"] for each in done["changes"]] == ["applied"]
    assert done["proposal"] is None
    assert done["servers"][CHAT]["decision"]["held"] == []
    grown = of.chat()
    assert grown > 1
    # Somebody takes it back: the same decision again is another one to approve.
    work = of.world.workloads[CHAT_WORKLOAD.ref]
    work.state = replace(work.state, replicas_wanted=1)
    again = of.cycle().document
    assert again["changes"] == []
    assert of.chat() == 1


def test_another_plan_than_the_one_seen_is_not_approved(of: DeskWorld) -> None:
    of.cycle()
    seen = waiting(of)
    of.world.rates[CHAT] = lambda _: 400.0
    of.cycle()
    assert waiting(of) != seen
    for give in (of.desk.approve, of.desk.reject):
        with pytest.raises(ConflictError, match=f"another one does: {waiting(of)}"):
            give(seen, None)
    of.cycle()
    assert of.chat() == 1


def test_an_approval_ends_with_the_decision_that_it_was_given_for(of: DeskWorld) -> None:
    of.cycle()
    of.desk.approve(waiting(of), None)
    of.world.rates[CHAT] = lambda _: 400.0
    other = of.cycle().document  # another decision: the approval is void, for good
    assert other["changes"] == []
    of.world.rates[CHAT] = lambda _: 150.0
    for _ in range(14):  # longer than the window of scaling down
        of.cycle()
    assert of.chat() == 1
    assert of.desk.pending()["plan"]["approved"] == []


def test_a_rejected_plan_waits_no_more_until_it_differs(of: DeskWorld) -> None:
    of.cycle()
    of.desk.approve(waiting(of), None)
    rejected = of.desk.reject(waiting(of), [CHAT])  # on second thoughts
    assert list(rejected["rejected"]) == [CHAT]
    of.cycle()
    assert of.chat() == 1
    found = of.desk.pending()
    assert found["plan"] is None
    assert list(found["rejected"]) == [CHAT]
    with pytest.raises(ConflictError, match="no plan waits"):
        of.desk.approve(None, None)
    of.world.rates[CHAT] = lambda _: 400.0
    of.cycle()
    assert of.desk.pending()["rejected"] == {}
    of.desk.approve(waiting(of), None)
    of.cycle()
    assert of.chat() > 1


def test_only_servers_of_the_plan_are_approved(of: DeskWorld) -> None:
    of.cycle()
    with pytest.raises(InvalidInputError, match=r"servers\[1\]: 'code' is none of the plan"):
        of.desk.approve(waiting(of), [CHAT, CODE])
    of.cycle()
    assert of.chat() == 1


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.ACT])
def test_plans_wait_in_the_mode_advise_alone(tmp_path: Path, mode: Mode) -> None:
    of = desk_world(tmp_path, mode)
    assert of.cycle().document["proposal"] is None
    assert of.desk.pending()["plan"] is None
    with pytest.raises(ConflictError, match=f"in the mode {mode.value}"):
        of.desk.approve(None, None)


def test_who_does_not_lead_takes_no_approval(of: DeskWorld) -> None:
    of.world.leads = False
    assert of.cycle().document["servers"][CHAT]["decision"]["held"] == ["not_leader"]
    with pytest.raises(ConflictError, match="does not lead"):
        of.desk.approve(None, None)


@pytest.mark.parametrize("mode", [Mode.ADVISE, Mode.ACT])
def test_a_paused_loop_plans_and_changes_nothing(tmp_path: Path, mode: Mode) -> None:
    of = desk_world(tmp_path, mode)
    of.desk.pause("maintenance")
    found = of.cycle().document
    assert found["paused"] is True
    assert found["servers"][CHAT]["decision"]["direction"] == "up"
    assert found["servers"][CHAT]["decision"]["held"] == ["paused"]
    if mode is Mode.ADVISE:
        of.desk.approve(None, None)
    of.cycle()
    assert of.chat() == 1
    assert of.desk.status()["paused_since"] == {"since": of.world.began, "reason": "maintenance"}
    # It is paused for whoever begins with these records.
    other = desk_world(tmp_path, mode)
    assert other.desk.status()["paused_since"] is not None
    of.desk.resume()
    assert of.desk.status()["paused_since"] is None
    of.cycle()
    assert of.chat() > 1


def test_a_pause_counts_before_the_next_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = desk_world(tmp_path, Mode.ACT)
    intend = of.journal.intend

    def paused_meanwhile(record: CycleRecord) -> None:
        intend(record)
        of.desk.pause("now")

    monkeypatch.setattr(of.journal, "intend", paused_meanwhile)
    of.cycle()
    assert of.chat() == 1
    of.desk.resume()
    monkeypatch.undo()
    of.cycle()
    assert of.chat() > 1


def test_a_trigger_wakes_the_loop(of: DeskWorld) -> None:
    assert of.desk.trigger() == {"after_cycle": 0}
    of.cycle()
    assert of.desk.trigger() == {"after_cycle": 1}
    assert len(of.woken) == 2


def test_history_comes_in_pages_that_new_cycles_do_not_move(of: DeskWorld) -> None:
    times = [of.cycle().at for _ in range(7)]
    first = of.desk.history(3)
    assert [each["cycle"] for each in first["cycles"]] == [7, 6, 5]
    of.cycle()
    second = of.desk.history(3, before=first["next"])
    assert [each["cycle"] for each in second["cycles"]] == [4, 3, 2]
    third = of.desk.history(3, before=second["next"])
    assert [each["cycle"] for each in third["cycles"]] == [1]
    assert third["next"] is None
    between = of.desk.history(10, since=times[1], until=times[3])
    assert [each["cycle"] for each in between["cycles"]] == [3, 2]
    assert first["cycles"][0]["load_unknown"] == [CODE, "search"]
    assert first["cycles"][0]["proposal"]["servers"] == [CHAT]


def test_history_of_a_server_explains_it_in_each_cycle(of: DeskWorld) -> None:
    of.cycle()
    of.cycle()
    (newest, oldest) = of.desk.history(5, server=CHAT)["cycles"]
    assert newest == of.desk.explain(CHAT, None)
    assert oldest == of.desk.explain(CHAT, 1)
    assert newest["load"]["arrival_rate_rps"] == 150.0
    assert newest["plan"]["allocation"]["replicas"] == newest["decision"]["wanted_replicas"]
    assert [each["workload"] for each in newest["workloads"]] == ["Deployment models/chat-h100"]
    unknown = "'no' is not in cycle 2, which has: chat, search"
    with pytest.raises(NotThereError, match=unknown):
        of.desk.explain("no", None)
    with pytest.raises(NotThereError, match=unknown):
        of.desk.history(5, server="no")
    with pytest.raises(NotThereError, match="cycle 9 is not among"):
        of.desk.cycle(9)


def test_status_shows_corrected_profiles_and_orders(of: DeskWorld) -> None:
    of.cycle()
    of.desk.approve(None, None)
    of.desk.pause("new nodes")
    status = of.desk.status()
    told = {"factor": 1.3123, "sd": 0.04, "applied": 1.3123, "why_not": ""}
    other = {"factor": 1.25, "sd": 0.13, "applied": 1.0, "why_not": "known to 0.13 only"}
    factors = {"decode": told, "prefill": other}
    learned = {**status["profiles"][0], "factors": factors, "observations": 4}
    text = plain_text(status_report({**status, "profiles": [*status["profiles"], learned]}))
    corrected = text.partition("Corrected profiles")[2]
    assert corrected.count(learned["model"]) == 2  # nothing was learned of the others
    assert "x1.312" in text
    assert "x1.000" in text
    assert "known to 0.13 only" in text
    assert "Paused since" in text
    assert ": new nodes" in text
    assert f"Plan {waiting(of)} waits for approval: chat" in text
    assert "Approved of it: chat" in text
