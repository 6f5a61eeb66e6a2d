"""The catalogue: its figures against each other and against independent ones, and its errors."""

from __future__ import annotations

import doctest
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from data.catalogue import (
    Catalogue,
    UnknownNameError,
    load_catalogue,
    parse_accelerators,
    parse_models,
)
from data.catalogue.schema import (
    AcceleratorRecord,
    AttentionRecord,
    ExpertsRecord,
    LatentRecord,
    ModelRecord,
    PriceRecord,
)
from stoker.domain.architecture import ModelArchitecture
from stoker.domain.catalogue import AcceleratorSpec, FigureKind, Precision
from stoker.domain.errors import InvalidInputError, StokerError

CATALOGUE = load_catalogue()
MODEL_NAMES = [model.name for model in CATALOGUE.models]
EXPERT_NAMES = [model.name for model in CATALOGUE.models if model.experts is not None]
ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "catalogue.md"
TRUTH = ROOT.parent / "shared" / "truth"

every_card = pytest.mark.parametrize("card", CATALOGUE.accelerators, ids=lambda card: card.name)
every_model = pytest.mark.parametrize("model", CATALOGUE.models, ids=lambda model: model.name)


# --- what is in it ---------------------------------------------------------------------------


def test_holds_enough_cards_prices_and_models() -> None:
    cards = CATALOGUE.accelerators
    assert len(cards) >= 25
    assert sum(card.price is not None for card in cards) >= 25
    assert {"NVIDIA", "AMD", "Intel", "Google", "Amazon"} <= {card.vendor for card in cards}
    assert len(CATALOGUE.models) >= 20
    assert len(EXPERT_NAMES) >= 8


@pytest.mark.parametrize(
    "name",
    [
        "L4",
        "L40S",
        "A10",
        "A30",
        "T4",
        "V100",
        "A100-40GB",
        "A100-80GB",
        "H100-PCIe",
        "H100-SXM",
        "H100-NVL",
        "H200",
        "GH200",
        "B200",
        "GB200",
        "B300",
        "RTX-4090",
        "RTX-PRO-6000",
        "MI210",
        "MI250",
        "MI250X",
        "MI300X",
        "MI325X",
        "MI355X",
        "Gaudi-2",
        "Gaudi-3",
        "TPU-v5e",
        "TPU-v5p",
        "TPU-v6e",
        "Trainium-2",
        "Inferentia-2",
    ],
)
def test_has_the_cards_of_the_field(name: str) -> None:
    assert CATALOGUE.accelerator(name).memory_gb > 0


@pytest.mark.skipif(not TRUTH.is_dir(), reason="the measurements are not on this machine")
def test_has_every_card_and_model_that_was_measured() -> None:
    files = TRUTH.glob("*.jsonl")
    rows = [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]
    assert rows
    for gpu in {row["gpu"] for row in rows}:
        assert CATALOGUE.accelerator(gpu).name.startswith(gpu.split()[0])
    for model in {row["model"] for row in rows}:
        CATALOGUE.model(model)


@every_card
def test_every_name_of_a_card_finds_it(card: AcceleratorSpec) -> None:
    for name in (card.name, *card.aliases):
        assert CATALOGUE.accelerator(name) is card
        assert CATALOGUE.accelerator(name.lower().replace("-", "_")) is card


@every_model
def test_every_name_of_a_model_finds_it(model: ModelArchitecture) -> None:
    for name in (model.name, *model.aliases):
        assert CATALOGUE.model(name) is model
        assert CATALOGUE.model(name.upper()) is model


# --- cards -----------------------------------------------------------------------------------


@every_card
def test_rates_rise_as_formats_narrow(card: AcceleratorSpec) -> None:
    order = (Precision.FP32, Precision.TF32, Precision.BF16, Precision.FP8, Precision.FP4)
    rates = [card.dense_tflops[precision] for precision in order if precision in card.dense_tflops]
    assert rates == sorted(rates)
    half = card.dense_tflops.get(Precision.BF16, card.dense_tflops.get(Precision.FP16))
    assert half is not None
    # A sparse figure taken for a dense one would stand out as a factor of four.
    if Precision.FP8 in card.dense_tflops:
        assert card.dense_tflops[Precision.FP8] / half == pytest.approx(2, rel=0.06) or (
            card.vendor in {"Intel", "Amazon"}
        )


@pytest.mark.parametrize(
    ("name", "units", "operations_per_clock", "clock_ghz"),
    [
        ("V100", 80, 1024, 1.530),
        ("T4", 40, 1024, 1.590),
        ("A100-SXM-80GB", 108, 2048, 1.410),
        ("H100-SXM-80GB", 132, 4096, 1.830),
        ("RTX-4090", 128, 512, 2.520),
        ("MI250X", 220, 1024, 1.700),
        ("MI300X", 304, 2048, 2.100),
        ("MI355X", 256, 4096, 2.400),
    ],
)
def test_half_precision_rate_is_units_times_clock(
    name: str, units: int, operations_per_clock: int, clock_ghz: float
) -> None:
    rate = CATALOGUE.accelerator(name).dense_tflops[Precision.FP16]
    assert rate == pytest.approx(units * operations_per_clock * clock_ghz / 1e3, rel=0.01)


@every_card
def test_memory_is_read_in_a_plausible_time(card: AcceleratorSpec) -> None:
    read_ms = card.memory_gb / card.memory_bandwidth_gb_per_s * 1e3
    assert 10 < read_ms < 100
    ridge = card.ridge_flops_per_byte(Precision.FP16) or card.ridge_flops_per_byte(Precision.BF16)
    assert ridge is not None
    assert 80 < ridge < 700


@every_card
def test_power_and_link_are_plausible(card: AcceleratorSpec) -> None:
    assert 0.03 < card.idle_power_w / card.full_power_w < 0.5
    if card.interconnect == "PCIe":
        assert card.pcie_generation is not None
        assert card.interconnect_gb_per_s == 32 * 2 ** (card.pcie_generation - 3)


def test_power_that_no_vendor_prints_is_marked_as_an_estimate() -> None:
    published = {
        card.name for card in CATALOGUE.accelerators if card.idle_power_kind is FigureKind.PUBLISHED
    }
    assert published == {"TPU-v4"}
    assert CATALOGUE.accelerator("TPU-v5e").full_power_kind is FigureKind.ESTIMATED


@every_card
def test_price_is_the_share_of_a_machine(card: AcceleratorSpec) -> None:
    if card.price is None:
        assert card.price_per_hour is None
        return
    assert card.price_per_hour == card.price.instance_price_per_hour / card.price.cards
    assert 0.2 <= card.price.price_per_hour <= 25
    assert card.price.currency == "USD"


def test_ridge_is_unknown_where_the_rate_is() -> None:
    assert CATALOGUE.accelerator("A100").ridge_flops_per_byte(Precision.FP8) is None
    assert CATALOGUE.accelerator("H100").ridge_flops_per_byte(Precision.BF16) == pytest.approx(
        295.3, abs=0.1
    )


# --- models ----------------------------------------------------------------------------------


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


# --- errors ----------------------------------------------------------------------------------


def test_an_unknown_card_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="'H100-SMX' is not in the catalogue") as error:
        CATALOGUE.accelerator("H100-SMX")
    assert "H100-SXM" in error.value.nearest
    assert isinstance(error.value, LookupError)
    assert isinstance(error.value, StokerError)


def test_an_unknown_model_names_the_nearest_or_all() -> None:
    with pytest.raises(UnknownNameError, match=r"model 'llama-3\.1-7b'.*nearest: .*3\.1-8B"):
        CATALOGUE.model("llama-3.1-7b")
    with pytest.raises(UnknownNameError, match="known: Llama-2-7B") as error:
        CATALOGUE.model("zzzzzz")
    assert error.value.nearest == ()


def test_an_empty_catalogue_still_explains() -> None:
    with pytest.raises(UnknownNameError, match="not in the catalogue"):
        Catalogue(accelerators=(), models=()).accelerator("H100")


def _card() -> dict[str, Any]:
    return {
        "name": "X1",
        "vendor": "Acme",
        "architecture": "X",
        "memory_gb": 80,
        "memory_kind": "HBM3",
        "memory_bandwidth_gb_per_s": 3000,
        "dense_tflops": {"bf16": 900},
        "interconnect": "PCIe",
        "interconnect_gb_per_s": 64,
        "pcie_generation": 4,
        "idle_power_w": 50,
        "idle_power_kind": "estimated",
        "full_power_w": 500,
        "full_power_kind": "published",
        "source": "Acme X1 data sheet, 2026",
        "price": None,
    }


def _model() -> dict[str, Any]:
    return {
        "name": "M1",
        "publisher": "Acme",
        "total_parameters": 1000,
        "active_parameters": 1000,
        "layers": 2,
        "hidden_size": 8,
        "intermediate_size": 16,
        "gated_mlp": True,
        "vocabulary_size": 10,
        "tied_embeddings": False,
        "max_context_tokens": 128,
        "attention": {"kind": "gqa", "query_heads": 4, "kv_heads": 2, "head_size": 2},
        "experts": None,
        "weight_precision": "bf16",
        "source": "Acme M1 card, 2026",
    }


def _cards_document(*cards: dict[str, Any], version: int = 1) -> str:
    return yaml.safe_dump({"version": version, "accelerators": list(cards)})


def _models_document(*models: dict[str, Any]) -> str:
    return yaml.safe_dump({"version": 1, "models": list(models)})


def test_minimal_documents_are_read() -> None:
    (card,) = parse_accelerators(_cards_document(_card()))
    assert (card.name, card.aliases, card.price) == ("X1", (), None)
    (model,) = parse_models(_models_document(_model()))
    assert model.expert_weight_precision is Precision.BF16


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        ({"memory_gb": -1}, "memory_gb", "-1 is out of bounds (allowed: a number, above 0"),
        ({"memory_gb": "80"}, "memory_gb", '"80" is not a number'),
        ({"memory_gb": float("nan")}, "memory_gb", "NaN is out of bounds"),
        ({"speed": 3}, "speed", "unknown key (allowed: name, aliases"),
        ({"dense_tflops": {}}, "dense_tflops", "at least 1"),
        ({"dense_tflops": {"fp7": 3}}, "dense_tflops.fp7", "bf16"),
        ({"pcie_generation": 2}, "pcie_generation", "at least 3 and at most 7"),
        ({"idle_power_kind": "guessed"}, "idle_power_kind", "published, estimated"),
        ({"idle_power_w": 600}, "", "must be below full_power_w 500"),
        ({"price": {"instance": "x"}}, "price.cards", "is missing (allowed: a whole number"),
    ],
)
def test_a_bad_card_is_refused_by_field(change: dict[str, Any], path: str, message: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        parse_accelerators(_cards_document(_card() | change), file="mine.yaml")
    where = f"accelerators[0].{path}".removesuffix(".")
    found = [problem for problem in error.value.problems if problem.path.startswith(where)]
    assert any(message in str(problem) for problem in found), error.value
    assert {problem.file for problem in error.value.problems} == {"mine.yaml"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": 0}, r"layers: 0 is out of bounds \(allowed: a whole number, at least 1"),
        ({"layers": 2.5}, "2.5 is not a whole number"),
        ({"gated_mlp": 1}, "neither true nor false"),
        ({"active_parameters": 2000}, "must not exceed total_parameters"),
        ({"active_parameters": 500}, "must equal total_parameters"),
        ({"intermediate_size": None}, "intermediate_size must be null exactly"),
        ({"expert_weight_precision": "mxfp4"}, "without experts"),
        (
            {"attention": {"kind": "mha", "query_heads": 4, "kv_heads": 2, "head_size": 2}},
            "which are gqa",
        ),
        (
            {"attention": {"kind": "gqa", "query_heads": 4, "kv_heads": 3, "head_size": 2}},
            "must be a multiple of kv_heads 3",
        ),
        (
            {"attention": {"kind": "mla", "query_heads": 4, "kv_heads": 4, "head_size": 2}},
            "latent must be given",
        ),
        (
            {"attention": _model()["attention"] | {"window_tokens": 4}},
            "must be given together",
        ),
        (
            {"attention": _model()["attention"] | {"window_tokens": 4, "window_layers": 3}},
            "must not exceed 2",
        ),
        (
            {
                "experts": {
                    "layers": 1,
                    "experts": 4,
                    "experts_per_token": 5,
                    "expert_intermediate_size": 4,
                    "shared_experts": 0,
                }
            },
            "must not exceed experts 4",
        ),
    ],
)
def test_a_bad_model_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message) as error:
        parse_models(_models_document(_model() | change))
    assert all(problem.path.startswith("models[0]") for problem in error.value.problems)


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(InvalidInputError) as error:
        parse_accelerators(_cards_document(_card() | {"memory_gb": 0}, _card() | {"vendor": ""}))
    assert [problem.path for problem in error.value.problems] == [
        "accelerators[0].memory_gb",
        "accelerators[1].vendor",
    ]


def test_names_must_not_mean_two_things() -> None:
    other = _card() | {"name": "X2", "aliases": ["x1"]}
    with pytest.raises(InvalidInputError, match="name 'x1' already means X1"):
        parse_accelerators(_cards_document(_card(), other))
    with pytest.raises(InvalidInputError, match="name 'M1' is used twice"):
        parse_models(_models_document(_model(), _model()))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("accelerators: [", "is not YAML"),
        ("", "null is not a mapping"),
        ("version: 1\naccelerators: []", "at least 1"),
        (
            _cards_document(_card(), version=2),
            r"version: 2 is not one of the choices \(allowed: 1\)",
        ),
    ],
)
def test_a_bad_document_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        parse_accelerators(text)


# --- its guide -------------------------------------------------------------------------------


def test_the_guide_runs_as_printed() -> None:
    results = doctest.testfile(str(GUIDE), module_relative=False, encoding="utf-8")
    assert results.attempted >= 5
    assert results.failed == 0


@pytest.mark.parametrize(
    "record",
    [AcceleratorRecord, PriceRecord, ModelRecord, AttentionRecord, LatentRecord, ExpertsRecord],
)
def test_the_guide_explains_every_field(record: type[BaseModel]) -> None:
    text = GUIDE.read_text("utf-8")
    assert [field for field in record.model_fields if f"`{field}`" not in text] == []
