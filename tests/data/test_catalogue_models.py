"""Models of the catalogue: what follows from their shapes, against published figures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.catalogue import (
    load_catalogue,
)
from stoker.domain.architecture import ModelArchitecture
from stoker.domain.catalogue import Precision

CATALOGUE = load_catalogue()
MODEL_NAMES = [model.name for model in CATALOGUE.models]
EXPERT_NAMES = [model.name for model in CATALOGUE.models if model.experts is not None]

every_model = pytest.mark.parametrize("model", CATALOGUE.models, ids=lambda model: model.name)


@every_model
def test_shape_gives_the_published_parameter_counts(model: ModelArchitecture) -> None:
    assert model.shape_parameters == pytest.approx(model.total_parameters, rel=0.02)
    # Whether embeddings count as active is up to the publisher.
    assert model.shape_active_parameters == pytest.approx(model.active_parameters, rel=0.08)


@pytest.mark.parametrize(
    ("name", "kv_bytes"),
    [
        ("Llama-2-7B", 524_288),  # 2 · 32 layers · 32 heads · 128 · 2 B
        ("Llama-3.1-8B", 131_072),
        ("Llama-3.1-70B", 327_680),
        ("Qwen2.5-14B", 196_608),
        ("DeepSeek-V3", 70_272),  # 61 layers · (512 + 64) · 2 B, as its report says
        ("Granite-20B-Code", 26_624),
    ],
)
def test_kv_bytes_per_token(name: str, kv_bytes: int) -> None:
    model = CATALOGUE.model(name)
    assert model.kv_bytes_per_token() == kv_bytes
    assert model.kv_bytes_per_token(Precision.FP8) == kv_bytes / 2
    assert model.kv_bytes(1000) == 1000 * kv_bytes


def test_windowed_layers_keep_their_window_only() -> None:
    model = CATALOGUE.model("gpt-oss-120b")
    of_layer = 2 * 8 * 64 * 2
    assert model.kv_bytes(100) == 36 * 100 * of_layer
    assert model.kv_bytes(10_000) == (18 * 10_000 + 18 * 128) * of_layer


@pytest.mark.parametrize(
    ("name", "gigabytes"),
    [
        # Sizes of the released checkpoints: 60.8 GiB and 12.8 GiB (OpenAI's model card).
        ("gpt-oss-120b", 60.8 * 1.073741824),
        ("gpt-oss-20b", 12.8 * 1.073741824),
        ("Llama-3.1-8B", 16.06),
    ],
)
def test_released_weights_have_the_size_of_the_checkpoint(name: str, gigabytes: float) -> None:
    assert CATALOGUE.model(name).weight_bytes() / 1e9 == pytest.approx(gigabytes, rel=0.01)


def test_weights_at_other_precisions() -> None:
    dense = CATALOGUE.model("Llama-3.1-70B")
    assert dense.weight_bytes(Precision.FP8) == dense.total_parameters
    sparse = CATALOGUE.model("Qwen3-30B-A3B")
    experts = sparse.routed_expert_parameters
    assert experts == 48 * 128 * 3 * 2048 * 768
    mixed = sparse.weight_bytes(Precision.BF16, expert_precision=Precision.MXFP4)
    assert mixed == 2 * (sparse.total_parameters - experts) + experts * 4.25 / 8
    assert sparse.weight_bytes(Precision.BF16) == 2 * sparse.total_parameters


@given(st.sampled_from(EXPERT_NAMES), st.integers(1, 4096))
def test_a_batch_touches_ever_more_experts(name: str, tokens: int) -> None:
    experts = CATALOGUE.model(name).experts
    assert experts is not None
    assert experts.experts_touched(1) == pytest.approx(experts.experts_per_token)
    touched = experts.experts_touched(tokens)
    assert touched <= experts.experts_touched(tokens + 1) <= experts.experts
    assert touched <= experts.experts_per_token * tokens * (1 + 1e-9)


@every_model
def test_a_decode_reads_active_weights_alone_and_all_in_a_crowd(model: ModelArchitecture) -> None:
    assert model.decode_weight_bytes(1, Precision.FP8) == pytest.approx(
        model.shape_active_parameters
    )
    embedding = 0 if model.tied_embeddings else model.embedding_parameters
    assert model.decode_weight_bytes(100_000, Precision.FP8) == pytest.approx(
        model.shape_parameters - embedding
    )


def _causal_products(model: ModelArchitecture, tokens: int) -> int:
    """Multiplications of attention in a prefill, token by token and layer by layer."""
    window = model.attention.window_tokens
    products = 0
    for position in range(1, tokens + 1):
        for layer in range(model.layers):
            windowed = window is not None and layer < model.attention.window_layers
            keys = min(position, window) if windowed and window is not None else position
            products += keys * model.attention.products_per_key(decoding=False)
    return products


@pytest.mark.parametrize("name", ["Llama-3.1-8B", "gpt-oss-20b", "DeepSeek-V3", "BLOOM-176B"])
@pytest.mark.parametrize("tokens", [1, 2, 127, 128, 129, 500])
def test_prefill_flops_sum_over_tokens(name: str, tokens: int) -> None:
    model = CATALOGUE.model(name)
    body = model.shape_active_parameters - model.embedding_parameters
    expected = 2 * (tokens * body + model.embedding_parameters + _causal_products(model, tokens))
    assert model.prefill_flops(tokens) == expected


@given(st.sampled_from(MODEL_NAMES), st.integers(1, 200_000))
def test_flops_grow_with_context(name: str, tokens: int) -> None:
    model = CATALOGUE.model(name)
    assert model.decode_flops(tokens) <= model.decode_flops(tokens + 1)
    assert model.decode_flops(tokens) > 2 * model.shape_active_parameters
    assert model.prefill_flops(tokens) < model.prefill_flops(tokens + 1)
    if model.attention.latent is None:
        assert model.prefill_flops(1) == model.decode_flops(1)


def test_latent_attention_decodes_on_the_compressed_cache() -> None:
    attention = CATALOGUE.model("DeepSeek-V3").attention
    assert attention.products_per_key(decoding=True) == 128 * (2 * 512 + 64)
    assert attention.products_per_key(decoding=False) == 128 * (128 + 64 + 128)
