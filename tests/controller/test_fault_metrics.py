"""Faults and work with a deadline, as an alert sees them: metrics, status, and records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from controller.exposition import exposition_of
from controller.loop import Loop, Ports
from controller.memory import Memory
from controller.metrics import ControlMetrics
from controller.problems import ProblemKind
from controller.record import CycleRecord
from controller.summary import explanation_of
from stoker.cli.control_explanation import explanation_report
from stoker.cli.control_report import status_report
from stoker.cli.output import plain_text
from stoker.domain.control.choices import ClassKind, Mode
from stoker.domain.control.settings import ControlSettings, LoopSettings, ServerControl
from stoker.domain.control.signals import Signal, SignalName
from stoker.domain.errors import StokerError
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import PlayedWorld, workload

PERIOD_S = 30.0
CHAT = workload("chat", "H100", 1)
SEARCH = workload("search", "H100", 1)
Break = Callable[[PlayedWorld], None]


def world(mode: Mode = Mode.ACT, **servers: ServerControl) -> PlayedWorld:
    return PlayedWorld(
        controlled_fleet(),
        ControlSettings(loop=LoopSettings(mode=mode, period_s=PERIOD_S), servers=servers),
        [CHAT, SEARCH, workload("code", "H100", 1)],
        {"chat": lambda _: 20.0, "search": lambda _: 5.0, "code": lambda _: 5.0},
        cards={"H100": 8, "L4": 8},
    )


class Watched:
    """A loop, and what its address says of the last cycle."""

    def __init__(self, played: PlayedWorld) -> None:
        self.played = played
        self.loop = played.loop()
        self.metrics = ControlMetrics()

    def go(self, cycles: int = 1) -> None:
        for _ in range(cycles):
            self.metrics.told(self.loop.cycle())
            self.played.advance(PERIOD_S)

    def series(self, name: str) -> dict[tuple[str, ...], float]:
        """The series of a name, by the values of their labels, in the order of those."""
        text = exposition_of(self.metrics)().decode()
        return {
            tuple(sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name
        }

    def kinds(self) -> set[str]:
        return {kind for (kind,), count in self.series("stoker_problems_by_kind").items() if count}

    def degraded(self) -> set[tuple[str, ...]]:
        found = self.series("stoker_server_degraded")
        assert set(found.values()) <= {1.0}
        return {(server, reason) for reason, server in found}

    def status(self) -> str:
        return plain_text(status_report(self.played.records[-1].document))


def unknown_load(played: PlayedWorld) -> None:
    played.rates["chat"] = lambda _: None


def blind(played: PlayedWorld) -> None:
    played.blind_cluster = True


def no_node(played: PlayedWorld) -> None:
    work = played.workloads[CHAT.ref]
    work.state = replace(work.state, replicas_wanted=9)


def no_cards(played: PlayedWorld) -> None:
    look = played.cluster
    played.cluster = lambda: replace(look(), cards=None)  # type: ignore[method-assign]


def no_events(played: PlayedWorld) -> None:
    class Refused:
        problem = "events are not written: forbidden"
        announce = staticmethod(played.announce)

    # The lock's problem is the world's own, and stays empty.
    ports = Ports(played, played, played, played, played, played, played, Refused())
    played.loop = lambda: Loop(ports, played.document, played.memory)  # type: ignore[method-assign]


def no_lease(played: PlayedWorld) -> None:
    played.leads = False

    class Lost:
        problem = "Lease: no answer"
        holds = staticmethod(lambda: False)

    ports = Ports(played, played, played, played, Lost(), played, played, played)
    played.loop = lambda: Loop(ports, played.document, played.memory)  # type: ignore[method-assign]


def wrong_document(played: PlayedWorld) -> None:
    def refuse() -> None:
        raise StokerError("accelerators: is missing")

    played.read = refuse  # type: ignore[assignment, method-assign]


ALL = {("chat",), ("search",), ("code",)}


@pytest.mark.parametrize("mode", [Mode.ACT, Mode.OBSERVE])
@pytest.mark.parametrize(
    ("spoil", "kinds", "reasons"),
    [
        (unknown_load, set(), {("chat", "load_unknown")}),
        (blind, {"state_unknown"}, {(*each, "state_unknown") for each in ALL}),
        (no_node, {"unscheduled"}, {("chat", "unscheduled")}),
        (no_cards, {"cards_unknown"}, {(*each, "cards_unknown") for each in ALL}),
        (no_events, {"events_refused"}, set()),
        (no_lease, {"lease"}, {(*each, "not_leader") for each in ALL}),
        (wrong_document, {"document"}, set()),
    ],
)
def test_a_fault_is_named(
    spoil: Break, kinds: set[str], reasons: set[tuple[str, str]], mode: Mode
) -> None:
    played = world(mode)
    spoil(played)
    watched = Watched(played)
    watched.go(2)
    assert watched.degraded() >= reasons
    assert {name for name, _ in watched.degraded()} == {name for name, _ in reasons}
    assert watched.kinds() == kinds
    for name, reason in reasons:
        line = next(each for each in watched.status().splitlines() if f"{name} is degraded" in each)
        assert reason in line


def test_why_cards_are_unknown_is_told_in_the_clusters_words() -> None:
    played = world()
    look, why = played.cluster, "pods of other namespaces may hold some: may not list pods"
    played.cluster = lambda: replace(  # type: ignore[method-assign]
        look(), cards=None, cards_problem=why
    )
    Watched(played).go(1)
    (words,) = {
        each.words for each in played.notices if each.ref.name == "chat-h100" and not each.well
    }
    assert why in words
    assert "the cards of the fleet document count" in words
    assert "nodes" not in words


def test_a_healthy_loop_has_every_kind_at_zero_and_no_server_degraded() -> None:
    watched = Watched(world())
    watched.go(2)
    kinds = watched.series("stoker_problems_by_kind")
    assert kinds == {(kind.value,): 0.0 for kind in ProblemKind}
    assert watched.degraded() == set()
    assert "Warnings" not in watched.status()


def test_how_long_a_server_is_degraded_is_told_until_it_is_well() -> None:
    played = world(Mode.OBSERVE)
    rate = played.rates["chat"]
    watched = Watched(played)
    watched.go()
    unknown_load(played)
    began = played.time
    watched.go(3)
    degraded = played.records[-1].document["servers"]["chat"]["degraded"]
    assert degraded["since"] == began
    explained = explanation_of(played.records[-1].document, "chat")
    assert "(load_unknown): its arrival rate" in plain_text(explanation_report(explained), 1000)
    played.rates["chat"] = rate
    watched.go()
    assert played.records[-1].document["servers"]["chat"]["degraded"] is None


def test_a_cycle_that_was_cut_off_or_failed_is_named_once() -> None:
    played = world()
    played.rates["chat"] = lambda _: 200.0
    played.loop().cycle()
    ports = Ports(played, played, played, played, played, played, played, played)
    watched = Watched(played)
    watched.loop = Loop(ports, played.document, played.memory, played.intended[-1].document)
    watched.go()
    assert watched.kinds() == {"cut_off"}
    watched.go()
    assert watched.kinds() == set()
    write, broken = played.write, iter([True])

    def once_without_a_disk(record: CycleRecord, memory: Memory) -> None:
        if next(broken, False):
            raise OSError("no space left on device")
        write(record, memory)

    played.write = once_without_a_disk  # type: ignore[method-assign]
    watched.loop.run(lambda: False, 1)
    watched.go()
    assert watched.kinds() == {"cycle_failed"}


def test_a_rate_that_littles_law_contradicts_is_told_wherever_one_looks() -> None:
    played = world()
    query = "avg(up)"
    played.extra_signals["chat"] = {
        SignalName.RUNNING: Signal.known(200.0, 1.0, query),
        SignalName.WAITING: Signal.known(400.0, 1.0, query),
        SignalName.TTFT_MEAN: Signal.known(500.0, 1.0, query),
        SignalName.ITL_MEAN: Signal.known(20.0, 1.0, query),
    }
    watched = Watched(played)
    watched.go()
    told = played.records[-1].document["servers"]["chat"]
    assert told["warning"]
    ratio = watched.series("stoker_load_disagreement_ratio")
    assert ratio == {("chat",): told["pending_rate_rps"] / 20.0}
    assert ratio[("chat",)] > 1.5
    assert watched.kinds() == {"load_disagrees"}
    assert f"chat: {told['warning']}" in watched.status()


def batch(played_s: float, tokens: float) -> ServerControl:
    return ServerControl(
        "search",
        kind=ClassKind.BATCH,
        backlog_tokens=tokens,
        deadline=1_000_000.0 + played_s,
    )


def test_work_with_a_deadline_is_counted_down() -> None:
    played = world(search=batch(3600.0, 1e6))
    played.extra_signals["search"] = {
        SignalName.COMPLETION_RATE: Signal.known(10.0, 1.0, "query"),
        SignalName.OUTPUT_TOKENS: Signal.known(100.0, 1.0, "query"),
    }
    watched = Watched(played)
    watched.go(3)
    assert watched.series("stoker_batch_backlog_tokens") == {("search",): 1e6 - 2 * 30 * 1000.0}
    assert watched.series("stoker_batch_deadline_missed") == {("search",): 0.0}
    deadline = watched.series("stoker_batch_deadline_timestamp_seconds")
    assert deadline == {("search",): 1_003_600.0}
    explained = explanation_of(played.records[-1].document, "search")
    assert "tokens are left, until" in plain_text(explanation_report(explained), 1000)


def test_a_deadline_that_was_missed_stays_missed_until_there_is_other_work() -> None:
    played = world(search=batch(75.0, 1e5))
    played.extra_signals["search"] = {
        SignalName.COMPLETION_RATE: Signal.known(10.0, 1.0, "query"),
        SignalName.OUTPUT_TOKENS: Signal.known(100.0, 1.0, "query"),
    }
    watched = Watched(played)
    missed: list[float] = []
    for _ in range(6):
        watched.go()
        missed += watched.series("stoker_batch_deadline_missed").values()
    assert missed == [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]
    assert watched.series("stoker_batch_backlog_tokens") == {("search",): 0.0}
    assert "deadline_missed" in watched.kinds()
    assert "its deadline of" in watched.status()
    settings = replace(played.document.settings, servers={"search": batch(7200.0, 1e5)})
    played.document = replace(played.document, settings=settings)
    watched.go()
    assert watched.series("stoker_batch_deadline_missed") == {("search",): 0.0}


def test_a_server_without_a_deadline_has_no_series_of_one() -> None:
    watched = Watched(world())
    watched.go()
    for name in ("backlog_tokens", "deadline_timestamp_seconds", "deadline_missed"):
        assert watched.series(f"stoker_batch_{name}") == {}
