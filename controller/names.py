"""Names for what a plan makes up beside the documents: none that is taken there."""

from __future__ import annotations

from collections.abc import Container


def unused_name(wanted: str, taken: Container[str]) -> str:
    """Return a name, or one like it where it is taken."""
    name, count = wanted, 1
    while name in taken:
        count += 1
        name = f"{wanted} {count}"
    return name
