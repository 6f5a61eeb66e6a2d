"""How a request finds one of several replicas."""

from __future__ import annotations

from enum import IntEnum


class Router(IntEnum):
    """How a request finds its replica. Ties go to the replica of the lowest number."""

    RANDOM = 0
    """Any replica, all alike."""
    ROUND_ROBIN = 1
    """One after the other."""
    SHORTEST_QUEUE = 2
    """The replica with the fewest requests in the system."""
    LEAST_KV = 3
    """The replica with the fewest KV blocks in use or asked for by waiting requests."""

    @property
    def label(self) -> str:
        """The name that documents and tables have for it, such as ``round-robin``."""
        return self.name.lower().replace("_", "-")
