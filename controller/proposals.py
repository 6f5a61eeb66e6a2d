"""Plans that wait for somebody's approval, told apart by an identity of what they would change.

The identity is that of the changes alone: it stays while the loop decides the very same, cycle
after cycle, and is another one as soon as anything differs. So nobody approves a plan unseen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

JsonObject = dict[str, Any]

_ADVISE = "advise"
_DIGITS = 12


def waiting_decisions(document: JsonObject) -> dict[str, JsonObject]:
    """Return the decisions of a record that change something and were not carried out, by server.

    None in a mode in which nothing waits for approval.
    """
    if document["mode"] != _ADVISE:
        return {}
    done = {each["workload"] for each in document["changes"] if _is_done(each)}
    return {
        name: server["decision"]
        for name, server in document["servers"].items()
        if server["decision"] is not None
        and any(target["workload"] not in done for target in server["decision"]["targets"])
    }


def proposal_of(decisions: Mapping[str, JsonObject]) -> JsonObject | None:
    """Return what waits: its identity, and whose decisions it holds; None for nothing."""
    if not decisions:
        return None
    changes = {name: decision["targets"] for name, decision in decisions.items()}
    text = json.dumps(changes, sort_keys=True, separators=(",", ":"))
    return {
        "id": hashlib.sha256(text.encode()).hexdigest()[:_DIGITS],
        "servers": sorted(decisions),
    }


def still(
    orders: Mapping[str, JsonObject], decisions: Mapping[str, JsonObject]
) -> dict[str, JsonObject]:
    """Return the orders (approvals or rejections, by server) whose decision stands as it was."""
    return {
        name: order
        for name, order in orders.items()
        if name in decisions and order["targets"] == decisions[name]["targets"]
    }


def without(decisions: Mapping[str, JsonObject], names: Collection[str]) -> dict[str, JsonObject]:
    """Return the decisions of other servers."""
    return {name: each for name, each in decisions.items() if name not in names}


def _is_done(change: JsonObject) -> bool:
    return change["outcome"] in ("applied", "emitted", "unchanged", "dry_run")
