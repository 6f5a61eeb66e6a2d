"""Profiles, fits, findings and comparisons as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from stoker.cli.figures import UNKNOWN, count_of
from stoker.domain.curve import IterationTable
from stoker.domain.profile import ModelProfile
from stoker.domain.timing import CaseStatus

if TYPE_CHECKING:
    from data.profile_document import ProfileDocument, ProfileFit
    from data.profiles import ShippedProfile
    from profiler.judging import Compared, Figure, Finding
    from stoker.domain.profile import ServiceParameters

_MOST_FAILED = 8
_UNITS = {"ttft_ms": "TTFT ms", "itl_ms": "ITL ms", "throughput_rps": "req/s"}


def _table(title: str, left: Sequence[str], right: Sequence[str] = ()) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for heading in left:
        table.add_column(heading, overflow="fold")
    for heading in right:
        table.add_column(heading, justify="right")
    return table


def _on(profile: ModelProfile) -> str:
    units = profile.accelerators_per_replica
    return profile.accelerator if units == 1 else f"{units} × {profile.accelerator}"


def shipped_table(found: Sequence[ShippedProfile]) -> RenderableType:
    """Return shipped profiles as a table, one a row."""
    table = _table("Shipped profiles", ("Name", "Kind"), ("Cards", "Batch limit"))
    table.add_column("Source", overflow="fold", ratio=1)
    for item in found:
        profile = item.profile
        table.add_row(
            item.name,
            profile.provenance.kind.value,
            f"{profile.accelerators_per_replica:,}",
            f"{profile.max_batch:,}",
            profile.provenance.source,
        )
    return table


def document_tables(document: ProfileDocument) -> Iterator[RenderableType]:
    """Yield a document as tables: profiles, fits of other models, what was timed."""
    for index, profile in enumerate(document.profiles):
        yield _profile_table(profile, document.fit_of(index))
    others = [fit for fit in document.fits if fit.profile is None]
    if others:
        yield _other_fits(others)
    if document.measured_on is not None:
        yield _timed(document)
    if document.notes:
        yield Group(*(Text(f"Note: {note}") for note in document.notes))


def _profile_table(profile: ModelProfile, fit: ProfileFit | None) -> RenderableType:
    named = f" ({profile.configuration})" if profile.configuration else ""
    title = f"{profile.model} on {_on(profile)}{named}: {profile.provenance.kind.value}"
    table = _table(title, ("Parameter",), ("Value", "95% interval"))
    for name, value in _parameter_lines(profile.parameters):
        table.add_row(name, value, _interval(fit, name))
    lines = [
        f"Batch limit {profile.max_batch:,} at {profile.at_tokens:,} output tokens, token budget "
        f"{profile.token_budget:,}, KV memory "
        + (UNKNOWN if profile.kv_tokens is None else f"{profile.kv_tokens:,}")
        + " tokens.",
        f"Source: {profile.provenance.source or UNKNOWN}.",
    ]
    if fit is not None:
        lines.append(_fit_line(fit))
    return Group(table, *(Text(line) for line in lines), Text(""))


def _parameter_lines(parameters: ServiceParameters) -> list[tuple[str, str]]:
    if not isinstance(parameters, IterationTable):
        return [(name, f"{value:.4g}") for name, value in asdict(parameters).items()]
    table = parameters
    return [
        (
            f"decode_ms, {len(table.batches)} × {len(table.contexts)}",
            f"{table.decode_ms[0][0]:.4g} – {table.decode_ms[-1][-1]:.4g}",
        ),
        (
            f"prefill_ms, {len(table.prefill_tokens)} × {len(table.prefill_contexts)}",
            f"{table.prefill_ms[0][0]:.4g} – {table.prefill_ms[-1][-1]:.4g}",
        ),
        ("shared_ms", f"{table.shared_ms:.4g}"),
    ]


def _interval(fit: ProfileFit | None, name: str) -> str:
    if fit is None or name not in fit.confidence:
        return UNKNOWN
    low, high = fit.confidence[name]
    return f"{low:.4g} – {high:.4g}"


def _fit_line(fit: ProfileFit) -> str:
    parts = [f"{fit.model} fitted to {count_of(fit.points, 'point')}"]
    for words, errors in (("error", fit.errors), ("on points left out", fit.left_out_errors)):
        if errors:
            told = ", ".join(f"{name} {value:.1%}" for name, value in errors.items())
            parts.append(f"{words} {told}")
    if fit.condition_number is not None:
        parts.append(f"condition number {fit.condition_number:,.3g}")
    return "; ".join(parts) + "."


def _other_fits(fits: Sequence[ProfileFit]) -> RenderableType:
    table = _table("Other fits", ("Model", "Parameters or refusal", "Errors"), ("Points",))
    for fit in fits:
        parameters = ", ".join(f"{name} {value:.4g}" for name, value in fit.parameters.items())
        errors = ", ".join(f"{name} {value:.1%}" for name, value in fit.errors.items())
        table.add_row(fit.model, fit.refusal or parameters, errors, f"{fit.points:,}")
    return table


def _timed(document: ProfileDocument) -> RenderableType:
    on = document.measured_on
    assert on is not None
    model, device = on.model, on.device
    layers = "all" if model.whole else " and ".join(str(count) for count in model.layers_timed)
    failed = [item for item in document.timings if item.status is not CaseStatus.OK]
    lines = [
        f"Timed on {device.count} × {device.name} ({device.runtime}"
        + (f", driver {device.driver}" if device.driver else "")
        + f"), {on.started_at}, code {on.code}.",
        f"{model.name}: {layers} of {model.layers} layers, {model.precision}, weights "
        f"{model.weight_precision}, attention {model.attention}, {model.cache} cache, "
        f"{model.execution}.",
        f"{count_of(len(document.timings), 'case')}, of which {len(failed):,} failed"
        + ("." if not failed else ":"),
    ]
    for item in failed[:_MOST_FAILED]:
        case = item.case
        lines.append(
            f"  {item.status.value}: prompt {case.prefill_tokens:,} after {case.prefix_tokens:,}, "
            f"batch {case.decode_batch:,} at {case.context_tokens:,}: {item.reason}"
        )
    if len(failed) > _MOST_FAILED:
        lines.append(f"  and {len(failed) - _MOST_FAILED:,} more")
    parts: list[RenderableType] = [*(Text(line) for line in lines), Text("")]
    if document.curves:
        parts.append(_curves(document))
    return Group(*parts)


def _curves(document: ProfileDocument) -> Table:
    headings = ("Curve", "ms", "tokens/s")
    table = _table("Timed iterations", headings[:1], ("At", *headings[1:]))
    for curve in document.curves:
        beside = (
            f"context {curve.context_tokens:,}"
            if curve.context_tokens is not None
            else f"after {curve.prefix_tokens or 0:,}"
        )
        table.add_row(
            f"{curve.kind.value}, {beside}",
            "\n".join(f"{at:,}" for at in curve.at),
            "\n".join(f"{time:,.4g}" for time in curve.median_ms),
            "\n".join(f"{rate:,.0f}" for rate in curve.tokens_per_s),
        )
    return table


def findings_table(findings: Sequence[Finding], profiles: int) -> RenderableType:
    """Return what speaks against profiles as a table; one line where nothing does."""
    if not findings:
        return Text(f"{count_of(profiles, 'profile')}: nothing to object.")
    table = _table(f"{count_of(profiles, 'profile')} checked", ("", "Rule", "Place"))
    table.add_column("Finding", overflow="fold", ratio=1)
    for item in findings:
        style = "bold red" if item.severity.value == "error" else "yellow"
        table.add_row(Text(item.severity.value, style), item.rule, item.place, item.message)
    return table


def comparison_tables(
    one: tuple[str, ModelProfile], other: tuple[str, ModelProfile], answer: Compared
) -> Iterator[RenderableType]:
    """Yield a comparison: parameters, then predictions at common points."""
    for letter, (source, item) in zip("AB", (one, other), strict=True):
        kind = item.provenance.kind.value
        yield Text(f"{letter}: {source}: {item.model} on {_on(item)}, {kind}")
    if answer.parameters:
        table = _table("Parameters", ("Parameter",), ("A", "B", "B / A", "Beyond confidence"))
        for figure in answer.parameters:
            table.add_row(figure.name, *_cells(figure))
        yield table
    table = _table(
        "Predictions, closed loop", ("Request", "Clients", "Figure"), ("A", "B", "B / A", "Beyond")
    )
    for point, figures in answer.points:
        table.add_row(
            f"{point.in_tokens:,} in, {point.out_tokens:,} out",
            f"{point.clients:,}",
            "\n".join(_UNITS[figure.name] for figure in figures),
            *(
                "\n".join(cells)
                for cells in zip(*(_cells(figure) for figure in figures), strict=True)
            ),
        )
    yield table
    verdict = {
        True: "They differ by more than their confidence explains.",
        False: "Their confidence explains all that they differ by.",
        None: "How far they may be off is not told of both, so nobody knows whether they differ.",
    }
    yield Text(verdict[answer.differs])


def _cells(figure: Figure) -> tuple[str, str, str, str]:
    words = {True: "yes", False: "no", None: UNKNOWN}
    return (
        UNKNOWN if figure.one is None else f"{figure.one:,.4g}",
        UNKNOWN if figure.other is None else f"{figure.other:,.4g}",
        UNKNOWN if figure.ratio is None else f"{figure.ratio:.2f}",
        words[figure.beyond],
    )
