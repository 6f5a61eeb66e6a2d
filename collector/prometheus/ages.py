"""Signals with their age: what is too old is stale."""

from __future__ import annotations

from stoker.domain.control.settings import MetricSettings
from stoker.domain.control.signals import Signal


def aged(value: float, age_s: float | None, query: str, settings: MetricSettings) -> Signal:
    """Return the signal, stale where its newest sample is too old or its series has ended.

    A rate outlives its series by the window that it is taken over; an age does not.

    Args:
        value: The figure.
        age_s: Age of the newest sample, in seconds; None where there is none.
        query: What answered the figure.
        settings: From which age on it is stale.
    """
    if age_s is None:
        return Signal.stale(value, None, query, "its series has ended: nobody is scraped any more")
    if age_s > settings.stale_s:
        return Signal.stale(
            value,
            age_s,
            query,
            f"the newest sample is {age_s:.0f} s old; more than {settings.stale_s:g} s is stale",
        )
    return Signal.known(value, max(0.0, age_s), query)
