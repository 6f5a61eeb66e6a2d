"""Why a server has no candidate, and why it is not served: one word each."""

from __future__ import annotations

from enum import StrEnum


class Rejection(StrEnum):
    """Why an accelerator is no candidate for a server."""

    NO_PROFILE = "no_profile"
    NO_TARGET = "no_target"
    LOAD_UNKNOWN = "load_unknown"
    ZERO_PARAMETERS = "zero_parameters"
    KIND_TOO_WEAK = "kind_too_weak"
    NOT_CURRENT = "not_current"
    MEMORY = "memory"
    TTFT_UNREACHABLE = "ttft_unreachable"
    ITL_UNREACHABLE = "itl_unreachable"
    E2E_UNREACHABLE = "e2e_unreachable"
    TARGETS_CONFLICT = "targets_conflict"
    BLOCKING_UNREACHABLE = "blocking_unreachable"
    REPLICA_BOUND = "replica_bound"
    NO_CARDS = "no_cards"
    NUMERIC = "numeric"
    POWER_UNKNOWN = "power_unknown"
    NO_POOL = "no_pool"
    SPREAD = "spread"


class UnplacedReason(StrEnum):
    """Why a server is not served in full."""

    NO_CANDIDATE = "no_candidate"
    """No accelerator can serve it at all, whatever the capacity."""
    CAPACITY = "capacity"
    """It has candidates; the cards went to others or are too few."""
    LOAD_UNKNOWN = "load_unknown"
    """Its load is unknown, so nothing was decided for it."""
    TIME_LIMIT = "time_limit"
    """The solver ran out of time before placing it."""
    BUDGET = "budget"
    """What it would cost is more than the budget leaves."""
    POWER = "power"
    """It would draw more power than the limits leave."""
    QUOTA = "quota"
    """The quotas of its pools leave too few cards."""
    SPREAD = "spread"
    """Its replicas cannot be spread over zones or nodes as asked, with the cards left."""
    SPOT = "spot"
    """It would take more spot cards than their share allows."""
    REPLICAS = "replicas"
    """The plan may have no more replicas."""
    CHANGES = "changes"
    """Serving it would change more servers than allowed."""
