"""Records of the loop as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

Record = Mapping[str, Any]

_LOAD_STYLES = {"known": "green", "stale": "yellow", "unknown": "red"}


def cycle_line(record: Record) -> str:
    """Return a cycle in one line."""
    changes = [
        f"{each['workload']} {each['replicas_before']} to {each['replicas']} ({each['outcome']})"
        for each in record["changes"]
    ]
    unknown = [name for name, each in record["servers"].items() if each["load"] is None]
    parts = [
        f"{_clock(record['at'])} cycle {record['cycle']}",
        record["mode"] if record["leader"] else "not the leader",
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
    table = _table(2, "Server", "Decision", "Offered/s", "Planned/s", "Has", "Ready", "Wants", "On")
    table.add_column("Held by")
    for name, server in record["servers"].items():
        decision = server["decision"] or {}
        has, ready = _replicas(record, name)
        table.add_row(
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
    parts.append(table)
    if record["problems"]:
        parts += [Text(""), Text("Problems", style="bold")]
        parts += [Text(f"- {each}") for each in record["problems"]]
    return Group(*parts)


def history_report(records: Sequence[Record]) -> RenderableType:
    """Return cycles as a table, the newest first."""
    table = _table(3, "Cycle", "When", "Mode", "Cost/h", "Took s", "Unknown", "Problems")
    table.add_column("Changes")
    for record in records:
        unknown = sum(each["load"] is None for each in record["servers"].values())
        changes = "; ".join(
            f"{each['workload'].partition('/')[2]} {each['replicas_before']} to "
            f"{each['replicas']}{'' if each['outcome'] == 'applied' else ' ' + each['outcome']}"
            for each in record["changes"]
        )
        cost = record["plan"].get("cost_per_hour")
        table.add_row(
            str(record["cycle"]),
            _clock(record["at"]),
            record["mode"] if record["leader"] else f"{record['mode']} (not the leader)",
            "-" if cost is None else f"{cost:.2f}",
            "-" if record["took_s"] is None else f"{record['took_s']:.2f}",
            str(unknown),
            str(len(record["problems"])),
            Text(changes or "-"),
        )
    return table


def explanation_report(record: Record, name: str) -> RenderableType:
    """Return all that a cycle knew and decided of a server."""
    server = record["servers"][name]
    parts: list[RenderableType] = [
        Text(f"{name} in cycle {record['cycle']}, {_clock(record['at'])}", style="bold"),
        Text(""),
    ]
    signals = _table(2, "Signal", "State", "Value", "Age s")
    signals.add_column("From, or why not")
    for signal, told in server["signals"].items():
        signals.add_row(
            Text(signal),
            Text(told["state"], style=_LOAD_STYLES[told["state"]]),
            "-" if told["value"] is None else f"{told['value']:.4g}",
            "-" if "age_s" not in told else f"{told['age_s']:.1f}",
            Text(told.get("reason") or told.get("source", ""), overflow="fold"),
        )
    parts += [signals, Text("")]
    parts += [Text(line) for line in _story(record, name)]
    return Group(*parts)


def approval_report(approved: Mapping[str, Record]) -> RenderableType:
    """Return what was approved."""
    if not approved:
        return Text("No decision is open.")
    lines = [
        f"{name}: {target['workload']} {target['replicas_before']} to {target['replicas']}"
        for name, decision in approved.items()
        for target in decision["targets"]
    ]
    return Group(Text("Approved, for the next cycle:"), *(Text(f"- {line}") for line in lines))


def _story(record: Record, name: str) -> list[str]:
    """Return in sentences how a size came about."""
    server = record["servers"][name]
    lines = []
    load, told, decision = server["load"], server["forecast"], server["decision"]
    if load is None:
        lines.append(f"Its load is unknown: {server['load_reason']}.")
    else:
        lines.append(
            f"Offered: {load['arrival_rate_rps']:.4g} requests/s of {load['input_tokens']:.0f} "
            f"input and {load['output_tokens']:.0f} output tokens."
        )
    if server["partial"]:
        lines.append(f"That is told in part: {server['load_reason']}.")
    if server["warning"]:
        lines.append(f"Warning: {server['warning']}.")
    if told is not None:
        why = f" ({told['reason']})" if told["reason"] else ""
        lines.append(
            f"Planned for: {told['arrival_rate_rps']:.4g} requests/s, {told['horizon_s']:.0f} s "
            f"ahead, by {told['method']}{why}."
        )
    placed = record["plan"].get("allocations", {}).get(name)
    if placed is not None:
        binding = f", bound by {placed['binding']}" if placed["binding"] else ""
        lines.append(
            f"The plan: {placed['replicas']} on {placed['accelerator']}{binding}; profile "
            f"{placed['estimate'] or 'unknown'}."
        )
    missing = record["plan"].get("unplaced", {}).get(name)
    if missing is not None:
        lines.append(f"The plan does not serve it in full: {missing['detail']} {missing['remedy']}")
    if decision is not None:
        held = f", held by {', '.join(decision['held'])}" if decision["held"] else ""
        why = f": {decision['reason']}" if decision["reason"] else ""
        lines.append(f"Decision: {decision['direction']}{held}{why}.")
        lines += [
            f"- {each['workload']}: {each['replicas_before']} to {each['replicas']}"
            for each in decision["targets"]
        ]
    return lines


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


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _table(left: int, *names: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for index, name in enumerate(names):
        table.add_column(name, justify="left" if index < left else "right", no_wrap=True)
    return table
