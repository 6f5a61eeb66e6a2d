"""The catalogue: what is in it, by what names it is found, and its guide."""

from __future__ import annotations

import doctest
import json
from pathlib import Path

import pytest
from pydantic import BaseModel

from data.catalogue import (
    Catalogue,
    UnknownNameError,
    load_catalogue,
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
from stoker.domain.catalogue import AcceleratorSpec
from stoker.domain.errors import StokerError

CATALOGUE = load_catalogue()
EXPERT_NAMES = [model.name for model in CATALOGUE.models if model.experts is not None]
ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "catalogue.md"
TRUTH = ROOT.parent / "shared" / "truth"

every_card = pytest.mark.parametrize("card", CATALOGUE.accelerators, ids=lambda card: card.name)
every_model = pytest.mark.parametrize("model", CATALOGUE.models, ids=lambda model: model.name)


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
