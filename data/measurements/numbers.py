"""Numbers as files hold them: any JSON, that may be one."""

from __future__ import annotations

import math


def finite(value: object) -> float | None:
    """Return a finite number; None for anything else, and for what no float can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
