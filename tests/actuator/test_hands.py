"""Replicas and batch limits of one workload: in the order in which neither leaves it too small."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from actuator.kubernetes.hands import ClusterHands
from stoker.domain.control.changes import ChangeOutcome, ChangeResult, VariantTarget
from stoker.domain.control.cluster import WorkloadRef
from stoker.domain.control.settings import ClusterSettings

REFUSED = (
    ChangeOutcome.CONFLICT,
    ChangeOutcome.FORBIDDEN,
    ChangeOutcome.MISSING,
    ChangeOutcome.FAILED,
)


class Writes:
    """What was written, in order, and how a batch limit is answered."""

    def __init__(self, limiting: ChangeOutcome) -> None:
        self.limiting = limiting
        self.done: list[str] = []

    def limit(self, target: VariantTarget, *, dry_run: bool) -> ChangeResult:
        self.done.append("limit")
        return ChangeResult(target, self.limiting, target.replicas_before, "words")

    def scale(
        self, target: VariantTarget, *, dry_run: bool, permit: Callable[[], str]
    ) -> ChangeResult:
        self.done.append("scale")
        return ChangeResult(target, ChangeOutcome.APPLIED, target.replicas_before)


def apply(
    monkeypatch: pytest.MonkeyPatch,
    target: VariantTarget,
    limiting: ChangeOutcome = ChangeOutcome.APPLIED,
    permitted: str = "",
) -> tuple[ChangeResult, list[str]]:
    hands = ClusterHands(object(), ClusterSettings(allow_batch_limit=True))
    writes = Writes(limiting)
    monkeypatch.setattr(hands, "_scaler", writes)
    monkeypatch.setattr(hands, "_limiter", writes)
    (result,) = hands.apply([target], dry_run=False, permit=lambda: permitted)
    return result, writes.done


def target(replicas: int, limit: int | None = 128) -> VariantTarget:
    return VariantTarget(WorkloadRef("models", "chat"), "H100", replicas, limit, 9)


@pytest.mark.parametrize(("replicas", "order"), [(12, ["scale", "limit"]), (4, ["limit", "scale"])])
def test_what_gets_smaller_is_told_its_limit_first(
    monkeypatch: pytest.MonkeyPatch, replicas: int, order: list[str]
) -> None:
    result, done = apply(monkeypatch, target(replicas))
    assert (result.outcome, done) == (ChangeOutcome.APPLIED, order)


@pytest.mark.parametrize("refused", REFUSED)
def test_where_the_limit_is_refused_no_replica_goes(
    monkeypatch: pytest.MonkeyPatch, refused: ChangeOutcome
) -> None:
    result, done = apply(monkeypatch, target(4), refused)
    assert (result.outcome, done) == (refused, ["limit"])
    assert (result.replicas_before, result.detail) == (9, "words; its replicas stay")


def test_nothing_is_told_where_nothing_may_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    result, done = apply(monkeypatch, target(4), permitted="the loop was paused")
    assert (result.outcome, done) == (ChangeOutcome.FAILED, [])
    assert "the loop was paused" in result.detail


def test_without_a_limit_replicas_alone_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    assert apply(monkeypatch, target(4, None))[1] == ["scale"]
