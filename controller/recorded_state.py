"""What the record of a cycle tells beside loads and plans: desired sizes, starts, work, faults."""

from __future__ import annotations

from controller.batch import BatchProgress
from controller.degraded import Degraded
from controller.emitted import Emitted
from controller.proposals import JsonObject
from controller.startup_report import StartupReport
from stoker.domain.control.changes import ChangeOutcome

_MADE = (ChangeOutcome.APPLIED.value, ChangeOutcome.EMITTED.value)


def tell_desired(document: JsonObject, emitted: Emitted) -> None:
    """Write down what each workload is to have, for those who follow it.

    That is what was carried out or emitted, now or before, and what it has where nothing was. What
    was only decided is nobody's to follow: not in the modes that change nothing, not before it is
    approved, not by a loop that is paused or does not lead.
    """
    cluster = document["cluster"]
    if cluster is None:
        return
    sizes = {str(ref): size.replicas for ref, size in emitted.sizes.items()}
    for change in document["changes"]:
        if change["outcome"] in _MADE:
            sizes[change["workload"]] = change["replicas"]
    cluster["workloads"] = [
        {**each, "desired": sizes.get(each["workload"], each["replicas_wanted"])}
        for each in cluster["workloads"]
    ]


def startup_of_record(report: StartupReport) -> JsonObject:
    """Return how long a model takes to start on an accelerator, and how that is known."""
    return {
        "model": report.model,
        "accelerator": report.accelerator,
        "servers": list(report.servers),
        "seconds": round(report.seconds, 3),
        "starts": report.starts,
        "too_long": report.too_long,
        "origin": report.origin,
    }


def batch_of(work: BatchProgress | None) -> JsonObject | None:
    """Return how far work with a deadline is done; None where there is none."""
    if work is None:
        return None
    return {
        "backlog_tokens": work.backlog_tokens,
        "left_tokens": work.left_tokens,
        "deadline": work.deadline,
        "missed": work.missed,
    }


def degraded_of(found: Degraded | None) -> JsonObject | None:
    """Return what keeps a server from being decided on as ever; None for nothing."""
    if found is None:
        return None
    return {"reasons": sorted(found.reasons), "words": found.words, "since": found.since}
