"""What a cycle says beside sizes: what is wrong, who does not follow, start-ups, work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

Record = Mapping[str, Any]


def warnings_of(record: Record) -> Iterator[str]:
    """Yield what is wrong with servers, a line each: faults, contradictions, work that is late."""
    for name, server in record["servers"].items():
        degraded = server.get("degraded")
        if degraded is not None:
            reasons = ", ".join(degraded["reasons"])
            yield f"{name} is degraded since {_clock(degraded['since'])}: {reasons}"
        if server["warning"]:
            yield f"{name}: {server['warning']}"
        batch = server.get("batch")
        if batch is not None and batch["missed"]:
            yield f"{name}: {work_words(batch)}"


def emitted_of(record: Record) -> Iterator[str]:
    """Yield the workloads that were not brought yet to what was emitted for them."""
    for each in (record["cluster"] or {}).get("workloads", ()):
        desired = each.get("desired")
        if desired is not None and desired != each["replicas_wanted"]:
            words = f"{each['workload']}: {desired} replicas; it asks for {each['replicas_wanted']}"
            if (desired, each["replicas_wanted"]) == (0, 1):
                words += " (an HPA does not go to zero: use KEDA, or min_replicas: 1)"
            yield words


def startup_words(startup: Record) -> str:
    """Return how long a replica takes to start, and how that is known."""
    words = f"A replica takes {startup['seconds']:.0f} s to start on {startup['accelerator']}"
    if startup["origin"] == "told":
        words += ", as the document says: none was seen to start"
    else:
        count = startup["starts"]
        words += f", as learned from {count} start{'s' if count > 1 else ''}"
    if startup["too_long"]:
        words += f"; {startup['too_long']} took longer than ready_timeout_s, and do not count"
    return f"{words}."


def work_words(batch: Record) -> str:
    """Return how much of the work with a deadline is left."""
    words = f"{batch['left_tokens']:.4g} of {batch['backlog_tokens']:.4g} tokens are left"
    until = _clock(batch["deadline"])
    if batch["missed"]:
        return f"{words}; its deadline of {until} was missed"
    return f"{words}, until {until}"


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
