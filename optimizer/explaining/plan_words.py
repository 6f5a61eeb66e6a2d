"""Amounts, replicas and names as sentences about plans say them."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.domain.serving import configured_name

_CENT = 0.005
_NAMES = 3


def signed(amount: float, currency: str = "") -> str:
    """Return a difference of money with its sign: ``+1,234.50 USD/h``; less than a cent as it is.

    Args:
        amount: The difference, an hour.
        currency: Its currency; empty where the unit stands elsewhere.
    """
    unit = f" {currency}/h" if currency else ""
    if abs(amount) < _CENT:
        return f"0{unit}" if amount == 0 else f"{amount:+.1g}{unit}"
    return f"{amount:+,.2f}{unit}"


def replicas_words(replicas: int, accelerator: str, configuration: str, *, prefill: int = 0) -> str:
    """Return replicas on an accelerator: ``3 × H100 (tp2)``, ``7 × H100, 5 of them for prefill``.

    Args:
        replicas: How many, those of two pools together.
        accelerator: What they are on.
        configuration: The configuration there; empty where it has no name.
        prefill: How many of them compute prompts for the others.
    """
    words = f"{replicas:,} × {configured_name(accelerator, configuration)}"
    return f"{words}, {prefill:,} of them for prefill" if prefill else words


def names_of(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    more = len(names) - _NAMES
    return ", ".join(names[:_NAMES]) + (f" and {more:,} more" if more > 0 else "")
