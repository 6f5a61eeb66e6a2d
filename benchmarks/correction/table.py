"""Examples as arrays: what the analysis says of them, and what simulation says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.correction.examples import Example
from benchmarks.fidelity.engine import cases_of
from queueing.engine.cases import EngineCases
from queueing.engine.correction import LATENCIES
from queueing.engine.decoding import decoding
from queueing.engine.factors import KNOTS
from queueing.engine.first_token import mean_delay_ms, ttft_mixture
from queueing.engine.mixtures import Mixture
from queueing.engine.saturation import saturation
from queueing.engine.scene import scene_at
from queueing.engine.states import full
from queueing.engine.tokens import e2e_mixture, itl_mixture, token_itl_mixture
from queueing.engine.traits import alone_ms, common_traits, own_traits

Array = npt.NDArray[np.float64]

FIGURES = ("mean", *(f"p{percentile:g}" for percentile in KNOTS))
_BLOCK = 2048
_KNOWN_WITHIN = 0.03
"""Relative half-width of a simulated figure beyond which it counts for less."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Examples of one latency.

    Attributes:
        traits: array (examples, traits).
        missed: log of simulated over analysed, array (examples, figures).
        weight: what it counts for, likewise.
        example: which one each is, array (examples,).
    """

    traits: Array
    missed: Array
    weight: Array
    example: npt.NDArray[np.intp]

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Table:
        """Return some of the examples."""
        return Table(self.traits[rows], self.missed[rows], self.weight[rows], self.example[rows])


def tables(examples: Sequence[Example]) -> dict[str, Table]:
    """Return the examples by latency, in their order."""
    parts: dict[str, list[tuple[Array, Array]]] = {name: [] for name in LATENCIES}
    for start in range(0, len(examples), _BLOCK):
        block = examples[start : start + _BLOCK]
        cases = cases_of([example.replica for example in block])
        rates = np.array([example.truth.rate_rps for example in block])
        for name, traits, mixture in _analysed(cases, rates):
            with np.errstate(all="ignore"):
                means, at = mixture.average(), mixture.percentiles(KNOTS)
            figures = np.concatenate([means[None], at])
            parts[name].append((traits, figures))
    made = {}
    for name, blocks in parts.items():
        said = np.concatenate([figures for _, figures in blocks], axis=1).T
        traits = np.concatenate([traits for traits, _ in blocks], axis=1).T
        made[name] = _table(name, examples, traits, said)
    return made


def together(tables: Sequence[Table]) -> Table:
    """Return the rows of several tables as one."""
    return Table(
        np.concatenate([table.traits for table in tables]),
        np.concatenate([table.missed for table in tables]),
        np.concatenate([table.weight for table in tables]),
        np.concatenate([table.example for table in tables]),
    )


def analysed(name: str, cases: EngineCases, rates_rps: Array) -> Array:
    """Return the traits of one latency at rates, array (cases, traits)."""
    blocks = [
        traits
        for start in range(0, len(cases), _BLOCK)
        for latency, traits, _ in _analysed(
            cases.take(np.arange(start, min(start + _BLOCK, len(cases)))),
            rates_rps[start : start + _BLOCK],
        )
        if latency == name
    ]
    return _plain(np.concatenate(blocks, axis=1).T)


def _plain(traits: Array) -> Array:
    """Return traits without what is not a number."""
    return np.nan_to_num(traits, nan=0.0, posinf=50.0, neginf=-50.0)


def _table(name: str, examples: Sequence[Example], traits: Array, said: Array) -> Table:
    true = np.array([[e.truth.value(name, figure) for figure in FIGURES] for e in examples])
    half = np.array([[e.truth.half_width(name, figure) for figure in FIGURES] for e in examples])
    with np.errstate(all="ignore"):
        missed = np.log(true / said)
    missed[~np.isfinite(missed)] = np.nan
    weight = 1.0 / (1.0 + (np.nan_to_num(half, nan=_KNOWN_WITHIN) / _KNOWN_WITHIN) ** 2)
    weight /= weight[np.isfinite(missed)].mean()
    return Table(_plain(traits), missed, weight, np.arange(len(examples)))


def _analysed(cases: EngineCases, rates_rps: Array) -> Iterator[tuple[str, Array, Mixture]]:
    """Yield each latency with its traits, and its distribution by the analysis alone."""
    with np.errstate(all="ignore"):
        most = saturation(cases)
        requests = most.memory.requests
        top = full(cases, requests, most)
        scene = scene_at(cases, requests, top, np.maximum(rates_rps, 1e-12) / 1e3)
        common, alone = common_traits(scene), alone_ms(scene)
        first, decode = ttft_mixture(scene), decoding(scene)
        delay, none = mean_delay_ms(scene), np.zeros(len(cases))
        whole = alone + requests.steps * decode.clear_ms
        for name, mixture, apart, unit in (
            ("ttft", first, delay, alone),
            ("itl", itl_mixture(decode), none, decode.clear_ms),
            ("token_itl", token_itl_mixture(scene, decode), none, decode.clear_ms),
            ("e2e", e2e_mixture(scene, decode, first), delay, whole),
        ):
            yield name, np.array([*common, *own_traits(mixture, apart, unit)]), mixture
