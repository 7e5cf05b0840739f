# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a run, as people look at it after each ending."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.resources
import re
import shutil
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from endings import AMPLIFIERS, ENDINGS, FILTERS, four_filters, held, passed, ptc_and_defects, resumed, warned
from lsst.ts.calibrationscripts.codec import read_document, write_document
from lsst.ts.calibrationscripts.observatory.versions import versions
from lsst.ts.calibrationscripts.outcomes import Outcome, RunState
from lsst.ts.calibrationscripts.pages import run_page
from lsst.ts.calibrationscripts.pages._facts import stage_rows
from lsst.ts.calibrationscripts.report import RunDocument, next_steps

CHROMIUM = shutil.which("chromium")
MOBILE = 400
NARROWEST = 28
"""Of what has several words (CSS pixel): some letters."""

SMALLEST = 8.5
"""Letters in a figure on a phone (CSS pixel)."""

PAPER = 718
"""Width of A4 between its margins (CSS pixel)."""


class Pages(dict[str, str]):
    """The page of each ending, made when it is looked at."""

    def __missing__(self, name: str) -> str:
        self[name] = run_page(ENDINGS[name]())
        return self[name]


@pytest.fixture(scope="module")
def documents() -> Pages:
    return Pages()


def words(html: str) -> str:
    """Return what a part of a page says."""
    return " ".join(
        unescape(re.sub(r"<(style|svg|title).*?</\1>|<[^>]*>", " ", html, flags=re.DOTALL)).split()
    )


def top(document: str) -> str:
    """Return what is above the links to the sections."""
    return words(document.partition("<body>")[2].partition("<nav")[0])


def section(document: str, anchor: str) -> str:
    return document.partition(f'<section id="{anchor}"')[2].partition("</section>")[0]


# The first screen


def test_the_top_says_what_run_it_is(documents: dict[str, str]) -> None:
    said = top(documents["passed"])
    for fact in (
        "Instrument LATISS",
        "Night 2026-11-23",
        "State of the script DONE",
        "Repository /repo/LATISS",
        "Program BLOCK-295",
        "Reason daily_calibrations",
        "Versions ts_calibrationscripts 1.4.0, pipeline generation current, cp_pipe g1a2b3c4d5e+0f",
    ):
        assert fact in said
    assert "resumed 2 time(s)" in top(documents["resumed"])


def test_a_card_has_the_range_that_its_product_is_valid_in(documents: dict[str, str]) -> None:
    said = top(documents["passed"])
    assert said.count("valid from 2026-11-23T12:00:00 to 2026-11-24T12:00:00 (TAI)") == 2


def test_a_failed_script_looks_failed_and_gives_its_cause_once(documents: dict[str, str]) -> None:
    # Given a run that certified its bias before the camera failed
    document = documents["failed_script"]
    assert '<p class="banner failed">' in document
    # Then all that is said above the sections has the cause once
    assert top(document).count("no data from the REB") == 1
    # and so it is where a job failed, and where a product is held
    assert '<p class="banner failed">' in documents["failed_job"]
    assert top(documents["failed_job"]).count("dimensions do not match") == 1
    assert '<p class="banner held">' in documents["held"]
    assert top(documents["held"]).count("3 of 3 exposures fail") == 1
    assert '<p class="banner good">' in documents["passed"]


def test_nothing_to_do_is_said_only_without_warnings() -> None:
    assert next_steps(passed().report) == ("Nothing to do.",)
    said = top(run_page(warned()))
    assert "Nothing to do" not in said
    assert "Look at the 1 warning(s) below" in said and "Read noise of detector 0 C07" in said


# What is below


def test_each_filter_has_its_own_gains(documents: dict[str, str]) -> None:
    cards = top(documents["four_filters"])
    medians = re.findall(r"GAIN (\S+): measured median gain ([\d.]+) e-/ADU from 2 pair", cards)
    assert [part for part, _ in medians] == list(FILTERS)
    assert len({median for _, median in medians}) == len(FILTERS)
    gains = section(documents["four_filters"], "gains")
    assert re.findall(r"<h3>(.*?)</h3>", gains) == list(FILTERS)


def test_failing_exposures_are_marked_in_the_map_and_in_the_list(documents: dict[str, str]) -> None:
    document = documents["held"]
    assert section(document, "failures").count("\u2717 3") == 2
    marked = re.findall(r'<li class="held">.*?</li>', section(document, "exposures"))
    assert [words(each) for each in marked][1] == "\u2717 2026112300003, BIAS fails MEAN (2), NOISE (9)"
    spoilt = words(section(documents["passed"], "exposures"))
    assert "\u2717 2026112300002, spoilt: SETTLING (left out)" in spoilt


def test_images_name_amplifiers_and_mark_those_that_fail(documents: dict[str, str]) -> None:
    images = section(documents["held"], "images")
    assert re.findall(r"<text[^>]*>(C..)</text>", images)[-9:] == list(AMPLIFIERS[:9])
    assert images.count('<g class="bad">') == 9 and images.count('<g class="some">') == 7
    assert "<title>C00: NOISE failed in 3 of 3 exposures, MEAN failed in 2 of 3 exposures</title>" in images


def test_values_are_shown_where_one_points(documents: dict[str, str]) -> None:
    statistics = section(documents["held"], "statistics")
    assert re.search(
        r"<title>RXX_S00 C00: median [\d.]+, .* ADU; limits 6.27 to 6.93; 3 failed</title>", statistics
    )
    assert "<title>C00, exposure 2026112300002: NOISE failed</title>" in section(
        documents["held"], "failures"
    )
    assert "<title>verify BIAS: " in section(documents["held"], "timeline")
    assert re.search(r"<title>detector 0 C00: 1.\d+ e-/ADU", section(documents["four_filters"], "gains"))


def test_curves_and_maps_of_defects_are_shown(documents: dict[str, str]) -> None:
    document = documents["ptc_and_defects"]
    curves = section(document, "curves")
    assert "<svg" in curves and "C17" in curves
    found = section(document, "defects")
    assert "Map of defects of detector RXX_S00" in found
    assert "312 boxes, 0.10% of the pixels (16480); 240 gained, 48 lost" in words(found)


def test_the_timeline_has_every_session(documents: dict[str, str]) -> None:
    shown = section(documents["resumed"], "timeline")
    assert [f"session {i}" in shown for i in (1, 2, 3, 4)] == [True, True, True, False]
    assert "in 3 sessions" in words(shown)


def test_only_what_differs_from_the_default_is_unfolded(documents: dict[str, str]) -> None:
    unfolded, _, folded = section(documents["passed"], "configuration").partition("<details>")
    assert "generate_calibrations" in unfolded and "calib.2026NOV23.1" in unfolded
    assert "n_bias" in folded and "n_bias" not in unfolded
    assert "exp_times_flat" in folded and "exp_times_flat" not in unfolded


@pytest.mark.parametrize("name", ENDINGS)
def test_headers_of_tables_have_a_scope_and_regions_a_name(documents: dict[str, str], name: str) -> None:
    document = documents[name]
    assert all('scope="' in tag for tag in re.findall(r"<th\b[^>]*>", document))
    assert all("aria-label" in tag for tag in re.findall(r"<(?:section|nav)[^>]*>", document))
    groups = re.findall(r'role="group" aria-label="(.*?)"', document)
    assert all(groups) and "Figure" not in groups


@pytest.mark.parametrize("name", ENDINGS)
def test_what_is_in_a_cell_stays_together_where_cells_are_below_each_other(
    documents: dict[str, str], name: str
) -> None:
    # Each part of a cell would have a column of its own on a phone.
    cells = re.findall(r'role="(?:cell|rowheader)"[^>]*>(.*?)</t[dh]>', documents[name], re.DOTALL)
    assert all(re.fullmatch(r"\s*(<(span|code|ul)\b.*</\2>)?\s*", cell, re.DOTALL) for cell in cells)


@pytest.mark.parametrize("make", [four_filters, held, ptc_and_defects, resumed])
def test_the_json_has_all_that_the_page_shows(make: Any) -> None:
    document: RunDocument = make()
    assert run_page(read_document(write_document(document))) == run_page(document)


def test_a_run_without_frames_has_the_night_of_its_id() -> None:
    # Given a run that failed before its first frame, after midnight UTC
    report = dataclasses.replace(
        passed().report, run_id="20261124T031500-1", state=RunState.FAILED, exposures={}, stages=()
    )
    assert "Night 2026-11-23" in top(run_page(RunDocument(report)))


def test_versions_are_those_that_eups_has_set_up() -> None:
    environment = {
        "SETUP_CP_PIPE": "cp_pipe g1a2b -f Linux64 -Z /opt/lsst/software",
        "CP_PIPE_DIR": "/opt/lsst/software/Linux64/cp_pipe/other",
        "CP_VERIFY_DIR": "/opt/lsst/software/Linux64/cp_verify/gf00d+7a",
    }
    found = versions(environment, "current")
    assert found["cp_pipe"] == "g1a2b" and found["cp_verify"] == "gf00d+7a"
    assert found["pipeline generation"] == "current" and found["ts_calibrationscripts"]
    # and a checkout is named by its path
    assert versions({"CP_PIPE_DIR": "/home/ann/cp_pipe"}, "current")["cp_pipe"] == "/home/ann/cp_pipe"


# In a browser


@contextlib.contextmanager
def browsing() -> Iterator[Any]:
    """Open a page of Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--headless", "--no-sandbox", "--disable-quic", "--disable-background-networking"],
        )
        page = browser.new_page()
        page.set_default_timeout(240_000)
        yield page
        browser.close()


def seen_wrong_by_axe(page: Any) -> list[str]:
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = page.evaluate("tags => axe.run({runOnly: tags})", tags)
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found["violations"]]


def narrow_cells(page: Any) -> list[str]:
    """Return cells with words whose column has room for few letters."""
    # Titles of columns that stand before each cell are hidden, not narrow.
    script = """narrowest => [...document.querySelectorAll("td, th, dt, dd, .card span, li")]
        .filter(e => e.innerText && e.innerText.trim().length > 6 && e.checkVisibility())
        .filter(e => getComputedStyle(e.closest("thead") || e).position !== "absolute")
        .filter(e => {
            const {width, height} = e.getBoundingClientRect();
            return width < narrowest || height > 340 && width < 3 * narrowest;
        })
        .map(e => e.outerHTML.slice(0, 200))"""
    found: list[str] = page.evaluate(script, NARROWEST)
    return found


def scrolled_without_a_sign(page: Any) -> list[str]:
    """Return what moves sideways, and does not say so or has no focus."""
    script = """() => [...document.querySelectorAll("body *")]
        .filter(e => ["auto", "scroll"].includes(getComputedStyle(e).overflowX))
        .filter(e => e.scrollWidth > e.clientWidth + 1)
        .filter(e => !e.closest(".wide")?.querySelector(".sideways")?.checkVisibility()
                     || e.tabIndex !== 0 || !e.ariaLabel)
        .map(e => e.outerHTML.slice(0, 200))"""
    found: list[str] = page.evaluate(script)
    return found


def cut_off(page: Any) -> list[str]:
    """Return figures and tables that reach beyond the page."""
    script = """() => [...document.querySelectorAll("svg, img, table, pre, p, li")]
        .filter(e => e.checkVisibility() && !e.closest(".wide .scroll"))
        .filter(e => getComputedStyle(e.closest("thead") || e).position !== "absolute")
        .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
        .map(e => e.outerHTML.slice(0, 200))"""
    found: list[str] = page.evaluate(script)
    return found


def small_text(page: Any) -> list[str]:
    """Return words of figures in letters that are too small."""
    script = """smallest => [...document.querySelectorAll("svg text")].filter(e => {
            const svg = e.ownerSVGElement;
            const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
            return scale * parseFloat(getComputedStyle(e).fontSize) < smallest;
        }).map(e => e.textContent)"""
    found: list[str] = page.evaluate(script, SMALLEST)
    return found


def lightest_paper(page: Any) -> bool:
    """Return whether what is behind the text is white, and the text black."""
    script = (
        """() => [getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"""
    )
    return bool(page.evaluate(script) == ["rgb(255, 255, 255)", "rgb(0, 0, 0)"])


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian's package chromium)")
@pytest.mark.parametrize(
    "name",
    # Those two are the longest, of parts that others have too.
    [
        pytest.param(name, marks=pytest.mark.nightly)
        if name in ("four_filters", "several_detectors")
        else name
        for name in ENDINGS
    ],
)
def test_every_ending_can_be_read_wide_narrow_dark_and_printed(
    documents: dict[str, str], tmp_path: Path, name: str
) -> None:
    file = tmp_path / f"{name}.html"
    file.write_text(documents[name], encoding="utf-8")
    axe = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js")
    with browsing() as page:
        page.goto(file.as_uri())
        page.evaluate(axe.read_text(encoding="utf-8"))
        # Given a screen and a phone, by day and at night
        for width, scheme in ((1280, "light"), (1280, "dark"), (MOBILE, "light"), (MOBILE, "dark")):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            # Then nothing keeps anybody from reading it; colours do not
            # depend on the width
            if (width == MOBILE) is (scheme == "dark"):
                assert seen_wrong_by_axe(page) == []
            assert narrow_cells(page) == []
            # and nothing is cut off, or moves sideways without a sign
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert scrolled_without_a_sign(page) == [] and cut_off(page) == []
            assert small_text(page) == []
        # and on paper it is black on white, though it is night,
        page.set_viewport_size({"width": PAPER, "height": 900})
        page.emulate_media(media="print", color_scheme="dark")
        assert lightest_paper(page)
        assert narrow_cells(page) == [] and cut_off(page) == []
        # what is folded is there, and links are not
        assert page.evaluate("document.querySelector('details dd').checkVisibility()")
        assert not page.evaluate("document.querySelector('nav').checkVisibility()")


def test_the_stages_on_the_page_give_a_cause_in_full_once() -> None:
    # Given a job that failed, which five stages need
    document = ENDINGS["failed_job"]()
    (failed,) = [one for one in document.report.stages if one.outcome is Outcome.FAILED]
    reasons = [one.reason for one in stage_rows(document.report)]
    # Then the first one says why, and the others which that was
    assert reasons.count(failed.reason) == 1 and sum(failed.reason in each for each in reasons) == 1
    assert reasons.count("because generate BIAS ended FAILED") == 5
    # and so it is where the script failed
    reasons = [one.reason for one in stage_rows(ENDINGS["failed_script"]().report)]
    assert sum("no data from the REB" in each for each in reasons) == 1
    assert reasons.count("as expose DARK") == 3
    # and JSON and text have what they had
    assert sum(failed.reason in one.reason for one in document.report.stages) == 6
