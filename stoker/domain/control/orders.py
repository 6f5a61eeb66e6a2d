"""Why the loop refuses what somebody asks of it, apart from input that is wrong."""

from __future__ import annotations

from stoker.domain.errors import StokerError


class NotThereError(StokerError):
    """There is no such cycle, server or plan."""


class ConflictError(StokerError):
    """What is asked does not fit what the loop is at: another plan waits, or none does."""
