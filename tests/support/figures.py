"""What holds of every picture."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text

_SLACK_PIXELS = 3.0


def title_of(figure: Figure) -> str:
    return str(figure.get_suptitle())


def words_of(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def row_names(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.get_yticklabels()]


def bars(axes: Axes) -> list[Rectangle]:
    return [patch for patch in axes.patches if isinstance(patch, Rectangle)]


def points(axes: Axes) -> list[tuple[float, float]]:
    """Return the positions of all scattered marks."""
    found: list[tuple[float, float]] = []
    for collection in axes.collections:
        if isinstance(collection, PathCollection):
            offsets = np.asarray(collection.get_offsets(), dtype=np.float64)
            found.extend((float(x), float(y)) for x, y in offsets)
    return found


def draw(figure: Figure) -> None:
    FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]


def xs(line: Line2D) -> npt.NDArray[np.float64]:
    return np.asarray(line.get_xdata(), dtype=np.float64)


def ys(line: Line2D) -> npt.NDArray[np.float64]:
    return np.asarray(line.get_ydata(), dtype=np.float64)


def check_figure(figure: Figure) -> None:
    """Draw a figure; its words lie within it and its marks are at numbers."""
    draw(figure)
    assert title_of(figure)
    for text in _texts(figure):
        box = text.get_window_extent()
        inside = (
            box.x0 >= -_SLACK_PIXELS
            and box.y0 >= -_SLACK_PIXELS
            and box.x1 <= figure.bbox.x1 + _SLACK_PIXELS
            and box.y1 <= figure.bbox.y1 + _SLACK_PIXELS
        )
        assert inside, f"{text.get_text()!r} leaves the figure: {box} of {figure.bbox}"
    for axes in figure.axes:
        for bar in bars(axes):
            assert np.isfinite([*bar.get_xy(), bar.get_width(), bar.get_height()]).all()
        assert np.isfinite(points(axes)).all()
        for line in axes.get_lines():
            assert np.isfinite(xs(line)).all()
        assert np.isfinite([*axes.get_xlim(), *axes.get_ylim()]).all()


def _texts(figure: Figure) -> Iterator[Text]:
    candidates = [*figure.texts]
    for axes in figure.axes:
        candidates += [*axes.texts, axes.xaxis.label, axes.yaxis.label]
        candidates += _shown_tick_labels(axes)
    for legend in figure.legends:
        candidates += legend.get_texts()
    return (text for text in candidates if text.get_text() and text.get_visible())


def _shown_tick_labels(axes: Axes) -> list[Text]:
    low, high = sorted(axes.get_ylim())
    return [
        tick.label1
        for tick in axes.yaxis.get_major_ticks()
        if tick.label1.get_visible() and low <= tick.get_loc() <= high
    ]


def no_overlap(texts: list[Text]) -> bool:
    """Return whether no two of these drawn texts cover each other."""
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    return not any(
        one.overlaps(other) for index, one in enumerate(boxes) for other in boxes[index + 1 :]
    )
