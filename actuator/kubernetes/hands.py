"""The hands of the loop in a cluster: replicas, and batch limits where they are allowed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from actuator.kubernetes.batch_limit import BatchLimiter
from actuator.kubernetes.scaling import Scaler, always
from actuator.kubernetes.together import shrinks, written_together
from stoker.domain.control.changes import ChangeOutcome, ChangeResult, VariantTarget
from stoker.domain.control.settings import ClusterSettings

_REACHED = (ChangeOutcome.APPLIED, ChangeOutcome.UNCHANGED, ChangeOutcome.DRY_RUN)


class ClusterHands:
    """Brings workloads to their targets: first the replicas, then the batch limit of the pods.

    A workload that gets smaller is told its batch limit first: fewer replicas may be enough only
    with that, so that where it is refused they stay.

    Where replicas are refused the batch limit is left too: what was decided no longer fits. Where
    replicas were changed and the batch limit was refused, the change counts as made and its words
    tell the refusal; a later cycle decides on the batch limit alone. Where both are only tried, a
    refusal of either is one of the change.

    Args:
        client: A client of the API server.
        settings: Whether and where batch limits are written, and the name that owns fields.
        timeout_s: Longest wait for an answer.
    """

    def __init__(self, client: Any, settings: ClusterSettings, timeout_s: float = 10.0) -> None:
        self._scaler = Scaler(client, settings.field_manager, timeout_s)
        self._limiter: BatchLimiter | None = None
        if settings.allow_batch_limit:
            self._limiter = BatchLimiter(client, settings, timeout_s)

    def apply(
        self,
        targets: Sequence[VariantTarget],
        *,
        dry_run: bool,
        permit: Callable[[], str] = always,
    ) -> tuple[ChangeResult, ...]:
        """Bring each workload to its target; a refusal is a result, and stops no other.

        `permit` is asked just before each write, from several threads, and says why it must not be;
        empty where it may.
        """

        def write(target: VariantTarget) -> ChangeResult:
            return self._one(target, permit, dry_run=dry_run)

        return written_together(targets, write)

    def _one(
        self, target: VariantTarget, permit: Callable[[], str], *, dry_run: bool
    ) -> ChangeResult:
        if self._limiter is not None and target.max_batch and shrinks(target):
            return self._smaller(target, self._limiter, permit, dry_run=dry_run)
        scaled = self._scaler.scale(target, dry_run=dry_run, permit=permit)
        if self._limiter is None or not target.max_batch or scaled.outcome not in _REACHED:
            return scaled
        forbidden = permit()
        if forbidden and scaled.outcome is ChangeOutcome.UNCHANGED:
            words = f"{target.ref}: nothing was written: {forbidden}"
            return replace(scaled, outcome=ChangeOutcome.FAILED, detail=words)
        if forbidden:
            return scaled  # a later cycle decides on the batch limit alone
        limited = self._limiter.limit(target, dry_run=dry_run)
        if scaled.outcome is ChangeOutcome.UNCHANGED:
            return replace(limited, replicas_before=scaled.replicas_before)
        if dry_run and limited.outcome not in _REACHED:
            return replace(limited, replicas_before=scaled.replicas_before)
        return replace(scaled, detail=limited.detail)

    def _smaller(
        self,
        target: VariantTarget,
        limiter: BatchLimiter,
        permit: Callable[[], str],
        *,
        dry_run: bool,
    ) -> ChangeResult:
        """Tell a workload its batch limit, then bring it to fewer replicas."""
        forbidden = permit()
        if forbidden:
            words = f"{target.ref}: nothing was written: {forbidden}"
            return ChangeResult(target, ChangeOutcome.FAILED, detail=words)
        limited = limiter.limit(target, dry_run=dry_run)
        if limited.outcome not in _REACHED:
            words = f"{limited.detail}; its replicas stay"
            return replace(limited, detail=words)
        return self._scaler.scale(target, dry_run=dry_run, permit=permit)
