"""Findings of `stoker doctor` as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.text import Text

from stoker.domain.control.diagnosis import Finding, Level

_MARKS = {
    Level.FINE: ("ok      ", "green"),
    Level.WARNING: ("warning ", "yellow"),
    Level.ERROR: ("ERROR   ", "bold red"),
}


def doctor_report(findings: Sequence[Finding], *, everything: bool) -> RenderableType:
    """Return the findings by topic, what is wrong with what to do, and a summary."""
    shown = [each for each in findings if everything or each.level is not Level.FINE]
    lines: list[RenderableType] = []
    for topic, group in groupby(shown, key=lambda each: each.topic):
        lines.append(Text(topic, style="bold"))
        for each in group:
            mark, style = _MARKS[each.level]
            subject = f"{each.subject}: " if each.subject else ""
            lines.append(Text.assemble("  ", (mark, style), f"{subject}{each.message}"))
            if each.remedy and each.level is not Level.FINE:
                lines.append(Text(f"          {each.remedy}", style="dim"))
        lines.append(Text(""))
    counts = Counter(each.level for each in findings)
    lines.append(
        Text(
            f"{counts[Level.ERROR]} errors, {counts[Level.WARNING]} warnings, "
            f"{counts[Level.FINE]} fine"
        )
    )
    return Group(*lines)
