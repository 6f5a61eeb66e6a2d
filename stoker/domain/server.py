"""Servers: a model served to a service class, with what runs for it now."""

from __future__ import annotations

from dataclasses import dataclass

from stoker.domain.routing import Router
from stoker.domain.serving import Serving
from stoker.domain.workload import Load


@dataclass(frozen=True, slots=True)
class Allocation:
    """Hardware given to a server: what runs now, or what was decided.

    Attributes:
        accelerator: Name of the accelerator configuration; None for an empty allocation.
        replicas: Number of replicas.
        max_batch: Batch limit of a replica; None where unknown.
        cost_per_hour: Cost of all replicas, in the fleet's currency per hour.
        itl_ms: Mean inter-token latency, observed or predicted; None where unknown.
        ttft_ms: Mean time to first token, observed or predicted; None where unknown.
        load: The load that this allocation was decided for; None where unknown.
        configuration: Configuration of the model on the accelerator; None where it is not told,
            which means the only one there is.
        prefill_replicas: How many of the replicas compute prompts for the others; 0 where each
            replica serves its requests from the first token to the last.
        in_pools: Replicas by name of the pool that they stand in; empty where that is not told.
    """

    accelerator: str | None
    replicas: int
    max_batch: int | None = None
    cost_per_hour: float = 0.0
    itl_ms: float | None = None
    ttft_ms: float | None = None
    load: Load | None = None
    configuration: str | None = None
    prefill_replicas: int = 0
    in_pools: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Server:
    """A (service class, model) pair to plan for.

    Attributes:
        name: Unique name.
        service_class: Name of its service class.
        model: Name of its model.
        load: Offered load; None means unknown, which is never read as zero.
        keep_accelerator: Whether it must stay on the accelerator of `current`.
        min_replicas: Smallest number of replicas, also at zero load.
        max_replicas: Largest number of replicas; None for no bound of its own.
        max_batch: Batch limit that overrides the profile's; None to derive or to choose it.
        max_queue: Requests that may wait at a replica; None for the fleet's rule.
        current: What runs now; None where nothing does.
        desired: What was decided last and not yet applied; None where nothing was.
        router: How a request finds one of its replicas.
        choose_batch: Whether the batch limit is chosen with each accelerator, as the one with which
            a replica carries the most, instead of derived; `max_batch` is None then.
        batch_limits: Batch limits to choose from together with everything else; empty for one
            limit, and `max_batch` is None otherwise.
        serving: Ways of serving to choose from.
    """

    name: str
    service_class: str
    model: str
    load: Load | None = None
    keep_accelerator: bool = False
    min_replicas: int = 0
    max_replicas: int | None = None
    max_batch: int | None = None
    max_queue: int | None = None
    current: Allocation | None = None
    desired: Allocation | None = None
    router: Router = Router.RANDOM
    choose_batch: bool = False
    batch_limits: tuple[int, ...] = ()
    serving: tuple[Serving, ...] = (Serving.AGGREGATED,)
