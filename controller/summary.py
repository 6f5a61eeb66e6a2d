"""A cycle in short, for lists of cycles, and one server of a cycle, for those who ask why."""

from __future__ import annotations

from controller.record import JsonObject


def summary_of(document: JsonObject) -> JsonObject:
    """Return a record without what it tells of single servers and workloads."""
    plan = document["plan"]
    servers = document["servers"]
    return {
        "cycle": document["cycle"],
        "at": document["at"],
        "mode": document["mode"],
        "leader": document["leader"],
        "paused": document.get("paused", False),
        "dry_run": document.get("dry_run", False),
        "fleet_version": document["fleet_version"],
        "took_s": document["took_s"],
        "plan_status": plan["status"],
        "cost_per_hour": plan.get("cost_per_hour"),
        "servers_count": len(servers),
        "load_unknown": sorted(name for name, each in servers.items() if each["load"] is None),
        "held": sorted(
            name for name, each in servers.items() if each["decision"] and each["decision"]["held"]
        ),
        "problems": document["problems"],
        "proposal": document.get("proposal"),
        "changes": document["changes"],
    }


def explanation_of(document: JsonObject, server: str) -> JsonObject:
    """Return all that a record tells of one server of it."""
    told = document["servers"][server]
    cluster = document["cluster"]
    workloads = [] if cluster is None else cluster["workloads"]
    own = [each for each in workloads if each["server"] == server]
    names = {each["workload"] for each in own}
    plan = document["plan"]
    return {
        "cycle": document["cycle"],
        "at": document["at"],
        "mode": document["mode"],
        "leader": document["leader"],
        "paused": document.get("paused", False),
        "dry_run": document.get("dry_run", False),
        "server": server,
        **told,
        "plan": {
            "status": plan["status"],
            "failure": plan.get("failure", ""),
            "allocation": plan.get("allocations", {}).get(server),
            "unplaced": plan.get("unplaced", {}).get(server),
        },
        "workloads": own,
        "startups": [each for each in document.get("startups", ()) if server in each["servers"]],
        "changes": [each for each in document["changes"] if each["workload"] in names],
    }
