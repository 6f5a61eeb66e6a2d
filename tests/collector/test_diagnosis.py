"""What the doctor says of settings and states, without a cluster."""

from __future__ import annotations

from dataclasses import replace

import pytest

from collector.diagnosis.cluster import examine_workloads
from collector.diagnosis.permissions import writing_verbs
from collector.diagnosis.signals import examine_signals
from collector.prometheus.matching import ServerSeries
from collector.prometheus.source import Sample
from stoker.domain.control.choices import Actuation, Mode
from stoker.domain.control.cluster import ClusterState
from stoker.domain.control.diagnosis import Level
from stoker.domain.control.settings import ClusterSettings, ControlSettings, StabilitySettings
from stoker.domain.fleet import Fleet
from stoker.domain.settings import Analysis
from stoker.domain.workload import Load
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import workload


@pytest.mark.parametrize("actuation", list(Actuation))
def test_a_dry_run_needs_no_lease_and_no_events(actuation: Actuation) -> None:
    settings = ControlSettings(cluster=ClusterSettings(actuation=actuation))
    acting = replace(settings, loop=replace(settings.loop, mode=Mode.ACT))
    trying = replace(acting, loop=replace(acting.loop, dry_run=True))
    asked = {each.resource for each in writing_verbs(acting)}
    assert asked >= {"leases", "events"}
    # What it tries is asked for all the same: the API server refuses it like any write.
    assert {each.resource for each in writing_verbs(trying)} == asked - {"leases", "events"}
    assert writing_verbs(settings) == ()


def test_cards_that_are_unknown_are_a_warning_with_its_own_reason() -> None:
    why = "cards are unknown, since pods of other namespaces may hold some: may not list pods"
    state = ClusterState(0.0, (), None, problems=(why, "another"), cards_problem=why)
    found = [
        each
        for each in examine_workloads(state, controlled_fleet(), ControlSettings())
        if not each.subject
    ]
    assert [(each.level, each.topic) for each in found] == [
        (Level.ERROR, "workloads"),
        (Level.WARNING, "cards"),
    ]
    assert found[0].message == "another"
    assert found[1].message.startswith(why)
    assert "nodes may not" not in found[1].message
    for words in ("create clusterrolebinding", "cluster.sole_tenant: true"):
        assert words in found[1].remedy


@pytest.mark.parametrize(("most", "told"), [(None, False), (1, True), (2, False)])
def test_a_limit_of_a_cycle_below_one_replica_is_an_error(most: int | None, told: bool) -> None:
    settings = ControlSettings(stability=StabilitySettings(max_cards_change=most))
    state = ClusterState(0.0, (workload("chat", "2xH100", 1, cards=2, card_type="H100"),), None)
    found = [
        each
        for each in examine_workloads(state, controlled_fleet(), settings)
        if "a cycle may change" in each.message
    ]
    assert bool(found) is told
    for each in found:
        assert each.level is Level.ERROR
        assert each.message.startswith("a cycle may change 1 cards, and one replica takes 2")
        assert "max_cards_change to 2" in each.remedy


class Sizes:
    """Tells how many requests come and their mean tokens, each by a query of that name."""

    def query(self, query: str, timeout_s: float) -> tuple[Sample, ...]:
        told = {"rate": 5.0, "inputs": 200.0, "outputs": 100.0}
        return (Sample({}, told[query]),) if query in told else ()


@pytest.mark.parametrize(
    ("analysis", "document_cv", "level"),
    [
        (Analysis.FULL, 0.0, Level.WARNING),
        (Analysis.FULL, 0.8, Level.FINE),  # the document's counts
        (Analysis.REFERENCE, 0.0, Level.FINE),  # which goes by means
    ],
)
def test_a_spread_of_tokens_that_nobody_tells_is_missed_where_sizing_rests_on_it(
    analysis: Analysis, document_cv: float, level: Level
) -> None:
    fleet = controlled_fleet()
    load = Load(5.0, 200.0, 100.0, input_tokens_cv=document_cv, output_tokens_cv=document_cv)
    fleet = replace(
        fleet,
        settings=replace(fleet.settings, analysis=analysis),
        servers=tuple(replace(each, load=load) for each in fleet.servers),
    )
    queries = {"arrival_rate_rps": "rate", "input_tokens": "inputs", "output_tokens": "outputs"}
    server = ServerSeries("chat", "org/chat-8b", queries=queries)
    found = {
        each.subject: each
        for each in examine_signals(Sizes(), [server], fleet, ControlSettings(), lambda: 60.0)
    }
    for name in ("input_tokens_cv", "output_tokens_cv"):
        spread = found[f"chat {name}"]
        assert spread.level is level
        if level is Level.WARNING:
            assert f"servers[].queries.{name} of chat" in spread.remedy
            assert f"load.{name} of chat in the fleet document" in spread.remedy


def in_two_ways() -> Fleet:
    """A fleet whose models have two configurations on H100."""
    fleet = controlled_fleet()
    both = tuple(
        replace(each, configuration=name)
        for each in fleet.profiles
        if each.accelerator == "H100"
        for name in ("tp2", "tp4")
    )
    return replace(fleet, profiles=both)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("tp2", "tp4", ()),
        ("tp2", "tp2", ("two workloads run it on H100",)),
        ("tp2", "fp8", ("configuration names fp8, and the fleet has tp2 and tp4",)),
        ("tp2", "", ("configuration is missing, and the fleet has tp2 and tp4",)),
    ],
)
def test_configurations_on_one_accelerator_are_told_apart(
    first: str, second: str, words: tuple[str, ...]
) -> None:
    one = workload("chat", "H100", 1, cards=1, card_type="H100")
    variants = (
        replace(one, configuration=first),
        replace(one, configuration=second, ref=replace(one.ref, name="chat-too")),
    )
    state = ClusterState(0.0, variants, None)
    found = [
        each.message
        for each in examine_workloads(state, in_two_ways(), ControlSettings())
        if each.level is Level.ERROR and "chat" in each.subject
    ]
    assert len(found) == len(words)
    assert all(word in message for word, message in zip(words, found, strict=True))


@pytest.mark.parametrize(
    ("label", "running", "level", "words"),
    [
        ("tp2", 1, Level.WARNING, "chat-too stays at zero, since Deployment models/chat-h100 runs"),
        ("tp2", 0, Level.ERROR, "two workloads run it on H100"),
        ("", 1, Level.WARNING, "configuration is missing"),
        ("", 0, Level.WARNING, "configuration is missing"),
        ("fp8", 1, Level.WARNING, "configuration names fp8"),
    ],
)
def test_a_workload_at_zero_is_an_error_only_where_it_holds_its_server(
    label: str, running: int, level: Level, words: str
) -> None:
    one = replace(workload("chat", "H100", running), configuration="tp2")
    two = replace(
        workload("chat", "H100", 0), configuration=label, ref=replace(one.ref, name="chat-too")
    )
    state = ClusterState(0.0, (one, two), None)
    (found,) = (
        each
        for each in examine_workloads(state, in_two_ways(), ControlSettings())
        if "chat" in each.subject and each.level is not Level.FINE
    )
    assert found.level is level
    assert words in found.message
