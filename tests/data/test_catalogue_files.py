"""Files of a catalogue: what is read, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from data.catalogue import (
    load_catalogue,
    parse_accelerators,
    parse_models,
)
from stoker.domain.catalogue import Precision
from stoker.domain.errors import InvalidInputError

CATALOGUE = load_catalogue()


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
