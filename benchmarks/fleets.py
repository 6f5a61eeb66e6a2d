"""The built-in large fleet, scaled to any number of servers for measurements."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from data.fleets import read_fleet
from stoker.domain.fleet import Fleet
from stoker.domain.settings import INFERNO_RULES
from stoker.domain.workload import Load


def scaled_large(servers: int, queue_limit: int, *, seed: int = 1) -> Fleet:
    """Return the large fleet with that many servers and capacity in proportion.

    Servers repeat the 27 of the fleet with their own load: rate and token counts are drawn within
    a factor of two and 30%, so that no two candidate pairs are the same. Sizing follows the
    reference's rules (no bound on blocking), with the queue limit given.

    Args:
        servers: Number of servers.
        queue_limit: Requests that may wait at a replica.
        seed: Of the random loads.
    """
    fleet = read_fleet("large")
    rng = np.random.default_rng(seed)
    copies = []
    for index in range(servers):
        base = fleet.servers[index % len(fleet.servers)]
        if base.load is None:
            continue
        load = Load(
            arrival_rate_rps=base.load.arrival_rate_rps * float(rng.uniform(0.5, 2.0)),
            input_tokens=round(base.load.input_tokens * float(rng.uniform(0.7, 1.3))),
            output_tokens=round(base.load.output_tokens * float(rng.uniform(0.7, 1.3))),
        )
        copies.append(
            replace(base, name=f"{base.name}-{index:05d}", load=load, max_queue=queue_limit)
        )
    factor = servers / len(fleet.servers)
    return replace(
        fleet,
        servers=tuple(copies),
        capacity=tuple(replace(c, count=round(c.count * factor)) for c in fleet.capacity),
        rules=INFERNO_RULES,
    )
