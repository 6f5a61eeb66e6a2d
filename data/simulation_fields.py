"""The fields that a simulation adds to a case of the replica-analysis JSON."""

from __future__ import annotations

from pydantic import Field

from data.given_fields import allowed_values
from data.network_fields import NetworkDocument
from data.replica_fields import LARGEST_COUNT, Count

LARGEST_RUN = 100_000_000
"""Requests of one simulation at most; a run keeps all of them in memory."""

DEFAULT_REQUESTS = 20_000


class SimulationDocument(NetworkDocument):
    """A case with how it is simulated; each description says what is allowed."""

    requests: Count = Field(
        DEFAULT_REQUESTS,
        ge=1,
        le=LARGEST_RUN,
        description=f"a whole number from 1 to {LARGEST_RUN}",
    )
    seed: Count = Field(
        0, ge=0, le=LARGEST_COUNT, description=f"a whole number from 0 to {LARGEST_COUNT}"
    )


FIELDS: tuple[str, ...] = tuple(allowed_values(SimulationDocument))
"""Names of the fields of a case to simulate, as the format spells them."""
