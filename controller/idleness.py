"""Whether a server without new requests is idle: nobody may wait, or be served, unseen."""

from __future__ import annotations

from collections.abc import Sequence

from controller.load import MeasuredLoad
from stoker.domain.control.cluster import ReplicaPhase, VariantState
from stoker.domain.control.signals import SignalName

_SERVING = (ReplicaPhase.READY, ReplicaPhase.STARTING)
"""Phases in which a replica may serve: one that is not ready any more may have requests still."""


def unseen(measured: MeasuredLoad, variants: Sequence[VariantState]) -> str:
    """Return why nobody knows whether requests wait or are served; empty where that is known.

    Where no replica runs, none serves any.
    """
    runs = any(each.phase in _SERVING for variant in variants for each in variant.replicas)
    if not runs or measured.inside is not None:
        return ""
    missing = f"{SignalName.RUNNING.value} is unknown"
    if measured.waiting is None:
        missing = f"{SignalName.WAITING.value} is unknown, and so may {SignalName.RUNNING.value} be"
    return f"the signal {missing}: requests may be in service"
