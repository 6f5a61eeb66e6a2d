"""Whether two names mean the same model or accelerator."""

from __future__ import annotations

from collections.abc import Callable

from data.catalogue.read import UnknownNameError


def same_name(look_up: Callable[[str], object], one: str, other: str) -> bool:
    """Return whether two names are the same but for case, or the catalogue has one record of both.

    Args:
        look_up: Returns the record of a name, or raises `UnknownNameError`: a look-up of the
            catalogue.
        one: A name.
        other: Another name.
    """
    if one.casefold() == other.casefold():
        return True
    try:
        return look_up(one) is look_up(other)
    except UnknownNameError:
        return False
