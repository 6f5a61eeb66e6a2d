"""Times of iterations as lines: decodes over the batch, prefills over prompt tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from stoker.cli.plots.style import BLUE, INK, SKY, VERMILION
from stoker.domain.timing import CaseStatus, CaseTiming, IterationKind

_MARKERS = "os^Dv<>PX"
_SCALE = LinearSegmentedColormap.from_list("beside", (SKY, BLUE, "#00263D"))
_MOST_LINES = 8


@dataclass(frozen=True, slots=True)
class Line:
    """Times along an axis.

    Attributes:
        beside: What is the same along it: the context, or the tokens before a chunk.
        at: Places on the axis, ascending.
        values: Values there.
        spread: Interquartile ranges of these; empty for none.
        failed_at: Places where iterations did not end well.
    """

    beside: int
    at: tuple[int, ...]
    values: tuple[float, ...]
    spread: tuple[float, ...]
    failed_at: tuple[int, ...]


def decode_lines(timings: Iterable[CaseTiming]) -> list[Line]:
    """Return times of decodes over the batch, a line for each context."""
    decodes = [each for each in timings if each.case.kind is IterationKind.DECODE]
    return _lines([(each.case.context_tokens, each.case.decode_batch, each) for each in decodes])


def prefill_lines(timings: Iterable[CaseTiming]) -> list[Line]:
    """Return times of prefills over prompt tokens, a line for each number of tokens before them."""
    prefills = [each for each in timings if each.case.kind is IterationKind.PREFILL]
    return _lines([(each.case.prefix_tokens, each.case.prefill_tokens, each) for each in prefills])


def _lines(points: Sequence[tuple[int, int, CaseTiming]]) -> list[Line]:
    lines = []
    for beside in sorted({beside for beside, _, _ in points}):
        along = sorted(
            ((at, each) for other, at, each in points if other == beside), key=lambda each: each[0]
        )
        good = [(at, each) for at, each in along if each.status is CaseStatus.OK and each.median_ms]
        if not good:
            continue
        lines.append(
            Line(
                beside,
                tuple(at for at, _ in good),
                tuple(each.median_ms or 0.0 for _, each in good),
                tuple(each.spread_ms or 0.0 for _, each in good),
                tuple(at for at, each in along if each.status is not CaseStatus.OK),
            )
        )
    if len(lines) > _MOST_LINES:
        fullest = sorted(lines, key=lambda line: (-len(line.at), line.beside))[:_MOST_LINES]
        lines = sorted(fullest, key=lambda line: line.beside)
    return lines


def draw_lines(axes: Axes, lines: Sequence[Line], what: str, unit: str) -> None:
    """Draw lines from light to dark, with their spread, and a cross where a case failed."""
    top = max(value for line in lines for value in line.values)
    failed: set[int] = set()
    for rank, line in enumerate(lines):
        colour = _SCALE(rank / max(len(lines) - 1, 1))
        errors = [spread / 2.0 for spread in line.spread] or None
        axes.errorbar(
            line.at,
            line.values,
            yerr=errors,
            color=colour,
            marker=_MARKERS[rank % len(_MARKERS)],
            markersize=4.5,
            markeredgecolor=INK,
            markeredgewidth=0.4,
            linewidth=1.2,
            capsize=2.0,
            label=f"{what} {line.beside:,}" + (f" {unit}" if rank == 0 else ""),
        )
        failed.update(line.failed_at)
    if failed:
        places = sorted(failed)
        axes.scatter(
            places, [top] * len(places), marker="x", color=VERMILION, label="did not run", zorder=4
        )
