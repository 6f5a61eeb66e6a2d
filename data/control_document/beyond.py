"""What a fleet may tell that a control loop cannot carry out."""

from __future__ import annotations

from collections.abc import Iterator

from data.wording import shown
from stoker.domain.errors import Problem
from stoker.domain.fleet import Fleet
from stoker.domain.serving import Serving


def beyond_a_loop(fleet: Fleet, file: str) -> Iterator[Problem]:
    """Yield what fleets may tell that a loop cannot carry out."""
    if fleet.pools:
        names = ", ".join(each.name for each in fleet.pools)
        yield Problem(
            "pools",
            f"has {names}: nodes tell the type of their cards, and no pool",
            "a fleet without pools, for the loop; pools whose nodes differ in their product label "
            "may be card types of their own (cluster.product_labels)",
            file,
        )
    if fleet.settings.heterogeneous:
        yield Problem(
            "optimizer.heterogeneous",
            "is true: a server could get a mix of accelerators, and a loop brings it to one",
            "false, for the loop",
            file,
        )
    for index, server in enumerate(fleet.servers):
        if Serving.DISAGGREGATED in server.serving:
            yield Problem(
                f"servers[{index}].serving",
                f"lets {shown(server.name)} have a prefill and a decode pool, and the replicas of "
                "a workload are of one kind",
                "[aggregated], for the loop",
                file,
            )
    if fleet.sharing:
        yield Problem(
            "sharing",
            "lets servers share replicas: a workload of the cluster serves one server",
            "a fleet without sharing, for the loop",
            file,
        )
