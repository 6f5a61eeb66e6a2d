"""One server of one cycle, and plans that wait, as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Group, RenderableType
from rich.text import Text

from stoker.cli.control_remarks import startup_words, work_words
from stoker.cli.control_report import Record, clock, table

_STATES = {"known": "green", "stale": "yellow", "unknown": "red"}


def explanation_report(told: Record) -> RenderableType:
    """Return all that a cycle knew and decided of a server."""
    parts: list[RenderableType] = [
        Text(f"{told['server']} in cycle {told['cycle']}, {clock(told['at'])}", style="bold"),
        Text(""),
    ]
    signals = table(2, "Signal", "State", "Value", "Age s")
    signals.add_column("From, or why not")
    for name, signal in told["signals"].items():
        signals.add_row(
            Text(name),
            Text(signal["state"], style=_STATES[signal["state"]]),
            "-" if signal["value"] is None else f"{signal['value']:.4g}",
            "-" if "age_s" not in signal else f"{signal['age_s']:.1f}",
            Text(signal.get("reason") or signal.get("source", ""), overflow="fold"),
        )
    parts += [signals, Text("")]
    parts += [Text(line) for line in _story(told)]
    return Group(*parts)


def pending_report(found: Record) -> RenderableType:
    """Return the plan that waits for approval."""
    lines = []
    plan = found["plan"]
    if plan is None:
        reason = "" if found["mode"] == "advise" else f" (the loop is in the mode {found['mode']})"
        lines.append(f"No plan waits for approval{reason}.")
    else:
        lines.append(f"Plan {plan['id']}, of cycle {plan['cycle']}, {clock(plan['at'])}:")
        lines += [
            f"- {line}{' (approved)' if name in plan['approved'] else ''}"
            for name, decision in plan["decisions"].items()
            for line in _moves({name: decision})
        ]
        lines.append(f"stoker control approve ... --plan {plan['id']} lets the loop carry it out.")
    if found["rejected"]:
        lines.append("Rejected, while it stays the same:")
        lines += [f"- {line}" for line in _moves(found["rejected"])]
    return Group(*(Text(line) for line in lines))


def order_report(found: Record) -> RenderableType:
    """Return what was approved or rejected."""
    if "approved" in found:
        head, decisions = f"Approved of plan {found['plan']}, for the next cycle:", "approved"
    else:
        head, decisions = f"Rejected of plan {found['plan']}, while it stays the same:", "rejected"
    return Group(Text(head), *(Text(f"- {line}") for line in _moves(found[decisions])))


def _moves(decisions: Mapping[str, Record]) -> Iterator[str]:
    for name, decision in decisions.items():
        for target in decision["targets"]:
            batch = "" if target["max_batch"] is None else f", batch limit {target['max_batch']}"
            before = "?" if target["replicas_before"] is None else target["replicas_before"]
            yield f"{name}: {target['workload']} {before} to {target['replicas']}{batch}"


def _lengths(told: Record) -> Iterator[str]:
    """Yield how long requests were lately: by powers of two, from the first to the last."""
    for name, found in (told.get("tokens") or {}).items():
        if found is None:
            continue
        by_bound = dict(zip(found["bounds"], found["counts"], strict=True))
        seen = [bound for bound, count in by_bound.items() if count > 0]
        shown = ", ".join(
            f"{count:.3g} up to {bound:.0f}"
            for bound, count in by_bound.items()
            if seen and seen[0] <= bound <= seen[-1]
        )
        yield f"Requests by {name.replace('_', ' ')}: {shown}."


def _story(told: Record) -> list[str]:
    """Return in sentences how a size came about."""
    lines = []
    load, forecast, decision = told["load"], told["forecast"], told["decision"]
    if load is None:
        lines.append(f"Its load is unknown: {told['load_reason']}.")
    else:
        lines.append(
            f"Offered: {load['arrival_rate_rps']:.4g} requests/s of {load['input_tokens']:.0f} "
            f"input and {load['output_tokens']:.0f} output tokens."
        )
    lines += _lengths(told)
    if told["partial"]:
        lines.append(f"That is told in part: {told['load_reason']}.")
    if told["warning"]:
        lines.append(f"Warning: {told['warning']}.")
    if forecast is not None:
        why = f" ({forecast['reason']})" if forecast["reason"] else ""
        lines.append(
            f"Planned for: {forecast['arrival_rate_rps']:.4g} requests/s, "
            f"{forecast['horizon_s']:.0f} s ahead, by {forecast['method']}{why}."
        )
    lines += [startup_words(each) for each in told.get("startups", ())]
    if told.get("batch") is not None:
        lines.append(f"Work: {work_words(told['batch'])}.")
    placed, missing = told["plan"]["allocation"], told["plan"]["unplaced"]
    if placed is not None:
        binding = f", bound by {placed['binding']}" if placed["binding"] else ""
        lines.append(
            f"The plan: {placed['replicas']} on {placed['accelerator']}{binding}; profile "
            f"{placed['estimate'] or 'unknown'}."
        )
    if missing is not None:
        lines.append(f"The plan does not serve it in full: {missing['detail']} {missing['remedy']}")
    if told.get("degraded") is not None:
        degraded = told["degraded"]
        since = f"since {clock(degraded['since'])}"
        lines.append(f"Degraded {since} ({', '.join(degraded['reasons'])}): {degraded['words']}.")
    if decision is not None:
        held = f", held by {', '.join(decision['held'])}" if decision["held"] else ""
        why = f": {decision['reason']}" if decision["reason"] else ""
        lines.append(f"Decision: {decision['direction']}{held}{why}.")
        lines += [
            f"- {each['workload']}: {each['replicas_before']} to {each['replicas']}"
            for each in decision["targets"]
        ]
    lines += [
        f"Done: {each['workload']} {each['replicas_before']} to {each['replicas']}, "
        f"{each['outcome']}{': ' + each['detail'] if each['detail'] else ''}."
        for each in told["changes"]
    ]
    return lines
