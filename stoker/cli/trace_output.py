"""Fleets for a trace as a table, as JSON and as CSV."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from stoker.cli.figures import count_of, duration_ms, money
from stoker.cli.output import json_text, output_width, plain_text, show, write_text
from stoker.cli.row_format import RowFormat
from stoker.domain.latency import Latency, percentile_name

if TYPE_CHECKING:
    from studies.traces.bound import FleetBound
    from studies.traces.goal import TraceGoal
    from studies.traces.playing import Played
    from studies.traces.requests import RequestTrace
    from studies.traces.search import MinimumFleet
    from studies.traces.study import TraceStudy

_EXAMPLES = 3
"""Requests named that miss their targets in any fleet."""


def write_answer(
    output_format: RowFormat,
    output: Path | None,
    *,
    document: Callable[[], dict[str, object]],
    rows: Callable[[], str],
    report: Callable[[], RenderableType],
) -> None:
    """Write an answer in the format asked for, to a file or to where the user looks."""
    if output_format is RowFormat.JSON:
        write_text(json_text(document()), output)
    elif output_format is RowFormat.CSV:
        write_text(rows(), output)
    elif output is None:
        show(report(), output_width())
    else:
        write_text(plain_text(report()), output)


def figures_table(names: tuple[str, ...], figures: tuple[str, ...]) -> Table:
    """Return an empty table with columns of names, then of figures."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in names:
        table.add_column(name, overflow="fold")
    for name in figures:
        table.add_column(name, justify="right")
    return table


def asked_of(trace: RequestTrace, goal: TraceGoal) -> str:
    """Return in words which requests are to keep what."""
    targets = ", ".join(f"{latency.short} {limit:g} ms" for latency, limit in goal.limits())
    return f"{100 * goal.share:g}% of {count_of(len(trace), 'request')} within {targets}"


def study_report(study: TraceStudy) -> RenderableType:
    """Return the report: a row for each fleet, the cheapest of each model first, and reasons."""
    percent = percentile_name(100 * study.goal.share)
    several = study.settings.router is None
    table = figures_table(
        ("Model", "Accelerator", *(("Router",) if several else ())),
        (
            "Replicas",
            "Attainment",
            "With one less",
            f"{percent} TTFT",
            f"{percent} ITL",
            "Proposed",
            "At least",
            "Any router",
            f"{study.currency}/h",
            f"{study.currency}/M tokens",
        ),
    )
    reasons: list[RenderableType] = []
    for model in study.models:
        for item in study.of_model(model):
            cells = _cells(item, study.trace)
            named = (item.router.label,) if several else ()
            table.add_row(*cells[:2], *named, *cells[2:])
            reason = _reason(item, study.trace, study.goal)
            if reason:
                reasons.append(Text(f"{item.option.name}: {reason}"))
    parts: list[RenderableType] = [Text(_heading(study)), Text(""), table, *_verdicts(study)]
    if reasons:
        parts += [Text(""), *reasons]
    return Group(*parts, Text(""), Text(_LEGEND, style="dim"))


_LEGEND = (
    "At least: the lower bound for this router; every smaller number was refuted, by the bound "
    "for any router or by playing it. Any router: no fleet goes below it, whatever its router, in "
    "which no request waits longer or has slower tokens than the worst one here (in parentheses: "
    "in which some may wait for ever)."
)


def _heading(study: TraceStudy) -> str:
    trace = study.trace
    load = trace.load()
    chosen = study.settings.router
    rate = "" if trace.rate_rps is None else f"{trace.rate_rps:.3g} per s, "
    return (
        f"{asked_of(trace, study.goal)}; {trace.span_ms / 60_000:,.1f} min, "
        f"{rate}{load.input_tokens:,.0f} tokens in, "
        f"{load.output_tokens:,.0f} out; router {'the best' if chosen is None else chosen.label}"
    )


def _cells(item: MinimumFleet, trace: RequestTrace) -> tuple[str, ...]:
    profile = item.option.profile
    name = item.option.place
    answer, less = item.answer, item.one_less
    if answer is None:
        bound = "–" if item.bound.replicas is None else f"({item.bound.replicas:,})"
        return (profile.model, name, "none", *["–"] * 5, "–", bound, "–", "–")
    tokens = item.cost_per_million_tokens(trace)
    return (
        profile.model,
        name,
        f"{answer.replicas:,}",
        f"{answer.attainment:.2%}",
        f"{less.attainment:.2%}" if less else "–",
        duration_ms(answer.percentiles_ms.get(Latency.TTFT)),
        duration_ms(answer.percentiles_ms.get(Latency.ITL)),
        "–" if item.proposed is None else f"{item.proposed:,}",
        f"{item.refuted_below:,}",
        _any_router(item),
        money(item.cost_per_hour or 0.0),
        "–" if tokens is None else f"{tokens:.3g}",
    )


def _any_router(item: MinimumFleet) -> str:
    patient = "" if item.patient is None else f"{item.patient.replicas:,} "
    return f"{patient}({item.bound.replicas:,})"


def _verdicts(study: TraceStudy) -> list[RenderableType]:
    lines: list[RenderableType] = [Text("")]
    for model in study.models:
        best = study.best(model)
        if best is None or best.replicas is None:
            lines.append(Text(f"{model}: no fleet keeps the targets", style="bold"))
            continue
        tokens = best.cost_per_million_tokens(study.trace)
        words = "" if tokens is None else f", {tokens:.3g} a million tokens"
        lines.append(
            Text(
                f"{model}: {best.replicas:,} × {best.option.place}, "
                f"{money(best.cost_per_hour or 0.0)} {study.currency} an hour{words}",
                style="bold",
            )
        )
    return lines


def _reason(item: MinimumFleet, trace: RequestTrace, goal: TraceGoal) -> str:
    """Return why there is no fleet, and what could be reached; empty where there is one."""
    if item.replicas is not None:
        return ""
    if item.status == "not_found":
        most = item.played[-1]
        return (
            f"with {count_of(most.replicas, 'replica')} only {most.attainment:.2%} of the requests "
            "keep their targets"
        )
    alone = item.reach
    if alone is None or not alone.missing.size:
        return f"{count_of(item.bound.impossible, 'request')} cannot keep the targets in any fleet"
    rows = alone.missing[:_EXAMPLES]
    named = "; ".join(
        f"number {row + 1} ({trace.input_tokens[row]:,} in, {trace.output_tokens[row]:,} out)"
        for row in rows.tolist()
    )
    more = ", ..." if alone.missing.size > _EXAMPLES else ""
    return (
        f"{count_of(int(alone.missing.size), 'request')} miss a target even on an idle replica "
        f"of their own ({named}{more}): at most {alone.attainment:.2%} can keep them, and "
        f"{100 * goal.share:g}% are asked for; the longest prompt that does has "
        f"{alone.longest_kept:,} tokens"
    )


def study_document(study: TraceStudy) -> dict[str, object]:
    """Return a study as a JSON document; what is unknown is null."""
    trace, goal = study.trace, study.goal
    load = trace.load()
    best = {model: study.best(model) for model in study.models}
    return {
        "requests": len(trace),
        "span_s": trace.span_ms / 1000,
        "arrival_rate_rps": trace.rate_rps,
        "input_tokens": load.input_tokens,
        "output_tokens": load.output_tokens,
        "attainment": goal.share,
        "targets": {latency.value: limit for latency, limit in goal.limits()},
        "router": None if study.settings.router is None else study.settings.router.label,
        "currency": study.currency,
        "best": {
            model: None if item is None else item.option.accelerator.name
            for model, item in best.items()
        },
        "fleets": [
            fleet_document(item, trace) for model in study.models for item in study.of_model(model)
        ],
    }


def fleet_document(item: MinimumFleet, trace: RequestTrace) -> dict[str, object]:
    """Return the smallest fleet of one kind of replicas as a JSON document."""
    alone = item.reach
    return {
        "model": item.option.profile.model,
        "accelerator": item.option.accelerator.name,
        "configuration": item.option.profile.configuration,
        "status": item.status.value,
        "replicas": item.replicas,
        "cards": None if item.replicas is None else item.replicas * item.option.cards,
        "max_batch": item.option.max_batch,
        "router": item.router.label,
        "cost_per_hour": item.cost_per_hour,
        "cost_per_million_tokens": item.cost_per_million_tokens(trace),
        "answer": None if item.answer is None else _played_document(item.answer),
        "one_less": None if item.one_less is None else _played_document(item.one_less),
        "proposed": item.proposed,
        "lower_bound": {
            "replicas": item.refuted_below,
            "router": item.router.label,
            "proved": item.refuted_below == item.replicas,
        },
        "any_router_bound": _bound_document(item.bound),
        "patient_any_router_bound": (
            None if item.patient is None else _bound_document(item.patient)
        ),
        "reachable_attainment": None if alone is None else alone.attainment,
        "missing_alone": None if alone is None else int(alone.missing.size),
        "played": [_played_document(each) for each in item.played],
    }


def _played_document(played: Played) -> dict[str, object]:
    return {
        "replicas": played.replicas,
        "attainment": played.attainment,
        "by_target": {latency.value: share for latency, share in played.by_latency.items()},
        "percentiles_ms": {
            latency.value: value for latency, value in played.percentiles_ms.items()
        },
        "completed": played.completed,
        "drain_ms": played.drain_ms,
        "worst_ttft_ms": None if math.isnan(played.worst_ttft_ms) else played.worst_ttft_ms,
        "worst_itl_ms": played.worst_itl_ms,
        "preemptions": played.preemptions,
    }


def _bound_document(bound: FleetBound) -> dict[str, object]:
    return {
        "replicas": bound.replicas,
        "fluid": bound.fluid if math.isfinite(bound.fluid) else None,
        "basis": bound.basis.value,
        "impossible": bound.impossible,
        "patience": None
        if bound.patience is None
        else {"ttft_ms": bound.patience.ttft_ms, "itl_ms": bound.patience.itl_ms},
    }


_COLUMNS = (
    "model",
    "accelerator",
    "configuration",
    "status",
    "replicas",
    "cards",
    "attainment",
    "attainment_one_less",
    "ttft_ms",
    "itl_ms",
    "e2e_ms",
    "router",
    "proposed",
    "lower_bound",
    "patient_any_router_bound",
    "any_router_bound",
    "cost_per_hour",
    "cost_per_million_tokens",
    "reachable_attainment",
)


def study_csv(study: TraceStudy) -> str:
    """Return a study as CSV: a row for each fleet; latencies are percentiles of the goal's share.

    What is unknown is empty.
    """
    stream = StringIO()
    writer = csv.DictWriter(stream, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for model in study.models:
        for item in study.of_model(model):
            writer.writerow(_row(item, study.trace))
    return stream.getvalue()


def _row(item: MinimumFleet, trace: RequestTrace) -> Mapping[str, object]:
    document = fleet_document(item, trace)
    answer, less = item.answer, item.one_less
    percentiles = {} if answer is None else answer.percentiles_ms
    row = {name: document[name] for name in _COLUMNS if name in document}
    return row | {
        "attainment": None if answer is None else answer.attainment,
        "attainment_one_less": None if less is None else less.attainment,
        **{latency.value: percentiles.get(latency) for latency in Latency},
        "lower_bound": item.refuted_below,
        "patient_any_router_bound": None if item.patient is None else item.patient.replicas,
        "any_router_bound": item.bound.replicas,
    }
