"""Families of metrics as the Prometheus client takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily


def gauge(
    name: str, words: str, labels: tuple[str, ...], values: Mapping[Any, float]
) -> GaugeMetricFamily:
    """Return a gauge with one series for each tuple of label values."""
    family = GaugeMetricFamily(name, words, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def counter(
    name: str, words: str, labels: tuple[str, ...], values: Mapping[Any, float]
) -> CounterMetricFamily:
    """Return a counter with one series for each tuple of label values."""
    family = CounterMetricFamily(name, words, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family
