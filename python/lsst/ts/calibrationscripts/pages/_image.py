# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Combined images with the names of their amplifiers."""

from __future__ import annotations

__all__ = ["image_picture"]

from collections import defaultdict
from html import escape

from ..products import Product
from ..report import Thumbnail
from ..verification import Verdict
from ._figure import Picture

_WIDTH = 340
"""Of an image on the page (CSS pixel)."""


def image_picture(image: Thumbnail, verdict: Verdict | None) -> Picture:
    """Draw an image, with its amplifiers if they are known.

    Parameters
    ----------
    image : `Thumbnail`
        The image.
    verdict : `Verdict` or `None`
        What its verification found; amplifiers that fail are marked.

    Returns
    -------
    picture : `Picture`
        Without a caption.
    """
    detector = escape(image.detector)
    what = "Map of defects" if image.subject.product is Product.DEFECTS else f"Combined {escape(image.dataset_type)}"
    label = f"{what} of detector {detector}"
    source = f"data:image/png;base64,{image.png}"
    if not image.areas:
        size = f'width="{image.width}" height="{image.height}"'
        return Picture(f'<img src="{source}" {size} alt="{label}">', "", _WIDTH)
    failed = _failed(image, verdict)
    if failed:
        label += f"; amplifiers that fail: {escape(', '.join(failed))}"
    width, height = _WIDTH, round(_WIDTH * image.height / image.width)
    parts = [f'<image href="{source}" width="{width}" height="{height}" preserveAspectRatio="none"/>']
    # Those that fail are drawn over the edges of the others.
    for area in sorted(image.areas, key=lambda area: area.amplifier in failed):
        bad = area.amplifier in failed
        x, y, w, h = area.x * width, area.y * height, area.width * width, area.height * height
        kind = ' class="bad"' if bad else ""
        what = failed.get(area.amplifier, "no test failed" if verdict else "")
        title = ": ".join(filter(None, (area.amplifier, what)))
        parts.append(
            f'<g{kind}><rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}"/>'
            f'<text x="{x + w / 2:.1f}" y="{y + h / 2:.1f}">{escape(area.amplifier)}</text>'
            f"<title>{escape(title)}</title></g>"
        )
    markup = f'<svg class="amplifiers" role="img" aria-label="{label}" viewBox="0 0 {width} {height}">'
    return Picture(f"{markup}{''.join(parts)}</svg>", "", _WIDTH)


def _failed(image: Thumbnail, verdict: Verdict | None) -> dict[str, str]:
    """Return what failed, by amplifier."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for result in verdict.results if verdict else ():
        for failure in result.failures:
            if failure.detector == image.detector and failure.amplifier:
                counts[failure.amplifier][failure.test] += 1
    of = f" of {len(verdict.results)} exposures" if verdict and verdict.of_exposures else ""
    return {
        amplifier: ", ".join(f"{test} failed" + (f" in {n}{of}" if of else "") for test, n in tests.items())
        for amplifier, tests in counts.items()
    }
