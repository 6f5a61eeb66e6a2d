"""Output tokens to expect where no request tells them just now."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from collector.expecting import Expectations
from collector.lengths import OutputLengths
from controller.history import LoadHistory, LoadSample
from controller.load import measured_load
from stoker.domain.control.observation import ServerObservation
from stoker.domain.control.settings import MetricSettings
from stoker.domain.control.signals import Signal, SignalName
from stoker.domain.fleet import Fleet
from stoker.domain.workload import Load
from tests.support.controlled_fleets import controlled_fleet

FLEET: Fleet = controlled_fleet()
"""Chat and search share a model; code has one of its own."""
WINDOW_S = 60.0


def seen(name: str, **values: float) -> ServerObservation:
    signals: Mapping[SignalName, Signal] = {
        SignalName(signal): Signal.known(value, 1.0, "query") for signal, value in values.items()
    }
    return ServerObservation(name, signals)


def finished(name: str, inputs: float, outputs: float, rate: float = 2.0) -> ServerObservation:
    return seen(name, completion_rate_rps=rate, input_tokens=inputs, output_tokens=outputs)


def coming(name: str, inputs: float) -> ServerObservation:
    return seen(name, arrival_rate_rps=3.0, input_tokens=inputs)


def test_prompts_of_another_size_are_expected_to_be_answered_as_before() -> None:
    expectations = Expectations(OutputLengths(), WINDOW_S)
    for at, (inputs, outputs) in enumerate(((300.0, 50.0), (3000.0, 400.0)), 1):
        expectations.told({"chat": finished("chat", inputs, outputs)}, FLEET, at * 30.0)
    for inputs, outputs in ((300.0, 50.0), (3500.0, 400.0)):
        told = expectations.told({"chat": coming("chat", inputs)}, FLEET, 90.0)
        expected = told["chat"].expected_output
        assert expected is not None
        assert expected.tokens == pytest.approx(outputs)
        assert expected.of_model
        assert "about as many input tokens" in expected.basis


def test_requests_are_counted_once_however_often_windows_are_read() -> None:
    expectations = Expectations(OutputLengths(fewest=130.0), WINDOW_S)
    expectations.told({"chat": finished("chat", 300.0, 50.0)}, FLEET, 30.0)
    few = expectations.told({"chat": coming("chat", 300.0)}, FLEET, 31.0)
    assert few["chat"].expected_output is None  # 2/s over 60 s are 120
    expectations.told({"chat": finished("chat", 300.0, 50.0)}, FLEET, 40.0)
    told = expectations.told({"chat": coming("chat", 300.0)}, FLEET, 41.0)
    expected = told["chat"].expected_output
    assert expected is not None
    assert expected.requests == pytest.approx(140.0)


def test_a_new_server_of_a_known_model_begins_with_what_others_saw() -> None:
    expectations = Expectations(OutputLengths(), WINDOW_S)
    servers = {
        "chat": finished("chat", 300.0, 50.0),
        "search": coming("search", 280.0),
        "code": coming("code", 280.0),
    }
    told = expectations.told(servers, FLEET, 30.0)
    assert told["chat"].expected_output is None  # it is measured
    search, code = told["search"].expected_output, told["code"].expected_output
    assert search is not None
    assert (search.tokens, search.of_model) == (50.0, True)
    assert code is not None
    assert (code.tokens, code.of_model) == (50.0, False)
    assert "other models" in code.basis


def test_without_anything_seen_it_stays_unknown() -> None:
    told = Expectations(OutputLengths(), WINDOW_S).told({"chat": coming("chat", 300.0)}, FLEET, 1.0)
    assert told["chat"].expected_output is None


@pytest.mark.parametrize(
    ("server", "history", "document", "outputs"),
    [
        # Of its own model, it goes before what was told last, of prompts of another size.
        ("search", LoadHistory((LoadSample(1.0, 1.0, 9000.0, 900.0),)), None, 50.0),
        ("search", LoadHistory(), Load(1.0, 200.0, 77.0), 50.0),
        # Of other models, it is better than nothing, and nothing else.
        ("code", LoadHistory(), None, 50.0),
        ("code", LoadHistory(), Load(1.0, 200.0, 77.0), 77.0),
        ("code", LoadHistory((LoadSample(1.0, 1.0, 9000.0, 900.0),)), None, 900.0),
    ],
)
def test_a_load_takes_what_is_expected_and_makes_nothing_smaller_by_it(
    server: str, history: LoadHistory, document: Load | None, outputs: float
) -> None:
    expectations = Expectations(OutputLengths(), WINDOW_S)
    servers = {"chat": finished("chat", 300.0, 50.0), server: coming(server, 280.0)}
    told = expectations.told(servers, FLEET, 30.0)[server]
    measured = measured_load(told, (), history, MetricSettings(), 60.0, document=document)
    assert measured.load is not None
    assert measured.load.input_tokens == 280.0
    assert measured.load.output_tokens == outputs
    if outputs == 50.0:
        assert measured.partial
        assert "50 are expected by requests to" in measured.reason
