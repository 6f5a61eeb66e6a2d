"""Records of the loop as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from stoker.cli.control_remarks import emitted_of, warnings_of

Record = Mapping[str, Any]


def cycle_line(record: Record) -> str:
    """Return a cycle in one line."""
    changes = [
        f"{each['workload']} {each['replicas_before']} to {each['replicas']} ({each['outcome']})"
        for each in record["changes"]
    ]
    unknown = [name for name, each in record["servers"].items() if each["load"] is None]
    parts = [
        f"{clock(record['at'])} cycle {record['cycle']}",
        _mode(record),
        _cost(record["plan"]),
        "; ".join(changes) or _open(record),
    ]
    if unknown:
        parts.append(f"load unknown: {', '.join(unknown)}")
    if record["problems"]:
        count = len(record["problems"])
        parts.append(f"{count} problem{'s' if count > 1 else ''}")
    return " · ".join(parts)


def status_report(record: Record) -> RenderableType:
    """Return the last cycle as tables."""
    parts: list[RenderableType] = [Text(cycle_line(record)), Text("")]
    made = table(2, "Server", "Decision", "Offered/s", "Planned/s", "Has", "Ready", "Wants", "On")
    made.add_column("Held by")
    for name, server in record["servers"].items():
        decision = server["decision"] or {}
        has, ready = _replicas(record, name)
        made.add_row(
            Text(name),
            Text(decision.get("direction", "-")),
            _rate(server["load"]),
            _rate(server["forecast"]),
            has,
            ready,
            _figure(decision.get("wanted_replicas")),
            Text(decision.get("wanted_accelerator") or "-"),
            Text(", ".join(decision.get("held", ())) or "-"),
        )
    parts.append(made)
    for title, lines in (
        ("Warnings", list(warnings_of(record))),
        ("Emitted, and not followed yet", list(emitted_of(record))),
    ):
        if lines:
            parts += [Text(""), Text(title, style="bold"), *(Text(f"- {each}") for each in lines)]
    started = _startups(record.get("startups", ()))
    if started is not None:
        parts += [Text(""), Text("Start-up times", style="bold"), started]
    corrected = _corrections(record["profiles"])
    if corrected is not None:
        parts += [Text(""), Text("Corrected profiles", style="bold"), corrected]
    parts += _orders(record)
    if record["problems"]:
        parts += [Text(""), Text("Problems", style="bold")]
        parts += [Text(f"- {each}") for each in record["problems"]]
    return Group(*parts)


def history_report(records: Sequence[Record]) -> RenderableType:
    """Return summaries of cycles as a table, the newest first."""
    made = table(3, "Cycle", "When", "Mode", "Cost/h", "Took s", "Unknown", "Problems")
    made.add_column("Changes")
    for record in records:
        cost = record["cost_per_hour"]
        made.add_row(
            str(record["cycle"]),
            clock(record["at"]),
            _mode(record),
            "-" if cost is None else f"{cost:.2f}",
            "-" if record["took_s"] is None else f"{record['took_s']:.2f}",
            str(len(record["load_unknown"])),
            str(len(record["problems"])),
            Text(_changes(record) or _waits(record) or "-"),
        )
    return made


def server_history_report(records: Sequence[Record]) -> RenderableType:
    """Return what cycles knew and decided of one server, the newest first."""
    made = table(3, "Cycle", "When", "Decision", "Offered/s", "Planned/s", "Has", "Ready", "Wants")
    made.add_column("On")
    made.add_column("Held by")
    made.add_column("Changes")
    for record in records:
        decision = record["decision"] or {}
        made.add_row(
            str(record["cycle"]),
            clock(record["at"]),
            Text(decision.get("direction", "-")),
            _rate(record["load"]),
            _rate(record["forecast"]),
            str(sum(each["replicas_wanted"] for each in record["workloads"])),
            str(sum(each["ready"] for each in record["workloads"])),
            _figure(decision.get("wanted_replicas")),
            Text(decision.get("wanted_accelerator") or "-"),
            Text(", ".join(decision.get("held", ())) or "-"),
            Text(_changes(record) or "-"),
        )
    return made


def _startups(startups: Sequence[Record]) -> Table | None:
    """Return how long replicas take to start, and how that is known."""
    made = table(2, "Model", "On", "Seconds", "Starts")
    made.add_column("Origin")
    for each in startups:
        late = f" ({each['too_long']} too long to count)" if each["too_long"] else ""
        made.add_row(
            Text(each["model"]),
            Text(each["accelerator"]),
            f"{each['seconds']:.0f}",
            str(each["starts"]),
            each["origin"] + late,
        )
    return made if made.row_count else None


def _corrections(profiles: Sequence[Record]) -> Table | None:
    """Return the factors of profiles that something was learned of."""
    made = table(3, "Model", "On", "Configuration", "Part", "Factor", "Planned with", "Error")
    made.add_column("Why not")
    for profile in profiles:
        for part, told in profile["factors"].items():
            if not profile["observations"]:
                continue
            made.add_row(
                Text(profile["model"]),
                Text(profile["accelerator"]),
                Text(profile["configuration"] or "-"),
                part,
                f"x{told['factor']:.3f}",
                f"x{told['applied']:.3f}",
                f"{told['sd']:.3f}",
                Text(told["why_not"] or "-"),
            )
    return made if made.row_count else None


def _orders(record: Record) -> list[RenderableType]:
    """Return what somebody ordered, or may order."""
    lines = []
    paused = record.get("paused_since")
    if paused is not None:
        why = f": {paused['reason']}" if paused["reason"] else ""
        lines.append(f"Paused since {clock(paused['since'])}{why}")
    pending = record.get("pending")
    if pending is not None:
        names = ", ".join(pending["servers"])
        lines.append(f"Plan {pending['id']} waits for approval: {names}")
        if pending["approved"]:
            lines.append(f"Approved of it: {', '.join(pending['approved'])}")
    return [Text(""), *(Text(line) for line in lines)] if lines else []


def _changes(record: Record) -> str:
    return "; ".join(
        f"{each['workload'].partition('/')[2]} {each['replicas_before']} to "
        f"{each['replicas']}{'' if each['outcome'] == 'applied' else ' ' + each['outcome']}"
        for each in record["changes"]
    )


def _waits(record: Record) -> str:
    proposal = record["proposal"]
    return "" if proposal is None else f"plan {proposal['id']} waits"


def _mode(record: Record) -> str:
    mode = f"{record['mode']}, dry run" if record.get("dry_run") else record["mode"]
    mode = mode if record["leader"] else f"{mode} (not the leader)"
    return f"{mode}, paused" if record.get("paused") else str(mode)


def _open(record: Record) -> str:
    waiting = [
        name
        for name, each in record["servers"].items()
        if each["decision"] is not None and each["decision"]["targets"]
    ]
    return f"not carried out: {', '.join(waiting)}" if waiting else "no change"


def _replicas(record: Record, name: str) -> tuple[str, str]:
    cluster = record["cluster"]
    if cluster is None:
        return "?", "?"
    own = [each for each in cluster["workloads"] if each["server"] == name]
    has = sum(each["replicas_wanted"] for each in own)
    return str(has), str(sum(each["ready"] for each in own))


def _cost(plan: Record) -> str:
    if plan["status"] == "none":
        return f"no plan: {plan['failure']}"
    return f"{plan['cost_per_hour']:.2f} {plan['currency']}/h"


def _rate(load: Record | None) -> str:
    return "-" if load is None else f"{load['arrival_rate_rps']:.3g}"


def _figure(value: object) -> str:
    return "-" if value is None else str(value)


def clock(at: float) -> str:
    """Return a moment as text."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def table(left: int, *names: str) -> Table:
    """Return a table with columns, so many of them of words and the others of figures."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for index, name in enumerate(names):
        made.add_column(name, justify="left" if index < left else "right", no_wrap=True)
    return made
