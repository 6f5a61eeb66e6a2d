"""What the endpoints work with, put together once by `api.app`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from api.metrics import Metrics
from api.planning import Planning
from api.store import SystemStore
from data.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of one application.

    Attributes:
        planning: Plans fleets.
        store: Holds the system of the Inferno verbs.
        metrics: What Prometheus is told.
        catalogue: Accelerators and models known to Stoker.
        openapi: The description of all endpoints, as JSON.
    """

    planning: Planning
    store: SystemStore
    metrics: Metrics
    catalogue: Catalogue
    openapi: Mapping[str, object]
