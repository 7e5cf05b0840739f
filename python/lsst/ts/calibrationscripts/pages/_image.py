# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Combined images with the names of their amplifiers."""

from __future__ import annotations

__all__ = ["image_picture"]

from collections import Counter, defaultdict
from html import escape
from typing import NamedTuple

from ..products import Product
from ..report import Thumbnail
from ..verification import Verdict
from ._figure import Picture

_WIDTH = 340
"""Of an image on the page (CSS pixel)."""


class _Failed(NamedTuple):
    """What failed of an amplifier."""

    share: float = 0.0
    """Part of the exposures."""

    text: str = ""

    @property
    def kind(self) -> str:
        """How it is drawn."""
        return "bad" if self.share >= 0.5 else "some" if self.share else ""


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
    what = (
        "Map of defects"
        if image.subject.product is Product.DEFECTS
        else f"Combined {escape(image.dataset_type)}"
    )
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
    for area in sorted(image.areas, key=lambda area: failed.get(area.amplifier, _Failed()).share):
        of_area = failed.get(area.amplifier, _Failed())
        x, y, w, h = area.x * width, area.y * height, area.width * width, area.height * height
        kind = f' class="{of_area.kind}"' if of_area.kind else ""
        what = of_area.text or ("no test failed" if verdict else "")
        title = ": ".join(filter(None, (area.amplifier, what)))
        parts.append(
            f'<g{kind}><rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}"/>'
            f'<text x="{x + w / 2:.1f}" y="{y + h / 2:.1f}">{escape(area.amplifier)}</text>'
            f"<title>{escape(title)}</title></g>"
        )
    markup = f'<svg class="amplifiers" role="img" aria-label="{label}" viewBox="0 0 {width} {height}">'
    return Picture(f"{markup}{''.join(parts)}</svg>", "", _WIDTH)


def _failed(image: Thumbnail, verdict: Verdict | None) -> dict[str, _Failed]:
    """Return what failed, by amplifier."""
    tests: dict[str, Counter[str]] = defaultdict(Counter)
    units: Counter[str] = Counter()
    results = verdict.results if verdict else ()
    for result in results:
        mine = [each for each in result.failures if each.detector == image.detector and each.amplifier]
        units.update({failure.amplifier for failure in mine})
        for failure in mine:
            tests[failure.amplifier][failure.test] += 1
    of = f" of {len(results)} exposures" if verdict and verdict.of_exposures else ""
    return {
        amplifier: _Failed(
            units[amplifier] / len(results),
            ", ".join(f"{test} failed" + (f" in {n}{of}" if of else "") for test, n in counts.items()),
        )
        for amplifier, counts in tests.items()
    }
