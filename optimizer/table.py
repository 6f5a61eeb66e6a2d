"""The candidate table: every way to serve each server of a fleet, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from stoker.domain.accelerator import Slice
from stoker.domain.latency import Statistic
from stoker.domain.reasons import Rejection
from stoker.domain.settings import Analysis

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

ACCEPTED = 0
REJECTIONS: tuple[Rejection, ...] = tuple(Rejection)
"""Rejection of code k is ``REJECTIONS[k - 1]``; code 0 means accepted."""

EMPTY = -1
"""Accelerator index of an empty allocation: a server without load and without minimum."""

NO_NAME = -1
"""Index of the configuration that has no name."""

OTHER = -2
"""Index of a configuration that no profile is in."""

_NOT_BY_ROW = frozenset({"priority", "total_rate_rps", "row_start"})


def rejection_code(rejection: Rejection) -> int:
    """Return the code of a rejection in `CandidateTable.rejection`."""
    return REJECTIONS.index(rejection) + 1


@dataclass(frozen=True, slots=True)
class Transitions:
    """What runs now, which the value of a change is counted from; arrays of shape (servers,).

    Attributes:
        accelerator: Index of the current accelerator, or `EMPTY` where nothing (known) runs.
        cost_per_hour: Cost of what runs now, 0 where nothing does.
        penalty: Fraction of the costs torn down and set up that a change of accelerator, of
            configuration or of the way of serving adds.
        configuration: Index of the current configuration among the names of the table, `NO_NAME`
            where it has none, or `OTHER` where no profile is in it; None where none has a name.
        prefill_replicas: How many of the replicas that run now compute prompts for the others;
            None where none do.
    """

    accelerator: IntArray
    cost_per_hour: FloatArray
    penalty: float
    configuration: IntArray | None = None
    prefill_replicas: IntArray | None = None


@dataclass(frozen=True, slots=True)
class CandidateTable:
    """Predictions for all rows, sorted by server and then by accelerator, in the fleet's order.

    A server may have several rows on an accelerator: one for each configuration of its model, way
    of serving and batch limit. A row that splits replicas between a prefill and a decode pool is
    one deployment of both, and a row on slices of cards is a bundle of its replicas: either counts
    as one replica that takes the cards of all of them.

    Arrays of shape (rows,) unless said otherwise; a rejected row holds NaN or 0 figures, and its
    reason. Figures are those of the full allocation: all `replicas` at the equal share.

    Attributes:
        servers: Names of the servers, shape (servers,).
        accelerators: Names of the accelerator configurations, shape (accelerators,).
        card_types: Names of card types, shape (types,).
        priority: Priority of each server, shape (servers,).
        total_rate_rps: Rate that each server must carry, shape (servers,); NaN where unknown.
        row_start: Rows of server s are ``row_start[s]:row_start[s + 1]``, shape (servers + 1,).
        server: Index of the server.
        accelerator: Index of the accelerator configuration, or `EMPTY`.
        card_type: Index of the card type; -1 for an empty allocation.
        rejection: 0 for an accepted row, else 1 + index into `REJECTIONS`.
        replicas: Replicas that carry the whole load within the targets.
        min_replicas: Smallest number of replicas allowed.
        max_replicas: Largest number of replicas allowed.
        max_batch: Batch limit of a replica.
        max_queue: Queue limit of a replica; -1 where unknown.
        cards_per_replica: Cards that one replica takes.
        unit_cost_per_hour: Cost of one replica per hour.
        cost_per_hour: Cost of all replicas per hour.
        value: Cost of the change from the current allocation.
        ttft_ms: Mean TTFT.
        itl_ms: Mean ITL.
        utilization: Mean requests in service over the batch limit.
        blocking: Fraction of requests turned away; NaN where unknown.
        max_rate_rps: Largest throughput of one replica within the targets.
        estimate: Index into ``list(EstimateKind)`` of the profile's origin; -1 where none.
        statistics: Statistics of latencies that have targets.
        best_ms: Lowest value of each statistic that the pair can reach at any load; NaN where not
            computed, (statistics, rows).
        transitions: What runs now, by server.
        analysis: Performance model behind the figures.
        largest_batch: Largest of the limits that the batch limit was chosen from, 0 where it was
            not chosen; None where none was.
        configurations: Names of configurations.
        configuration: Index of the configuration, or `NO_NAME`; None where none has a name.
        profile: Index of the profile of the model, -1 without one; None where each pair of a model
            and an accelerator has one profile at most.
        prefill_replicas: Replicas of the prefill pool, 0 where there is none; None where no row
            has one.
        decode_replicas: Replicas of the decode pool, as those of the prefill pool.
        spare_replicas: How many of both pools are there for the loss of any one of them, 0 where
            none is; None where no row has any.
        bundled: Replicas on slices of cards that the row is a bundle of, 0 where it is none; None
            where no row is one.
        slices: Slice that a unit of each accelerator is, None where it is whole cards; empty where
            none is a slice.
    """

    servers: tuple[str, ...]
    accelerators: tuple[str, ...]
    card_types: tuple[str, ...]
    priority: IntArray
    total_rate_rps: FloatArray
    row_start: IntArray
    server: IntArray
    accelerator: IntArray
    card_type: IntArray
    rejection: IntArray
    replicas: IntArray
    min_replicas: IntArray
    max_replicas: IntArray
    max_batch: IntArray
    max_queue: IntArray
    cards_per_replica: IntArray
    unit_cost_per_hour: FloatArray
    cost_per_hour: FloatArray
    value: FloatArray
    ttft_ms: FloatArray
    itl_ms: FloatArray
    utilization: FloatArray
    blocking: FloatArray
    max_rate_rps: FloatArray
    estimate: IntArray
    statistics: tuple[Statistic, ...]
    best_ms: FloatArray
    transitions: Transitions | None = None
    analysis: Analysis = Analysis.REFERENCE
    largest_batch: IntArray | None = None
    configurations: tuple[str, ...] = ()
    configuration: IntArray | None = None
    profile: IntArray | None = None
    prefill_replicas: IntArray | None = None
    decode_replicas: IntArray | None = None
    spare_replicas: IntArray | None = None
    bundled: IntArray | None = None
    slices: tuple[Slice | None, ...] = ()

    @property
    def accepted(self) -> BoolArray:
        """Mask of the rows that are candidates."""
        return np.equal(self.rejection, ACCEPTED)

    @property
    def cards(self) -> IntArray:
        """Cards that each row uses in full."""
        return self.replicas * self.cards_per_replica

    @property
    def configured(self) -> IntArray:
        """Index of the configuration of each row, `NO_NAME` where it has none."""
        if self.configuration is None:
            return np.full(len(self.server), NO_NAME, dtype=np.int64)
        return self.configuration

    def on_slices(self, rows: IntArray) -> BoolArray:
        """Return which of some rows are on slices of cards, bundled or one by one."""
        sliced = np.array([item is not None for item in self.slices], dtype=np.bool_)
        if not np.any(sliced):
            return np.zeros(len(rows), dtype=np.bool_)
        accelerator = self.accelerator[rows]
        return np.asarray((accelerator >= 0) & sliced[accelerator], dtype=np.bool_)

    @property
    def disaggregated(self) -> BoolArray:
        """Mask of the rows that split replicas between a prefill and a decode pool."""
        if self.prefill_replicas is None:
            return np.zeros(len(self.server), dtype=np.bool_)
        return np.greater(self.prefill_replicas, 0)

    @property
    def spare(self) -> IntArray:
        """Replicas of each row that are there for the loss of any one of them."""
        if self.spare_replicas is None:
            return np.zeros(len(self.server), dtype=np.int64)
        return self.spare_replicas

    @property
    def all_replicas(self) -> IntArray:
        """Replicas of each row: those of both pools where it has two, those of a bundle."""
        count = self.replicas
        if self.prefill_replicas is not None and self.decode_replicas is not None:
            both = self.prefill_replicas + self.decode_replicas
            count = np.where(both > 0, both, count)
        if self.bundled is not None:
            count = np.where(self.bundled > 0, self.bundled, count)
        return count

    @property
    def whole(self) -> BoolArray:
        """Mask of the rows that are taken whole or not at all: two pools, and bundles."""
        if self.bundled is None:
            return self.disaggregated
        return self.disaggregated | (self.bundled > 0)

    def take(self, rows: IntArray) -> CandidateTable:
        """Return the table of some of its rows, which must be ascending."""
        parts = {
            field.name: value[..., rows]
            for field in fields(self)
            if field.name not in _NOT_BY_ROW
            and isinstance(value := getattr(self, field.name), np.ndarray)
        }
        start = np.searchsorted(self.server[rows], np.arange(len(self.servers) + 1))
        row_start = start.astype(np.int64)
        return replace(self, row_start=row_start, **parts)  # type: ignore[arg-type]  # by name
