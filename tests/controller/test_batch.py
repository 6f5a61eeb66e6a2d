"""Work with a deadline: its pace, its place behind the others, and what cannot be in time."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from controller.batch import (
    HEADROOM,
    BatchProgress,
    behind_the_others,
    deadline_load,
    progress,
)
from controller.history import LoadHistory, LoadSample
from controller.memory import Memory, ServerMemory
from controller.patterns import contradiction
from controller.recall import memory_from_text, memory_to_text
from stoker.domain.control.choices import ClassKind, ForecastMethod, Mode
from stoker.domain.control.observation import ServerObservation
from stoker.domain.control.settings import (
    ControlSettings,
    ForecastSettings,
    LoopSettings,
    ServerControl,
    StabilitySettings,
)
from stoker.domain.control.signals import Signal, SignalName
from stoker.domain.workload import Load
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import PlayedWorld, workload

BEGAN = 1_000_000.0
HOUR = 3600.0
SEARCH = workload("search", "H100", 1)
CHAT = workload("chat", "H100", 1)


def batch(tokens: float = 3.6e6, hours: float = 1.0) -> ServerControl:
    return ServerControl(
        "search",
        kind=ClassKind.BATCH,
        backlog_tokens=tokens,
        deadline=BEGAN + hours * HOUR,
    )


def completing(rate: float | None, tokens: float | None = 100.0) -> ServerObservation:
    values = {SignalName.COMPLETION_RATE: rate, SignalName.OUTPUT_TOKENS: tokens}
    return ServerObservation(
        "search",
        {
            name: Signal.unknown("not told") if value is None else Signal.known(value, 1.0, "query")
            for name, value in values.items()
        },
    )


def test_work_is_counted_as_it_is_done_and_not_while_nobody_sees() -> None:
    control = batch()
    work = progress(None, control, completing(10.0), BEGAN)
    assert work == BatchProgress(3.6e6, BEGAN + HOUR, BEGAN)
    work = progress(work, control, completing(10.0), BEGAN + 30)
    assert work is not None
    assert work.done_tokens == 30_000
    for blind in (completing(None), completing(10.0, None)):
        later = progress(work, control, blind, BEGAN + 60)
        assert later is not None
        assert later.done_tokens == 30_000
    gap = progress(work, control, completing(10.0), BEGAN + 30 + HOUR)
    assert gap is not None
    assert gap.done_tokens == 30_000 + 10 * 100 * 120


def test_another_backlog_in_the_document_begins_anew() -> None:
    work = replace(BatchProgress(3.6e6, BEGAN + HOUR, BEGAN), done_tokens=1e6)
    assert progress(work, batch(7e6), completing(1.0), BEGAN + 30) == BatchProgress(
        7e6, BEGAN + HOUR, BEGAN + 30
    )
    assert progress(work, ServerControl("search"), completing(1.0), BEGAN) is None


def test_the_pace_is_what_is_left_over_the_time_that_is_left() -> None:
    load = Load(500.0, 200.0, 100.0)
    work = BatchProgress(3.6e6, BEGAN + HOUR, BEGAN, 0.6e6)
    due = deadline_load(work, load, 600.0)
    assert due is not None
    assert due.arrival_rate_rps == pytest.approx(HEADROOM * 3e6 / 100 / 3000)
    assert due.input_tokens == 200
    assert deadline_load(replace(work, done_tokens=3.6e6), load, 600.0) is None
    assert deadline_load(work, replace(load, output_tokens=0.0), 600.0) is None
    late = deadline_load(replace(work, at=BEGAN + 2 * HOUR), load, 600.0)
    assert late is not None
    assert late.arrival_rate_rps == pytest.approx(HEADROOM * 3e6 / 100 / 600)


def test_batch_servers_come_after_all_others_with_the_same_promises() -> None:
    fleet = controlled_fleet()
    controls = {"chat": replace(batch(), server="chat")}
    behind = behind_the_others(fleet, controls)
    assert behind.priorities["chat"] > max(behind.priorities["search"], behind.priorities["code"])
    assert behind.priorities["code"] == fleet.priorities["code"]
    classes = {each.name: each for each in behind.service_classes}
    own = classes[behind.servers[0].service_class]
    assert own.targets == classes["interactive"].targets
    assert behind_the_others(fleet, {}) is fleet


def world(control: ServerControl, cards: int, chat_rps: float = 20.0) -> PlayedWorld:
    settings = ControlSettings(
        loop=LoopSettings(mode=Mode.ACT, period_s=30.0),
        forecast=ForecastSettings(method=ForecastMethod.LAST, startup_s=60.0),
        stability=StabilitySettings(scale_down_window_s=60.0),
        servers={"search": control},
    )
    return PlayedWorld(
        controlled_fleet(),
        settings,
        [CHAT, SEARCH],
        {"chat": lambda _: chat_rps, "search": lambda _: 200.0},
        cards={"H100": cards, "L4": 0},
    )


def run(played: PlayedWorld, cycles: int) -> list[int]:
    """Run cycles in which search works as fast as its ready replicas can, until it has no more."""
    loop = played.loop()
    found = []
    for _ in range(cycles):
        work = played.memory.server("search").batch
        pace = 55.0 * played.ready(SEARCH.ref)
        if work is not None:
            pace = min(pace, work.left_tokens / 100.0 / 30.0)
        played.extra_signals["search"] = {
            SignalName.COMPLETION_RATE: Signal.known(pace, 1.0, "done")
        }
        if work is not None and work.left_tokens <= 0:
            played.rates["search"] = lambda _: 0.0
        loop.cycle()
        played.advance(30.0)
        found.append(played.wanted(SEARCH.ref))
    return found


def test_work_is_done_by_its_deadline_and_its_replicas_go() -> None:
    """A hundred requests a second for half an hour, dumped all at once."""
    control = replace(batch(100.0 * 100.0 * HOUR / 2, 0.5), min_replicas=1)
    played = world(control, 16)
    sizes = run(played, 61)
    work = played.memory.server("search").batch
    assert work is not None
    assert work.at <= work.deadline
    assert work.left_tokens <= 0
    assert max(sizes) == 2  # by the dump of 200 requests a second it would be four
    late = run(played, 12)
    assert late[-1] == 1
    assert not any("deadline" in each for each in played.records[-1].document["problems"])


def test_it_gets_what_the_others_leave_and_says_that_it_is_late() -> None:
    control = batch(300.0 * 100.0 * HOUR, 1.0)
    played = world(control, 5, chat_rps=120.0)
    sizes = run(played, 8)
    chat = played.wanted(CHAT.ref)
    assert chat >= 2
    assert sizes[-1] == 5 - chat > 0
    (note,) = (
        each for each in played.records[-1].document["problems"] if each.startswith("batch search")
    )
    assert "what the others leave carries" in note
    assert "cannot be met" not in note or "all 5 cards of H100 would carry" in note
    # When the others need more, it gives way.
    played.rates["chat"] = lambda _: 230.0
    assert run(played, 3)[-1] < sizes[-1]
    assert played.wanted(CHAT.ref) > chat
    played.rates["chat"] = lambda _: 400.0
    assert run(played, 3)[-1] == 1  # the last one stays, unless it may scale to zero
    assert played.records[-1].document["plan"]["unplaced"]["chat"]


def test_a_deadline_that_no_number_of_cards_keeps_is_told() -> None:
    played = world(batch(1e9, 0.2), 6)
    run(played, 2)
    note = next(
        each for each in played.records[-1].document["problems"] if each.startswith("batch search")
    )
    assert "all 6 cards of H100 would carry" in note
    assert "the deadline cannot be met" in note
    assert played.wanted(SEARCH.ref) > 1


def test_the_largest_number_of_replicas_may_be_what_is_too_small() -> None:
    played = world(replace(batch(1e8, 0.5), max_replicas=2), 16)
    run(played, 3)
    note = next(
        each for each in played.records[-1].document["problems"] if each.startswith("batch search")
    )
    assert "max_replicas 2 would carry" in note
    assert played.wanted(SEARCH.ref) == 2


def test_before_any_request_sizes_are_those_of_the_document() -> None:
    control = batch(100.0 * 100.0 * HOUR / 2, 0.5)
    for told, size in ((Load(1.0, 200.0, 100.0), 2), (None, 4)):
        played = world(control, 16)
        search = played.workloads[SEARCH.ref]
        search.state = replace(search.state, replicas_wanted=4)
        played.rates["search"] = lambda _: 0.0
        fleet = played.document.fleet
        servers = tuple(
            replace(each, load=told) if each.name == "search" else each for each in fleet.servers
        )
        played.document = replace(played.document, fleet=replace(fleet, servers=servers))
        loop = played.loop()
        for _ in range(10):
            loop.cycle()
            played.advance(30.0)
        assert played.wanted(SEARCH.ref) == size
        problems = played.records[-1].document["problems"]
        assert any("size of its requests is unknown" in each for each in problems) == (not told)


def test_progress_outlives_the_loop() -> None:
    memory = Memory({"search": ServerMemory(batch=BatchProgress(5e6, BEGAN, 7.0, 3.0))})
    assert memory_from_text(memory_to_text(memory)).servers == memory.servers


# Traffic that contradicts its kind


def history(rates: list[float], step_s: float = 30.0) -> LoadHistory:
    return LoadHistory(tuple(LoadSample(BEGAN + n * step_s, r) for n, r in enumerate(rates)))


STEADY = [10.0 + (n % 3) for n in range(200)]
DAY = [50.0 + 40.0 * math.sin(2 * math.pi * n / 288) for n in range(288)]
BULK = [400.0 if n % 40 < 2 else 1.0 for n in range(200)]
IDLE = ServerObservation("chat")


@pytest.mark.parametrize(
    ("kind", "load", "words"),
    [
        (ClassKind.REALTIME, history(STEADY), ""),
        (ClassKind.REALTIME, history(DAY, 300.0), ""),
        (ClassKind.REALTIME, history(BULK), "load in bulk suits kind: batch"),
        (ClassKind.STREAMING, history(STEADY, 300.0), ""),
        (ClassKind.STREAMING, history(DAY, 300.0), "busiest hour had 8"),
        (ClassKind.STREAMING, history(BULK), "in bulk"),
        (ClassKind.BATCH, history(BULK), ""),
        (None, history(BULK), ""),
        (ClassKind.REALTIME, history(BULK[:10]), ""),
        (ClassKind.REALTIME, history([0.0] * 200), ""),
        (ClassKind.REALTIME, LoadHistory(), ""),
    ],
)
def test_what_contradicts_a_kind(kind: ClassKind | None, load: LoadHistory, words: str) -> None:
    found = contradiction(kind, load, IDLE)
    assert (words in found) if words else not found


def test_requests_that_pile_up_contradict_realtime() -> None:
    def seen(waiting: float | None) -> ServerObservation:
        signal = Signal.unknown("none") if waiting is None else Signal.known(waiting, 1.0, "query")
        running = Signal.known(64.0, 1.0, "query")
        return ServerObservation("x", {SignalName.WAITING: signal, SignalName.RUNNING: running})

    assert "pile up" in contradiction(ClassKind.REALTIME, history(STEADY), seen(1000.0))
    assert not contradiction(ClassKind.REALTIME, history(STEADY), seen(10.0))
    assert not contradiction(ClassKind.REALTIME, history(STEADY), seen(None))
    assert not contradiction(ClassKind.STREAMING, history(STEADY), seen(1000.0))


def test_traffic_of_people_contradicts_batch() -> None:
    def seen(waiting: float | None, running: float | None) -> ServerObservation:
        told = {SignalName.WAITING: waiting, SignalName.RUNNING: running}
        return ServerObservation(
            "x",
            {
                name: Signal.unknown("none") if value is None else Signal.known(value, 1.0, "query")
                for name, value in told.items()
            },
        )

    def found(load: LoadHistory, state: ServerObservation, slots: float | None = 128.0) -> str:
        return contradiction(ClassKind.BATCH, load, state, slots)

    words = "is declared batch, but its requests come steadily, none waits, and 12 are served"
    assert words in found(history(STEADY), seen(0.0, 12.0))
    assert "suit kind: realtime" in found(history(DAY, 300.0), seen(0.0, 12.0))
    # A backlog waits, or fills the batch, or came at once; and what nobody tells is no proof.
    assert not found(history(STEADY), seen(40.0, 12.0))
    assert not found(history(STEADY), seen(0.0, 100.0))
    assert not found(history(BULK), seen(0.0, 12.0))
    assert not found(history(STEADY), seen(None, 12.0))
    assert not found(history(STEADY), seen(0.0, None))
    assert not found(history(STEADY), seen(0.0, 12.0), None)
    assert not found(history(STEADY[:10]), seen(0.0, 12.0))


def test_the_loop_tells_of_people_at_a_batch_server() -> None:
    played = world(batch(3.6e6, 8.0), 16)
    played.rates["search"] = lambda _: 4.0
    told = {SignalName.WAITING: 0.0, SignalName.RUNNING: 5.0, SignalName.COMPLETION_RATE: 4.0}
    played.extra_signals["search"] = {
        name: Signal.known(value, 1.0, "query") for name, value in told.items()
    }
    loop = played.loop()
    for _ in range(30):
        loop.cycle()
        played.advance(30.0)
    problems = played.records[-1].document["problems"]
    assert any("search is declared batch" in each for each in problems), problems


def test_the_loop_tells_of_it() -> None:
    played = world(ServerControl("search", kind=ClassKind.REALTIME), 16)
    played.rates["search"] = lambda seconds: 200.0 if seconds % 1200 < 60 else 0.5
    run(played, 45)
    assert any("load in bulk" in each for each in played.records[-1].document["problems"])
