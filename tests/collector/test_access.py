"""The way to a real Prometheus with HTTPS, and through a proxy that asks for a token."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import urllib3

from collector.prometheus.source import PrometheusSource, SourceError
from demos.cluster.assets import prometheus_program
from demos.cluster.prometheus import Prometheus
from stoker.domain.control.settings import MetricSettings
from tests.support.token_gate import TokenGate, certificate

PATIENCE_S = 60.0


@dataclass(frozen=True)
class Guarded:
    """A Prometheus with HTTPS, its certificate, and a gate before it with one of its own."""

    url: str
    ca_file: Path
    gate: TokenGate
    gate_ca: Path


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    if prometheus_program() is None:
        message = "prometheus is not installed"
        if os.environ.get("STOKER_REQUIRE_CLUSTER"):
            pytest.fail(message)
        pytest.skip(message)
    folder = tmp_path_factory.mktemp("guarded")
    own, gates = certificate(folder, "prometheus"), certificate(folder, "gate")
    prometheus = Prometheus(folder / "data", certificate=own[0], key=own[1])
    with prometheus, TokenGate(prometheus.url, own[0], gates) as gate:
        yield Guarded(prometheus.url, own[0], gate, gates[0])


def asked(query: str = "vector(3)", **settings: object) -> float:
    source = PrometheusSource(MetricSettings(**settings))  # type: ignore[arg-type]
    (found,) = source.query(query, PATIENCE_S)
    return found.value


def test_its_certificate_is_verified_with_the_file_told(guarded: Guarded) -> None:
    assert asked(prometheus_url=guarded.url, ca_file=str(guarded.ca_file)) == 3.0


@pytest.mark.parametrize("wrong", ["", "another"])
def test_a_certificate_of_somebody_else_is_refused_with_what_to_set(
    guarded: Guarded, tmp_path: Path, wrong: str
) -> None:
    ca_file = str(certificate(tmp_path, wrong)[0]) if wrong else ""
    with pytest.raises(SourceError, match=r"certificate was not accepted.*set metrics\.ca_file"):
        asked(prometheus_url=guarded.url, ca_file=ca_file)


def test_it_can_be_left_unverified(guarded: Guarded) -> None:
    with pytest.warns(urllib3.exceptions.InsecureRequestWarning):
        assert asked(prometheus_url=guarded.url, verify_tls=False) == 3.0


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_that_holds_no_certificates_is_named(
    guarded: Guarded, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "ca.crt"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SourceError, match=r"metrics\.ca_file"):
        asked(prometheus_url=guarded.url, ca_file=str(path))


def test_a_token_may_be_exchanged_while_the_loop_runs(guarded: Guarded, tmp_path: Path) -> None:
    path = tmp_path / "token"
    guarded.gate.token = "first"
    path.write_text("first\n")
    source = PrometheusSource(
        MetricSettings(
            prometheus_url=guarded.gate.url,
            ca_file=str(guarded.gate_ca),
            bearer_token_file=str(path),
        )
    )
    assert source.query("vector(1)", PATIENCE_S)[0].value == 1.0
    guarded.gate.token = "second"
    with pytest.raises(SourceError, match=r"HTTP status 401.*metrics\.bearer_token_file"):
        source.query("vector(1)", PATIENCE_S)
    path.write_text("second\n")
    assert source.query("vector(1)", PATIENCE_S)[0].value == 1.0
    guarded.gate.allowed = False
    with pytest.raises(SourceError, match=r"HTTP status 403.*what its account may do"):
        source.query("vector(1)", PATIENCE_S)
    guarded.gate.allowed = True


def test_queries_pass_proxies_however_many_models_they_name(
    guarded: Guarded, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    guarded.gate.token = "long"
    path.write_text("long")
    models = "|".join(f"organization/model-number-{index}" for index in range(2000))
    settings = {
        "prometheus_url": guarded.gate.url,
        "ca_file": str(guarded.gate_ca),
        "bearer_token_file": str(path),
    }
    query = f'absent(up{{model_name=~"{models}"}}) + 1'
    assert len(query) > 60_000
    assert asked(query, **settings) == 2.0


def test_a_refused_query_is_told_in_short(guarded: Guarded) -> None:
    with pytest.raises(SourceError, match="refused the query") as caught:
        asked("sum(" + "x" * 50_000, prometheus_url=guarded.url, ca_file=str(guarded.ca_file))
    assert len(str(caught.value)) < 1000
