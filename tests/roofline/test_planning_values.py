"""Memory, the reduction to `token-work`, and the whole estimate."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.catalogue import load_catalogue
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
    weight_bytes_per_card,
)
from queueing.roofline.deployment import allowed_tensor_parallel
from stoker.domain.catalogue import Precision
from stoker.domain.profile import EstimateKind, TokenWorkParameters

CATALOGUE = load_catalogue()
H100 = CATALOGUE.accelerator("H100")
LLAMA_70B = CATALOGUE.model("Llama-3.1-70B")


def test_kv_room_by_hand() -> None:
    room = kv_room(Deployment(CATALOGUE.model("Llama-3.1-8B"), H100))
    assert room.kv_bytes_per_token_card == 32 * 2 * 8 * 128 * 2
    assert room.kv_tokens == int((0.9 * 80e9 - 2 * 8.03e9) / 131072)
    assert room.largest_batch(1000.0) == room.kv_tokens // 1000


def test_a_card_keeps_at_least_one_kv_head() -> None:
    per_token = [
        kv_room(Deployment(LLAMA_70B, H100, cards)).kv_bytes_per_token_card
        for cards in (4, 8, 16, 32)
    ]
    assert per_token[0] == 2 * per_token[1]
    assert per_token[1] == per_token[2] == per_token[3]


def test_what_does_not_fit_names_the_fewest_cards() -> None:
    assert smallest_tensor_parallel(LLAMA_70B, H100, 4096) == 2
    assert smallest_tensor_parallel(LLAMA_70B, H100, 4096, Precision.FP8) == 1
    assert smallest_tensor_parallel(LLAMA_70B, CATALOGUE.accelerator("T4"), 4096) == 16
    answer = estimate(Deployment(LLAMA_70B, H100), 1024, 128)
    assert (answer.largest_batch, answer.smallest_tensor_parallel) == (0, 2)
    assert answer.profile is None
    assert answer.decode == ()
    with pytest.raises(ValueError, match="does not fit on 1 × H100-SXM-80GB"):
        profile(Deployment(LLAMA_70B, H100), 1024.0, 128.0)


@settings(deadline=None)
@given(st.sampled_from(CATALOGUE.models), st.sampled_from(CATALOGUE.accelerators))
def test_more_cards_never_take_more_memory_each(model: object, card: object) -> None:
    base = Deployment(model, card)  # type: ignore[arg-type]
    held = []
    for cards in allowed_tensor_parallel(base.model):
        deployment = replace(base, tensor_parallel=cards)
        room = kv_room(deployment)
        held.append((weight_bytes_per_card(deployment), room.kv_bytes_per_token_card))
    for fewer, more in pairwise(held):
        assert more[0] <= fewer[0]
        assert more[1] <= fewer[1]


def test_the_reduction_of_a_straight_line_is_that_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Straight:
        def __init__(self, tokens: object, read: object) -> None:
            self.total_ms = 5.0 + 0.03 * np.asarray(tokens) + 1e-4 * np.asarray(read)

    monkeypatch.setattr(
        "queueing.roofline.reduction.decode_time", lambda _, n, c: Straight(n, n * c)
    )
    monkeypatch.setattr("queueing.roofline.reduction.prefill_time", lambda _, x: Straight(x, x))
    deployment = Deployment(LLAMA_70B, H100, 4)
    fit = reduce_to_token_work(deployment, OperatingRange(1024, 512, 64))
    found = fit.parameters
    assert (found.alpha_ms, found.beta_ms, found.gamma_ms) == pytest.approx((5.0, 0.03, 1e-4))
    assert fit.largest_deviation < 1e-9


@pytest.mark.parametrize("model", CATALOGUE.models, ids=lambda model: model.name)
def test_every_model_reduces_on_the_cards_it_needs(model: object) -> None:
    name = getattr(model, "name", "")
    known = CATALOGUE.model(name)
    cards = smallest_tensor_parallel(known, H100, 1536.0)
    assert cards is not None
    fit = reduce_to_token_work(Deployment(known, H100, cards), OperatingRange(1024, 512, 32))
    assert fit.parameters.alpha_ms > 0
    assert fit.parameters.beta_ms > 0
    assert fit.median_deviation < 0.25


def test_a_dense_model_keeps_its_shape() -> None:
    deployment = Deployment(CATALOGUE.model("Llama-3.1-8B"), H100)
    fit = reduce_to_token_work(deployment, OperatingRange(1024, 512, 64))
    found = fit.parameters
    decode = found.alpha_ms + found.beta_ms * 32 + found.gamma_ms * 32 * 1280
    assert decode == pytest.approx(float(decode_time(deployment, 32, 1280).total_ms), rel=0.1)
    prompt = found.alpha_ms + (found.beta_ms + found.gamma_ms) * 1024
    assert prompt == pytest.approx(float(prefill_time(deployment, 1024).total_ms), rel=0.1)
    assert fit.median_deviation < 0.05


def test_a_profile_says_that_it_is_an_estimate() -> None:
    found = profile(Deployment(LLAMA_70B, H100, 4, Precision.FP8, Precision.FP8), 1024, 256)
    assert found.provenance.kind is EstimateKind.ESTIMATED
    for word in (
        "Llama-3.1-70B",
        "4 × H100-SXM-80GB",
        "tensor parallel 4",
        "weights fp8",
        "KV fp8",
    ):
        assert word in found.provenance.source
    assert isinstance(found.parameters, TokenWorkParameters)
    assert found.accelerators_per_replica == 4
    assert (found.max_batch, found.at_tokens) == (256, 256)
    assert found.required_memory_gb == pytest.approx(70.55 + 4 * 8, rel=0.01)


def test_the_estimate_has_all_points() -> None:
    answer = estimate(Deployment(CATALOGUE.model("Llama-3.1-8B"), H100), 1000, 100)
    assert [p.batch for p in answer.decode[::3]] == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert {p.context_tokens for p in answer.decode} == {1000, 1050, 1100}
    assert [p.tokens for p in answer.prefill] == [250, 500, 1000, 2000]
    for point in answer.decode:
        assert point.output_tokens_per_s == pytest.approx(point.batch / point.time_ms * 1000)
    assert answer.lone_ttft_ms == pytest.approx(15.0 + answer.prefill[2].time_ms)
