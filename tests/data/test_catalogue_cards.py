"""Cards of the catalogue: their figures against each other and against independent ones."""

from __future__ import annotations

import pytest

from data.catalogue import (
    load_catalogue,
)
from stoker.domain.catalogue import AcceleratorSpec, FigureKind, Precision

CATALOGUE = load_catalogue()

every_card = pytest.mark.parametrize("card", CATALOGUE.accelerators, ids=lambda card: card.name)


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
