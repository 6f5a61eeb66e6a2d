"""What the API server said of changes that were only tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]

_WORDS = {"dry_run": "accepted", "unchanged": "is so already"}


def refusals(record: Record) -> Sequence[Record]:
    """Return the changes of a cycle that were refused."""
    taken = ("applied", *_WORDS)
    return [each for each in record["changes"] if each["outcome"] not in taken]


def dry_run_lines(record: Record) -> Iterator[str]:
    """Yield what came of each change, and what holds servers that nothing was tried for."""
    for each in record["changes"]:
        before = "?" if each["replicas_before"] is None else each["replicas_before"]
        said = _WORDS.get(each["outcome"], each["outcome"])
        detail = f": {each['detail']}" if each["detail"] else ""
        yield f"  {each['workload']}: {before} to {each['replicas']} replicas, {said}{detail}"
    for name, server in record["servers"].items():
        decision = server["decision"]
        if decision is None or decision["targets"]:
            continue
        held = f" (held by {', '.join(decision['held'])})" if decision["held"] else ""
        yield f"  {name}: stays{held}"
    yield "Nothing was changed."
