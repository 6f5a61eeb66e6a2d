"""Moments that people write, as seconds since the epoch."""

from __future__ import annotations

import math
from datetime import UTC, datetime

ALLOWED = "a time like 2026-12-01T06:00:00Z, or seconds since 1970"


def moment(text: str) -> float:
    """Return a time in seconds since the epoch; one without a zone is one of UTC.

    Args:
        text: ISO 8601, or the seconds themselves.

    Raises:
        ValueError: It is no time.
    """
    try:
        seconds = float(text)
    except ValueError:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(seconds):
        raise ValueError(text)
    return seconds
