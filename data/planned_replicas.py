"""The replicas of a written plan, to place them on nodes; all else in a plan is passed over.

A plan is what ``stoker solve --format json`` writes. All replicas of an allocation, of a part of a
mix, or of a prefill or decode pool, take equally many cards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data.decode import Decoded, read_document
from data.document import Document
from data.fields import Count, Name
from data.problems import Finding, findings_from_validation
from data.wording import Loc, shown
from stoker.domain.placement import ReplicaDemand
from stoker.domain.pools import Pool


class _PlanModel(BaseModel):
    """Base: what is not asked about is passed over, what is must be right."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, allow_inf_nan=False)


class PlannedPart(_PlanModel):
    """Replicas on one accelerator configuration."""

    accelerator: Name | None
    replicas: Count
    cards: Count
    card_type: Name | None


class PlannedPool(_PlanModel):
    """Replicas of a prefill or a decode pool, of the accelerator of their allocation."""

    replicas: Count
    cards: Count


class PlannedStand(_PlanModel):
    """Replicas that stand in one pool of cards."""

    pool: Name
    replicas: Count
    cards: Count


class PlannedAllocationEntry(PlannedPart):
    """What a server gets; of replicas on slices the whole cards have a place each."""

    sliced: bool = False
    counted_with: Name | None = None
    mix: list[PlannedPart] = Field(default_factory=list)
    pools: list[PlannedPool] = Field(default_factory=list)
    placements: list[PlannedStand] = Field(default_factory=list)


class PlannedCards(_PlanModel):
    """A pool of cards."""

    card_type: Name
    zone: Name | None = None
    available: Count = 0


class PlannedDocument(_PlanModel):
    """A plan."""

    allocations: dict[Name, PlannedAllocationEntry]
    pools: dict[Name, PlannedCards] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlannedReplicas:
    """What a plan asks nodes for.

    Attributes:
        demands: Its replicas, in its order.
        pools: The pools of cards that it is over; none for a plan that knows card types alone.
    """

    demands: tuple[ReplicaDemand, ...]
    pools: tuple[Pool, ...]


def read_planned_replicas(
    path: str | Path, priorities: Mapping[str, int] | None = None
) -> PlannedReplicas:
    """Return the replicas of a plan's file, in its order, and the pools that they stand in.

    Args:
        path: The file.
        priorities: Priority of each server; 1 for a server that is not among them.

    Raises:
        InvalidInputError: The file cannot be read, or every problem in it.
    """
    return _asked(read_document(Path(path)), str(path), priorities or {})


def parse_planned_replicas(
    document: object, priorities: Mapping[str, int] | None = None, file: str = ""
) -> tuple[ReplicaDemand, ...]:
    """Return the replicas of a decoded plan, each in its pool where it has one.

    Raises:
        InvalidInputError: Every problem of the document, in document order.
    """
    return planned_replicas(document, priorities, file).demands


def planned_replicas(
    document: object, priorities: Mapping[str, int] | None = None, file: str = ""
) -> PlannedReplicas:
    """Return the replicas of a decoded plan, and the pools that they stand in.

    Raises:
        InvalidInputError: Every problem of the document, in document order.
    """
    return _asked(Decoded(document), file, priorities or {})


def _asked(decoded: Decoded, file: str, priorities: Mapping[str, int]) -> PlannedReplicas:
    document = Document.single(decoded.value, file, decoded.findings)
    wrong: list[Finding] = []
    plan: PlannedDocument | None = None
    try:
        plan = PlannedDocument.model_validate(decoded.value)
    except ValidationError as error:
        wrong.extend(findings_from_validation(error, PlannedDocument))
    if plan is not None:
        wrong.extend(_mismatches(plan))
    document.refuse_if(wrong)
    assert plan is not None  # no plan without findings, and those were raised
    demands = tuple(
        ReplicaDemand(
            server,
            part.accelerator or "",
            part.card_type or "",
            part.cards // part.replicas,
            part.replicas,
            priorities.get(server, 1),
            pool,
        )
        for server, _, part, pool in _parts(plan)
        if part.replicas
    )
    pools = tuple(
        Pool(name, item.card_type, item.available, zone=item.zone)
        for name, item in plan.pools.items()
    )
    return PlannedReplicas(demands, pools)


def _parts(plan: PlannedDocument) -> Iterator[tuple[str, Loc, PlannedPart, str | None]]:
    """Yield server, place in the document, replicas, and the pool of cards that they stand in."""
    for server, allocation in plan.allocations.items():
        if allocation.counted_with is not None:
            continue  # on the replicas of another server
        loc: Loc = ("allocations", server)
        stands = allocation.placements
        if allocation.mix:
            for index, part in enumerate(allocation.mix):
                yield server, (*loc, "mix", index), part, None
        elif allocation.pools:
            # Deployments are alike: each place has its share of the replicas of both pools.
            total = max(1, sum(stand.replicas for stand in stands))
            places: list[tuple[int, str | None]]
            places = [(stand.replicas, stand.pool) for stand in stands] or [(total, None)]
            for index, pool in enumerate(allocation.pools):
                for share, place in places:
                    part = PlannedPart(
                        accelerator=allocation.accelerator,
                        replicas=pool.replicas * share // total,
                        cards=pool.cards * share // total,
                        card_type=allocation.card_type,
                    )
                    yield server, (*loc, "pools", index), part, place
        elif stands:
            for index, stand in enumerate(stands):
                part = PlannedPart(
                    accelerator=allocation.accelerator,
                    replicas=stand.cards if allocation.sliced else stand.replicas,
                    cards=stand.cards,
                    card_type=allocation.card_type,
                )
                yield server, (*loc, "placements", index), part, stand.pool
        elif allocation.sliced:
            whole = allocation.model_copy(update={"replicas": allocation.cards})
            yield server, loc, whole, None
        else:
            yield server, loc, allocation, None


def _mismatches(plan: PlannedDocument) -> Iterator[Finding]:
    for _, loc, part, pool in _parts(plan):
        if pool is not None and pool not in plan.pools:
            yield Finding((*loc, "pool"), f"{shown(pool)} is no pool of the plan", "a pool of it")
        if not part.replicas:
            continue
        if part.card_type is None or part.accelerator is None:
            key = "card_type" if part.card_type is None else "accelerator"
            yield Finding((*loc, key), "is missing for its replicas", "a name")
        if part.cards % part.replicas or not part.cards:
            yield Finding(
                (*loc, "cards"),
                f"{shown(part.cards)} cards are not the same number for each of "
                f"{shown(part.replicas)} replicas",
                f"a multiple of {shown(part.replicas)}, more than 0",
            )
