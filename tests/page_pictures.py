# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the pictures of doc/observers/report.rst anew.

``python tests/page_pictures.py`` needs Chromium, as the tests of pages do.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from endings import ENDINGS
from lsst.ts.calibrationscripts.pages import run_page

STATIC = Path(__file__).parents[1] / "doc" / "_static"
WIDTH, COLOURS = 900, 48

PICTURES = {
    "page-held": ("held", "header, ul.cards, section.next"),
    "page-failed": ("failed_script", "header, ul.cards, section.next"),
    "page-map": ("held", "#failures figure"),
    "page-noise": ("held", "#statistics figure"),
    "page-image": ("held", "#images figure"),
    "page-sessions": ("resumed", "#timeline figure"),
}
"""By name, the ending and the parts of its page that are shown."""


def picture(page: Any, selector: str) -> bytes:
    """Return what a screen shows of some elements, in few colours."""
    from PIL import Image

    boxes = [element.bounding_box() for element in page.query_selector_all(selector)]
    if "figure" in selector:
        boxes = boxes[:1]
    left, top = min(box["x"] for box in boxes), min(box["y"] for box in boxes)
    right = max(box["x"] + box["width"] for box in boxes)
    bottom = max(box["y"] + box["height"] for box in boxes)
    clip = {"x": left - 8, "y": max(top - 8, 0), "width": right - left + 16, "height": bottom - top + 16}
    shot = Image.open(io.BytesIO(page.screenshot(full_page=True, clip=clip))).convert("RGB")
    stream = io.BytesIO()
    shot.quantize(COLOURS, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def main() -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--headless", "--no-sandbox", "--disable-quic", "--disable-background-networking"],
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": 700})
        page.set_default_timeout(240_000)
        shown = ""
        for name, (ending, selector) in sorted(PICTURES.items(), key=lambda item: item[1]):
            if ending != shown:
                file = Path(folder) / f"{ending}.html"
                file.write_text(run_page(ENDINGS[ending]()), encoding="utf-8")
                page.goto(file.as_uri())
                shown = ending
            content = picture(page, selector)
            (STATIC / f"{name}.png").write_bytes(content)
            sys.stdout.write(f"{name}.png: {len(content)} bytes\n")
        browser.close()


if __name__ == "__main__":
    main()
