"""Sharing: servers of one model that may be served by the same replicas."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SharingGroup:
    """Servers of one model, of which some, or all, may share replicas.

    Attributes:
        name: Unique name.
        servers: Names of the servers, two or more.
        priorities: Whether the engine admits requests by the priority of their service class;
            otherwise first come, first served.
    """

    name: str
    servers: tuple[str, ...]
    priorities: bool = False
