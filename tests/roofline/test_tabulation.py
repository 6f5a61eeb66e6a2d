"""Estimates as tables of iteration times."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from data.catalogue import load_catalogue
from data.fleets import read_fleet
from queueing.arrays import FloatArray
from queueing.engine.curve import CurveTimes
from queueing.roofline import (
    Deployment,
    OperatingRange,
    decode_time,
    estimate,
    kv_room,
    prefill_time,
    profile,
    reduce_to_token_work,
    smallest_tensor_parallel,
    tabulate_estimate,
)
from queueing.roofline.knots import knotted
from stoker.domain.architecture import ModelArchitecture
from stoker.domain.curve import IterationTable
from stoker.domain.profile import EstimateKind
from tests.support.cli import stoker

CATALOGUE = load_catalogue()
H100 = CATALOGUE.accelerator("H100")
DENSE = Deployment(CATALOGUE.model("Llama-3.1-8B"), H100)
EXPERTS = Deployment(CATALOGUE.model("Qwen3-30B-A3B"), H100)


def fitting(model: ModelArchitecture) -> Deployment:
    cards = smallest_tensor_parallel(model, H100, 1536.0)
    assert cards is not None
    return Deployment(model, H100, cards)


@pytest.mark.parametrize("model", CATALOGUE.models, ids=lambda model: model.name)
def test_tables_stand_for_the_estimate_of_every_model(model: ModelArchitecture) -> None:
    deployment = fitting(model)
    found = tabulate_estimate(deployment)
    assert found.largest_deviation < 0.03
    rng = np.random.default_rng(7)

    def drawn(least: npt.ArrayLike, most: float) -> FloatArray:
        return np.round(np.exp(rng.uniform(np.log(least), np.log(most), 60))).astype(np.float64)

    batch, context = drawn(1, 256), drawn(1, model.max_context_tokens)
    tokens = drawn(1, min(8192, model.max_context_tokens))
    reads = drawn(tokens, model.max_context_tokens)
    times = CurveTimes.of([found.parameters] * 60)
    none = np.zeros(60)
    np.testing.assert_allclose(
        times.iteration_ms(batch, context, none, none, none),
        decode_time(deployment, batch, context).total_ms,
        rtol=0.03,
    )
    np.testing.assert_allclose(
        times.iteration_ms(none, none, none + 1.0, tokens, reads),
        prefill_time(deployment, tokens, reads - tokens).total_ms,
        rtol=0.03,
    )


def test_a_table_holds_what_three_parameters_cannot() -> None:
    line = reduce_to_token_work(EXPERTS, OperatingRange(1024, 256, 64))
    table = tabulate_estimate(EXPERTS)
    assert line.largest_deviation > 0.2
    assert table.largest_deviation < 0.03


def test_tables_are_small_enough_to_read() -> None:
    for deployment, most in ((DENSE, 30), (EXPERTS, 80)):
        table = tabulate_estimate(deployment).parameters
        assert sum(len(row) for row in (*table.decode_ms, *table.prefill_ms)) <= most


def test_what_is_shared_is_the_iteration_of_a_lone_sequence() -> None:
    table = tabulate_estimate(DENSE).parameters
    assert table.shared_ms == pytest.approx(float(decode_time(DENSE, 1, 1).total_ms), rel=0.01)
    assert table.shared_ms == min(min(row) for row in table.prefill_ms)


def test_a_curve_says_that_it_is_an_estimate() -> None:
    found = profile(DENSE, 1024, 256, as_curve=True)
    assert isinstance(found.parameters, IterationTable)
    assert found.provenance.kind is EstimateKind.ESTIMATED
    assert "not measured" in found.provenance.source
    assert "tabulated" in found.provenance.source
    assert found.kv_tokens == kv_room(DENSE).kv_tokens
    line = profile(DENSE, 1024, 256)
    assert (found.max_batch, found.at_tokens) == (line.max_batch, line.at_tokens)
    assert line.kv_tokens is None
    answer = estimate(DENSE, 1024, 256, as_curve=True)
    assert answer.profile == found
    assert answer.reduction == tabulate_estimate(DENSE)


def test_knots_stand_where_a_function_bends() -> None:
    places = np.arange(1.0, 101.0)
    flat = knotted(lambda x, y: 1.0 + x + y + x * y, places, places, close=1e-6, most=8)
    assert (flat.rows.tolist(), flat.columns.tolist()) == ([1, 100], [1, 100])
    assert flat.deviations.max() < 1e-12
    bent = knotted(lambda x, y: 10.0 + np.maximum(x, 40.0) + y, places, places, close=1e-6, most=8)
    assert 40.0 in bent.rows.tolist()
    assert bent.columns.tolist() == [1, 100]
    assert bent.deviations.max() < 1e-6
    square = knotted(lambda x, y: 1.0 + x**2 + 0.0 * y, places, places, close=1e-9, most=5)
    assert len(square.rows) == 5
    assert square.deviations.max() > 1e-9
    inside = knotted(
        lambda x, y: 10.0 + np.maximum(x, 40.0) + y,
        places,
        places,
        close=1e-6,
        most=8,
        region=lambda x, y: (x >= 40.0) & (y > 0.0),
    )
    assert inside.deviations.max() < 1e-6


FLEET = """\
version: 1
currency: USD
analysis: full
accelerators:
  - {name: H100-SXM-80GB, cost_per_hour: 2.5, memory_gb: 80}
capacity: {H100-SXM-80GB: 64}
service_classes:
  - name: chat
    priority: 1
    targets: [{model: Qwen3-30B-A3B, ttft_ms: {p95: 2000}, itl_ms: {p95: 60}}]
servers:
  - name: chat
    service_class: chat
    model: Qwen3-30B-A3B
    load: {arrival_rate_rps: 20, input_tokens: 1024, output_tokens: 256}
"""


def test_a_fleet_with_the_curve_pasted_in_is_planned(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    arguments = ("estimate", "Qwen3-30B-A3B", "H100", "--as", "curve")
    path.write_text(FLEET + stoker(*arguments, "--format", "yaml").stdout)
    (found,) = read_fleet(str(path)).profiles
    assert found.parameters == tabulate_estimate(EXPERTS).parameters
    plan = json.loads(stoker("solve", path, "--format", "json").stdout)
    (allocation,) = plan["allocations"].values()
    assert plan["analysis"] == "full"
    assert allocation["replicas"] >= 1
    assert allocation["estimate"] == "estimated"
    assert 0 < allocation["itl_ms"] < 60


def test_tables_and_json_tell_the_form() -> None:
    told = stoker("estimate", "Llama-3.1-8B", "H100", "--as", "curve").stdout
    assert "Knots of decode, batch × context" in told
    assert "alpha" not in told
    document = json.loads(
        stoker("estimate", "Llama-3.1-8B", "H100", "--as", "curve", "--format", "json").stdout
    )
    assert document["profile"]["parameters"]["kind"] == "curve"
    assert document["profile_deviation"]["largest"] < 0.03
    plain = json.loads(stoker("estimate", "Llama-3.1-8B", "H100", "--format", "json").stdout)
    assert plain["profile"]["parameters"]["kind"] == "token-work"
    refused = stoker("estimate", "Llama-3.1-8B", "H100", "--as", "linear", columns=200)
    assert refused.exit_code == 2
    assert "'token-work', 'curve'" in refused.stderr
