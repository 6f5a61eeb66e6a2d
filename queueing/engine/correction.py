"""The correction of the analysis: what simulation says that it misses, as a smooth function.

An analysis that is fast and about right, and a simulation that is right and slow, together tell
more than either: the ratio of the two changes little between alike operating points, and a smooth
function fitted to it where both are known corrects the first one everywhere (Kennedy and O'Hagan,
Predicting the output from a complex computer code when fast approximations are available, 2000).
Here the function is a small network for each latency, of numbers without units that describe the
operating point (`queueing.engine.traits`); its examples are random replicas, none of them from the
published grid (`python -m benchmarks.correction`, docs/engine.md).

Each network tells the log of simulated over analysed latency. Where an operating point is unlike
every example, the correction fades to none. How far to trust what is so sized, `margins` tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, cached_property, partial
from importlib.resources import files

import numpy as np

from queueing.arrays import BoolArray, FloatArray, IntArray
from queueing.engine.decoding import Decoding
from queueing.engine.factors import KNOTS, Factors
from queueing.engine.first_token import mean_delay_ms
from queueing.engine.mixtures import Mixture
from queueing.engine.network import Network
from queueing.engine.scene import Scene
from queueing.engine.traits import alone_ms, common_traits, own_traits

Networks = Mapping[str, Network]
"""Fitted networks by what they tell."""

LATENCIES = ("ttft", "itl", "token_itl", "e2e")
SIZED = ("ttft", "itl", "e2e")
"""Latencies that have targets."""
OUTPUTS = 1 + len(KNOTS)
"""What a network tells: of the mean and of the knots."""

_LARGEST = 1.5
"""Largest log of a correction."""
LEAST_MARGIN, LARGEST_MARGIN = 0.065, 1.5
"""Least and largest log of a margin: not even alike examples are known better than by the least."""
_WORTHWHILE = 0.005
"""Log of a correction below which it is more noise than correction."""
_SHEDDING = 0.02
"""Blocking over which trust falls to 1/e: the examples have queues without limit."""


class Corrector:
    """Corrections of the latencies of replicas at a rate."""

    def __init__(
        self, scene: Scene, fitted: Networks | None = None, *, margins: bool = False
    ) -> None:
        """Prepare for replicas at a rate; all that is common is looked at once.

        Args:
            scene: the replicas.
            fitted: networks by latency; None for those of the package.
            margins: whether to tell the margins of their rates, where there are networks for it.
        """
        self._scene = scene
        self._networks = networks() if fitted is None else fitted
        self._margins = margins

    @cached_property
    def _common(self) -> list[FloatArray]:
        return common_traits(self._scene)

    @cached_property
    def _alone_ms(self) -> FloatArray:
        return alone_ms(self._scene)

    @cached_property
    def _none(self) -> FloatArray:
        return np.zeros(len(self._scene.cases))

    @cached_property
    def _queueing(self) -> FloatArray:
        """How far to trust the correction where requests are turned away, 1 to 0."""
        queueing: FloatArray = np.exp(-self._scene.blocking / _SHEDDING)
        return queueing

    @cached_property
    def _delay_ms(self) -> FloatArray:
        return mean_delay_ms(self._scene)

    def ttft(self, mixture: Mixture) -> Factors:
        """Return the corrections of TTFT, by its distribution."""
        # How late tokens reach their readers is no queue's doing.
        return self._factors("ttft", mixture, self._delay_ms, self._alone_ms)

    def itl(self, mixture: Mixture, decode: Decoding) -> Factors:
        """Return the corrections of ITL by request, by its distribution."""
        return self._factors("itl", mixture, self._none, decode.clear_ms)

    def token_itl(self, mixture: Mixture, decode: Decoding) -> Factors:
        """Return the corrections of ITL by token, by its distribution."""
        return self._factors("token_itl", mixture, self._none, decode.clear_ms)

    def e2e(self, mixture: Mixture, decode: Decoding) -> Factors:
        """Return the corrections of E2E, by its distribution."""
        unit = self._alone_ms + self._scene.requests.steps * decode.clear_ms
        return self._factors("e2e", mixture, self._delay_ms, unit)

    def _factors(
        self, name: str, mixture: Mixture, apart_ms: FloatArray, unit_ms: FloatArray
    ) -> Factors:
        inputs = np.array([*self._common, *own_traits(mixture, apart_ms, unit_ms)])
        logs, trust = self._networks[name](inputs)
        expected = expected_logs(logs, trust * self._queueing)
        exact = self._exact(name)
        if np.any(exact):
            expected[exact] = 0.0
        margins = None
        if self._margins and margin_of(name) in self._networks:
            margins = partial(self._margins_of, margin_of(name), inputs, exact)
        return Factors(expected, apart_ms, margins)

    def _margins_of(
        self, name: str, inputs: FloatArray, exact: BoolArray, rows: IntArray
    ) -> FloatArray:
        wanted, _ = self._networks[name](inputs[:, rows])
        margins = np.clip(wanted, LEAST_MARGIN, LARGEST_MARGIN) * self._queueing[rows]
        return np.where(exact[:, rows], 0.0, margins)

    def _exact(self, name: str) -> BoolArray:
        """Return which figures the analysis has right, array (1 + knots, cases)."""
        cases, requests = self._scene.cases, self._scene.requests
        exact = np.zeros((1 + len(KNOTS), len(cases)), dtype=np.bool_)
        alone = self._scene.top.slots <= 1.0
        if name in ("ttft", "e2e"):
            # Means of an M/G/1 queue (Pollaczek and Khinchine).
            exact[0] = alone & (cases.arrival_cv == 1.0)
        else:
            # One request at a time is disturbed by nobody.
            exact[0] = alone
        if name == "itl":
            # And where all are of one length, none is slower than another.
            exact[1:] = alone & (requests.steps_spread + requests.input_spread < 1e-9)
        return exact


def expected_logs(logs: FloatArray, trust: FloatArray) -> FloatArray:
    """Return logs of corrections as far as they are trusted; tiny ones vanish, without a jump."""
    trusted = np.clip(logs, -_LARGEST, _LARGEST) * trust
    square = trusted * trusted
    # Not a cube: powers but the second are slow.
    expected: FloatArray = trusted * (square / (square + _WORTHWHILE**2))
    return expected


def careful_of(latency: str) -> str:
    """Return the name of the network that tells what few of a latency exceed."""
    return f"{latency}_careful"


def careful(fitted: Networks) -> Networks | None:
    """Return networks that tell what few latencies exceed, by latency; None where they lack."""
    names = [name for name in SIZED if careful_of(name) in fitted]
    return {name: fitted[careful_of(name)] for name in names} or None


def margin_of(latency: str) -> str:
    """Return the name of the network that tells the margins of rates sized to a latency."""
    return f"{latency}_margin"


@cache
def networks() -> Networks:
    """Return the fitted networks by latency, and those that sizing is careful by."""
    with (files("queueing.engine") / "correction.npz").open("rb") as file, np.load(file) as stored:
        arrays = dict(stored)
    return {
        name: Network.of(
            {
                key.removeprefix(f"{name}."): values
                for key, values in arrays.items()
                if key.startswith(f"{name}.")
            }
        )
        for name in (*LATENCIES, *map(margin_of, SIZED), *map(careful_of, SIZED))
    }
