"""Networks that have not seen a part of the examples, and are judged by that part.

Every example is in one part, so that all of them judge (cross-fitting: Chernozhukov et al.,
Double/debiased machine learning for treatment and structural parameters, 2018).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.correction.learning import Lesson, fitted
from benchmarks.correction.table import Table
from queueing.engine.correction import expected_logs
from queueing.engine.network import Network

Array = npt.NDArray[np.float64]

FOLDS = 3


@dataclass(frozen=True, slots=True)
class Folds:
    """Networks of which each has seen all examples but those of one part.

    Attributes:
        part: of each example, array (examples,).
        networks: of each part, by latency.
    """

    part: npt.NDArray[np.int64]
    networks: tuple[Mapping[str, Network], ...]

    def told(self, name: str, traits: Array) -> Array:
        """Return logs of corrections of examples by the networks that have not seen them.

        Args:
            name: of the latency.
            traits: of all examples in their order, array (examples, traits).
        """
        logs = []
        for networks in self.networks:
            told, trust = networks[name](traits.T)
            logs.append(expected_logs(told, trust))
        return np.array(logs)[self.part, :, np.arange(len(traits))]


def folds(
    tables: Mapping[str, Table], lesson: Lesson, on_pass: Callable[[], None] = lambda: None
) -> Folds:
    """Fit networks of all latencies to all examples but a part, for each part."""
    count = len(next(iter(tables.values())).traits)
    part = np.arange(count) % FOLDS
    networks = []
    for index in range(FOLDS):
        seen = {name: table.take(part != index) for name, table in tables.items()}
        networks.append(
            {
                name: fitted(table.traits, table.missed, table.weight, lesson, on_pass)
                for name, table in seen.items()
            }
        )
    return Folds(part, tuple(networks))
