# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures as markup that needs nothing else.

Matplotlib is imported when a figure is drawn, not before.
"""

from __future__ import annotations

__all__ = [
    "BLUE",
    "CELL",
    "INK",
    "MAX_VECTORS",
    "ORANGE",
    "PAPER",
    "PHONE",
    "SMALL",
    "VERMILION",
    "Hover",
    "Picture",
    "drawing",
    "finish",
    "side_by_side",
]

import base64
import io
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, VERMILION, ORANGE = "#0072b2", "#d55e00", "#e69f00"
"""Of Okabe and Ito's palette, which colour-blind people can distinguish."""

INK = "#010203"
"""Replaced by the colour of the page's text."""

PAPER, CELL = "#fdfeff", "#f1f2f3"
"""Replaced by the colour of the page, and of a cell in which nothing is."""

PHONE = 5.2
"""Width of a figure whose text can be read on a phone, and of which two have
room side by side on a screen (inch)."""

SMALL = 2.5
"""Width of a panel, of which two have room on a phone (inch)."""

MAX_VECTORS = 4000
"""Marks that are still drawn one by one; a picture of more is a raster."""

_FOLLOWING = {
    INK: "currentColor",
    BLUE: "var(--mark)",
    VERMILION: "var(--bad)",
    PAPER: "var(--page)",
    CELL: "var(--cell)",
}
"""Colours that follow those of the page."""

_DPI = 110

_UNITS = 72
"""Of a vector figure, in an inch."""

_DRAWING = threading.RLock()
"""Held while a figure is drawn: the desk draws in several threads, and the
style of matplotlib is that of the process."""


@dataclass(frozen=True)
class Picture:
    """A figure, ready for a page."""

    markup: str
    """An ``svg`` or ``img`` element, or several."""

    caption: str
    width: int
    """Width at which its text is as large as it should at least be (CSS
    pixel)."""

    @property
    def is_wide(self) -> bool:
        """Whether it is scrolled sideways where there is no room."""
        return self.width > round(PHONE * _UNITS)


class Hover(NamedTuple):
    """A rectangle of a figure, and what is shown when one points at it."""

    axes: Axes
    left: float
    lower: float
    right: float
    upper: float
    """Its edges, in the coordinates of the axes."""

    text: str

    margin: float = 0.0
    """By how much it is larger than that (point)."""


@contextmanager
def drawing(width: float, height: float, margins: Mapping[str, float] | None = None) -> Iterator[Figure]:
    """Make a figure in the page's style; sizes in inches.

    Where its margins are given, in parts of its size, they need not be found,
    which takes most of the time of a small figure.
    """
    import matplotlib
    from matplotlib.figure import Figure

    style: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "ts_calibrationscripts",
        "text.parse_math": False,
        "font.family": "sans-serif",
        "font.size": 9 if width <= SMALL else 10,
        # Ticks say the values themselves, not what to add to an offset.
        "axes.formatter.useoffset": False,
        "axes.titlesize": "medium",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.facecolor": "none",
        "figure.facecolor": "none",
        **dict.fromkeys(
            ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK
        ),
    }
    with _DRAWING, matplotlib.rc_context(style):
        figure = Figure(figsize=(width, height), layout=None if margins else "constrained")
        if margins:
            figure.subplots_adjust(**margins)
        yield figure


def finish(figure: Figure, caption: str, *, raster: bool = False, hovers: Sequence[Hover] = ()) -> Picture:
    """Turn a figure into markup, with its caption for screen readers."""
    stream = io.BytesIO()
    width = round(figure.get_figwidth() * _UNITS)
    if raster:
        # On white in dark mode too: its ink cannot follow the page's.
        figure.savefig(stream, format="png", dpi=_DPI, facecolor="white")
        data = base64.b64encode(stream.getvalue()).decode("ascii")
        source = f"data:image/png;base64,{data}"
        if not hovers:
            return Picture(f'<img src="{source}" alt="{escape(caption)}">', caption, width)
        height = figure.get_figheight() * _UNITS
        markup = (
            f'<svg role="img" aria-label="{escape(caption)}" viewBox="0 0 {width} {height:g}">'
            f'<image href="{source}" width="{width}" height="{height:g}"/>{_targets(figure, hovers)}</svg>'
        )
        return Picture(markup, caption, width)
    figure.savefig(stream, format="svg", metadata={"Date": None})
    svg = stream.getvalue().decode("utf-8")
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    for colour, variable in _FOLLOWING.items():
        svg = svg.replace(colour, variable)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{escape(caption)}" ', 1)
    svg = svg.rstrip().removesuffix("</svg>") + _targets(figure, hovers) + "</svg>"
    return Picture(svg, caption, width)


def side_by_side(pictures: Sequence[Picture], caption: str) -> Picture:
    """Put pictures beside each other, as many as there is room for.

    Parameters
    ----------
    pictures : `~collections.abc.Sequence` [`Picture`]
        At least one, of about the same width.
    caption : `str`
        Of all of them.

    Returns
    -------
    picture : `Picture`
        It is wide if one of them is: they are then below each other.
    """
    width = max(picture.width for picture in pictures)
    joined = "".join(picture.markup for picture in pictures)
    if any(picture.is_wide for picture in pictures):
        return Picture(joined, caption, width)
    kind = "small" if width <= SMALL * _UNITS else "medium"
    return Picture(f'<div class="panels {kind}">{joined}</div>', caption, 0)


def _targets(figure: Figure, hovers: Sequence[Hover]) -> str:
    """Return invisible rectangles that show texts; the figure is drawn."""
    scale, height = _UNITS / figure.dpi, figure.get_figheight() * _UNITS
    parts = []
    for axes, left, lower, right, upper, text, margin in hovers:
        (x0, y0), (x1, y1) = axes.transData.transform([(left, lower), (right, upper)]) * scale
        x, y = min(x0, x1) - margin, height - max(y0, y1) - margin
        size = f'width="{abs(x1 - x0) + 2 * margin:.1f}" height="{abs(y1 - y0) + 2 * margin:.1f}"'
        parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" {size}><title>{escape(text)}</title></rect>')
    return f'<g fill="none" pointer-events="all">{"".join(parts)}</g>' if parts else ""
