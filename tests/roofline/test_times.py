"""Iteration times: against arithmetic by hand, and what must hold of any of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.catalogue import load_catalogue
from queueing.roofline import Deployment, Engine, decode_time, prefill_time
from queueing.roofline.constants import BANDWIDTH_SHARE, MATMUL_SHARE_16_BIT
from queueing.roofline.deployment import allowed_tensor_parallel
from queueing.roofline.interconnect import all_reduce_ms
from stoker.domain.catalogue import Precision

CATALOGUE = load_catalogue()
ULPS = 1 + 1e-9


@st.composite
def deployments(draw: st.DrawFn) -> Deployment:
    model = draw(st.sampled_from(CATALOGUE.models))
    return Deployment(
        model,
        draw(st.sampled_from(CATALOGUE.accelerators)),
        draw(st.sampled_from(allowed_tensor_parallel(model, largest=16))),
        draw(st.sampled_from([None, Precision.BF16, Precision.FP8, Precision.INT4])),
        draw(st.sampled_from([Precision.BF16, Precision.FP8])),
        draw(st.sampled_from(Engine)),
    )


BATCHES = st.integers(1, 512)
TOKENS = st.integers(1, 20_000)


def llama(cards: int = 1, card: str = "H100") -> Deployment:
    return Deployment(CATALOGUE.model("Llama-3.1-8B"), CATALOGUE.accelerator(card), cards)


def test_a_decode_of_one_sequence_streams_weights_and_kv() -> None:
    time = decode_time(llama(), 1, 1024)
    model = llama().model
    moved = model.decode_weight_bytes(1) + model.kv_bytes(1024)
    assert float(time.bandwidth_ms) == pytest.approx(moved / (BANDWIDTH_SHARE * 3350e6), rel=2e-3)
    assert float(time.compute_ms) == 0.0
    assert str(time.bounds) == "bandwidth"


def test_a_long_prompt_is_bound_by_compute() -> None:
    time = prefill_time(llama(), 4096)
    flops = llama().model.prefill_flops(4096)
    slowest, fastest = flops / (0.5 * 989.4e9), flops / (MATMUL_SHARE_16_BIT * 989.4e9)
    assert fastest < float(time.compute_ms) < slowest
    assert str(time.bounds) == "compute"


def test_experts_are_read_as_the_batch_touches_them() -> None:
    deployment = Deployment(CATALOGUE.model("gpt-oss-120b"), CATALOGUE.accelerator("H100"))
    for batch in (1, 8, 64):
        time = decode_time(deployment, batch, 1)
        read = deployment.model.decode_weight_bytes(batch) / (BANDWIDTH_SHARE * 3350e6)
        assert float(time.bandwidth_ms) == pytest.approx(read, rel=0.03)


def test_a_window_limits_what_is_read() -> None:
    model = CATALOGUE.model("gpt-oss-120b")
    deployment = Deployment(model, CATALOGUE.accelerator("H100"))
    near, far = (float(decode_time(deployment, 64, c).bandwidth_ms) for c in (4096, 8192))
    read = 64 * (model.kv_bytes(8192) - model.kv_bytes(4096))
    assert far - near == pytest.approx(read / (BANDWIDTH_SHARE * 3350e6))


def test_arrays_broadcast() -> None:
    grid = decode_time(llama(), np.array([[1.0], [8.0]]), np.array([128.0, 1024.0, 4096.0]))
    assert grid.total_ms.shape == (2, 3)
    assert grid.total_ms[1, 2] == float(decode_time(llama(), 8, 4096).total_ms)
    assert grid.bounds.shape == (2, 3)


def test_a_format_that_the_card_lacks_is_computed_in_16_bits() -> None:
    a100 = CATALOGUE.accelerator("A100-SXM-80GB")
    narrow = Deployment(CATALOGUE.model("Llama-3.1-8B"), a100, 1, Precision.FP8)
    assert narrow.peak_flops(Precision.FP8) == narrow.peak_flops(Precision.BF16)
    assert not narrow.computes_narrow(Precision.FP8)


def test_heads_that_cannot_be_shared_are_refused() -> None:
    with pytest.raises(ValueError, match=r"tensor parallelism 3 .*\(allowed: 1, 2, 4, 8, 16, 32\)"):
        llama(3)


def test_an_all_reduce_is_direct_when_small_and_a_ring_when_large() -> None:
    small, large = all_reduce_ms(llama(8), np.array([8192.0, 2.0**28]))
    assert 0.006 < small < 0.012
    assert 2.0**28 * 1.75 / large == pytest.approx(0.72 * 450e6, rel=0.05)
    assert all_reduce_ms(llama(1), np.array([2.0**20])) == 0.0


def test_eager_engines_wait_for_the_host() -> None:
    eager = replace(llama(), engine=Engine.EAGER)
    assert float(decode_time(eager, 1, 128).total_ms) > 2 * float(
        decode_time(llama(), 1, 128).total_ms
    )


@settings(deadline=None)
@given(deployments(), BATCHES, TOKENS)
def test_decode_is_never_faster_than_the_pure_roofline(
    deployment: Deployment, batch: int, context: int
) -> None:
    model, card, cards = deployment.model, deployment.accelerator, deployment.tensor_parallel
    time = decode_time(deployment, batch, context)
    precision = deployment.weight_precision
    read = model.decode_weight_bytes(batch, precision, precision)
    read += batch * model.kv_bytes(context, deployment.kv_precision)
    fastest = max(card.dense_tflops.values()) * 1e9
    assert float(time.total_ms) * ULPS >= read / cards / (card.memory_bandwidth_gb_per_s * 1e6)
    assert float(time.total_ms) * ULPS >= batch * model.decode_flops(context) / cards / fastest
    assert float(time.total_ms) >= float(time.ideal_ms)


@settings(deadline=None)
@given(deployments(), TOKENS, TOKENS)
def test_prefill_is_never_faster_than_the_pure_roofline(
    deployment: Deployment, tokens: int, context: int
) -> None:
    model, cards = deployment.model, deployment.tensor_parallel
    fastest = max(deployment.accelerator.dense_tflops.values()) * 1e9
    alone = prefill_time(deployment, tokens)
    assert float(alone.total_ms) * ULPS >= model.prefill_flops(tokens) / cards / fastest
    later = prefill_time(deployment, tokens, context)
    assert float(later.total_ms) * ULPS >= float(alone.total_ms)
    assert float(later.total_ms) >= float(later.ideal_ms)


@settings(deadline=None)
@given(deployments(), BATCHES, BATCHES, TOKENS, TOKENS)
def test_more_work_never_takes_less_time(
    deployment: Deployment, one: int, other: int, near: int, far: int
) -> None:
    batches, contexts = sorted((one, other)), sorted((near, far))
    times = decode_time(deployment, np.array(batches), np.array([[c] for c in contexts])).total_ms
    assert (np.diff(times, axis=0) >= -1e-9 * times.max()).all()
    assert (np.diff(times, axis=1) >= -1e-9 * times.max()).all()
    prompts = prefill_time(deployment, np.array(contexts)).total_ms
    assert prompts[0] <= prompts[1] * ULPS


@settings(deadline=None)
@given(deployments(), BATCHES, TOKENS, st.floats(1.0, 10.0))
def test_a_better_card_is_never_slower(
    deployment: Deployment, batch: int, tokens: int, times: float
) -> None:
    card = deployment.accelerator
    better = (
        replace(card, memory_bandwidth_gb_per_s=times * card.memory_bandwidth_gb_per_s),
        replace(card, interconnect_gb_per_s=times * card.interconnect_gb_per_s),
        replace(card, dense_tflops={k: times * v for k, v in card.dense_tflops.items()}),
    )
    for changed in better:
        faster = replace(deployment, accelerator=changed)
        decode = [decode_time(d, batch, tokens).total_ms for d in (deployment, faster)]
        prefill = [prefill_time(d, tokens).total_ms for d in (deployment, faster)]
        assert float(decode[1]) <= float(decode[0]) * ULPS
        assert float(prefill[1]) <= float(prefill[0]) * ULPS


@settings(deadline=None)
@given(deployments(), BATCHES, TOKENS)
def test_every_time_is_finite_and_positive(deployment: Deployment, n: int, context: int) -> None:
    for time in (decode_time(deployment, n, context), prefill_time(deployment, context)):
        assert np.isfinite(time.total_ms)
        assert float(time.total_ms) > 0.0
