# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What leaves the bands of earlier runs is worth a warning."""

from __future__ import annotations

import dataclasses
import itertools
import random
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from lsst.ts.calibrationscripts import trend
from lsst.ts.calibrationscripts.cli import main
from lsst.ts.calibrationscripts.codec import write_document
from lsst.ts.calibrationscripts.instruments import LATISS, ImageType
from lsst.ts.calibrationscripts.outcomes import AmplifierDefects, DetectorDefects, Gain, RunState
from lsst.ts.calibrationscripts.pages import trend_page
from lsst.ts.calibrationscripts.pages._trend_plot import spread
from lsst.ts.calibrationscripts.report import Evidence, Place, RunDocument, RunReport, Span, Statistics
from lsst.ts.calibrationscripts.reporting import unlike_earlier
from lsst.ts.calibrationscripts.simulation.observatory import (
    SimulatedObservatory,
    SimulationSettings,
    WorkFolderError,
)
from lsst.ts.calibrationscripts.simulation.repository import RepositoryKind
from lsst.ts.calibrationscripts.trend import BIAS_LEVEL, GAIN, READ_NOISE, Band, History, Key, Run
from named import BIAS, stage
from test_verification import AMPLIFIERS

DAY = 86_400.0
C00, C01 = (Key(READ_NOISE, "ADU", 0, amplifier) for amplifier in AMPLIFIERS[:2])


def history_of(*values: float, key: Key = C00) -> History:
    return History.of(Run(f"run {i}", i * DAY, {key: value}) for i, value in enumerate(values))


def document_of(
    day: int, noise: float = 6.5, repo: str = "/repo/LATISS", seed: int | None = None
) -> RunDocument:
    """Return what is left by a run whose biases have a noise (ADU)."""
    chance = random.Random(day if seed is None else seed)  # noqa: S311 - only to look like noise
    places = tuple(Place(0, "RXX_S00", amplifier) for amplifier in AMPLIFIERS)
    row = tuple(noise * chance.gauss(1, 0.002) for _ in places)
    statistics = Statistics(
        BIAS,
        "ADU",
        (1, 2, 3),
        places,
        {"NOISE": (row, row, tuple(None for _ in places))},
        level=tuple(chance.gauss(1000, 1) for _ in places),
    )
    report = RunReport(
        state=RunState.DONE,
        run_id=f"run-{day:02d}",
        timeline=(Span(stage("expose BIAS"), day * DAY, day * DAY + 60),),
        config={"repo": repo},
    )
    return RunDocument(report, Evidence(statistics=(statistics,)))


def warnings_of(earlier: Iterable[RunDocument], now: RunDocument) -> tuple[str, ...]:
    """Return what of a run is unlike those that have left their JSON."""
    with tempfile.TemporaryDirectory() as folder:
        for i, document in enumerate(earlier):
            (Path(folder) / f"{i}.json").write_text(write_document(document))
        warnings, problems = unlike_earlier(now, Path(folder))
    assert problems == ()
    return warnings


def test_bands_are_median_and_scaled_deviation() -> None:
    # Given five runs, one of them wild
    history = history_of(10.0, 10.1, 9.9, 10.2, 50.0)
    # Then it moves neither the centre nor the width much
    assert history.bands[C00] == pytest.approx(Band(10.1, 1.4826 * 0.1 * 1.206 * 1.146), rel=1e-3)


def test_four_runs_give_no_band() -> None:
    assert history_of(1.0, 2.0, 3.0, 4.0).bands == {}


def test_an_amplifier_is_allowed_the_scatter_of_its_neighbours() -> None:
    # Given an amplifier whose few values agree by chance
    keys = [Key(READ_NOISE, "ADU", 0, amplifier) for amplifier in AMPLIFIERS]
    values = (10.0, 10.1, 9.9, 10.2, 9.8)
    history = History.of(
        Run(str(i), i, {key: 10.0 if key == C00 else value for key in keys}) for i, value in enumerate(values)
    )
    assert history.bands[C00] == Band(10.0, history.bands[C01].sigma)


def test_what_leaves_three_and_five_sigma_is_told_once_a_quantity() -> None:
    keys = [Key(READ_NOISE, "ADU", 0, amplifier) for amplifier in AMPLIFIERS]
    history = History.of(
        Run(str(i), i, dict.fromkeys(keys, value))
        for i, value in enumerate((6.4, 6.5, 6.5, 6.5, 6.6, 6.6, 6.4))
    )
    sigma = history.bands[C00].sigma
    values = dict.fromkeys(keys, 6.5 + 2.9 * sigma) | {keys[4]: 6.5 + 4 * sigma, keys[9]: 6.5 - 6 * sigma}
    (warning,) = trend.outliers(history, Run("now", 9.0, values))
    assert warning.startswith(
        "Read noise is unlike earlier runs in 2 of 16 amplifiers (beyond 3 sigma; 1 beyond 5):"
    )
    assert "C11 5.3779 ADU (-6.0 sigma from 6.5), C04 7.2481 ADU (+4.0 sigma from 6.5)." in warning


def test_any_change_is_told_where_earlier_runs_all_agree() -> None:
    history = history_of(*[5.0] * 5)
    assert trend.outliers(history, Run("now", 9.0, {C00: 5.0})) == ()
    assert "+inf sigma" in trend.outliers(history, Run("now", 9.0, {C00: 5.1}))[0]


def test_values_come_from_evidence_and_gains() -> None:
    document = document_of(3)
    gains = tuple(Gain((1, 2), 5.0, 0, "C00", gain, 7.0) for gain in (1.0, 1.2, None))
    run = Run.of(dataclasses.replace(document, report=dataclasses.replace(document.report, gains=gains)))
    assert run is not None and run.time == 3 * DAY
    alike = "external verification, 3 frames, generation not known"
    assert run.values[C00._replace(conditions=alike)] == pytest.approx(6.5, rel=0.02)
    assert run.values[Key(BIAS_LEVEL, "ADU", 0, "C00")] == pytest.approx(1000, abs=5)
    alike = "filter not known, 1 pair(s), generation not known"
    assert run.values[Key(GAIN, "e-/ADU", 0, "C00", alike)] == pytest.approx(1.1)


def document_with_defects(day: int, area: int, n_boxes: int, **config: str) -> RunDocument:
    amplifiers = tuple(AmplifierDefects(name, 1_000_000, area) for name in AMPLIFIERS)
    ids = tuple(2026112300001 + i for i in range(8))
    report = RunReport(
        state=RunState.DONE,
        run_id=f"run-{day:02d}",
        timeline=(Span(stage("expose FLAT"), day * DAY, day * DAY + 60),),
        config={"repo": "/repo/LATISS", **config},
        exposures={ImageType.BIAS: ids[:3], ImageType.DARK: ids[3:5], ImageType.FLAT: ids[5:]},
        discarded={ImageType.BIAS: ids[:1]},
        defects=(DetectorDefects(0, "uuid", n_boxes, amplifiers),),
    )
    return RunDocument(report)


def test_number_and_area_of_defects_are_followed() -> None:
    # Given runs whose defects are the same but for chance, and all of a sort
    earlier = [document_with_defects(day, 1000 + day % 3, 100) for day in range(6)]
    assert warnings_of(earlier, document_with_defects(7, 1040, 125)) == ()
    # When an amplifier's area and the number of boxes grow by more than that
    area, number = warnings_of(earlier, document_with_defects(7, 1500, 140))
    assert area.startswith(
        "Area of defects is unlike earlier runs in 16 of 16 amplifiers (beyond 3 sigma; 16 beyond 5): "
        "C00 1500 pixels (+15.8 sigma from 1001)"
    )
    assert number == (
        "Number of defects is unlike earlier runs in 1 of 1 detectors (beyond 3 sigma; 0 beyond 5): "
        "whole detector 140 boxes (+4.0 sigma from 100). Compared with 6 runs alike: 2 biases, 2 darks, "
        "3 flats, generation not known."
    )
    # Then only runs alike count
    assert warnings_of(earlier, document_with_defects(7, 1500, 140, pipeline_generation="2022")) == ()


def test_defects_are_in_the_page_of_the_trend() -> None:
    documents = [document_with_defects(day, 1000 + day, 100) for day in range(6)]
    page = trend_page(History.of(run for run in map(Run.of, documents) if run))
    assert "Area of defects (pixels)" in page and "Number of defects (boxes)" in page


def test_a_run_without_evidence_has_its_gains_and_one_without_frames_no_time() -> None:
    bare = RunReport(state=RunState.DONE, run_id="a", exposures={ImageType.BIAS: (2026112300001,)})
    run = Run.of(RunDocument(bare))
    assert run is not None and run.values == {} and run.time > 0
    assert Run.of(RunDocument(RunReport(state=RunState.FAILED, run_id="b"))) is None


def test_only_earlier_runs_on_the_same_repository_count() -> None:
    earlier = [document_of(day) for day in range(6)]
    now = document_of(7, noise=7.5)
    assert "Read noise is unlike earlier runs in 16 of 16" in warnings_of(earlier, now)[0]
    # Later runs, itself, other repositories and too few runs say nothing
    assert warnings_of([document_of(day) for day in range(8, 14)], now) == ()
    assert warnings_of([*earlier[:4], now], now) == ()
    assert warnings_of([document_of(day, repo="/repo/main") for day in range(6)], now) == ()


def test_runs_of_another_scale_are_on_another_repository_and_so_apart(tmp_path: Path) -> None:
    # Given a work folder whose frames have a scale, it takes no other
    here = SimulatedObservatory(tmp_path, instrument=LATISS, settings=SimulationSettings(scale=8))
    with pytest.raises(WorkFolderError, match="scale"):
        here._check(RepositoryKind("LATISS", 16, 1, "current"))
    # so that runs of two scales are on two repositories, which are apart.
    earlier = [document_of(day, repo=str(here.repo)) for day in range(6)]
    assert warnings_of(earlier, document_of(7, noise=7.5, repo=str(here.repo)))
    assert not warnings_of(earlier, document_of(7, noise=7.5, repo="/another/folder/repo"))


def internally(document: RunDocument, n_frames: int = 3) -> RunDocument:
    """Return a run that was verified with what it made of its frames."""
    config = {**document.report.config, "generate_calibrations": True}
    assert document.evidence is not None
    [bias] = document.evidence.statistics
    some = dataclasses.replace(bias, exposures=tuple(range(n_frames)))
    return RunDocument(dataclasses.replace(document.report, config=config), Evidence(statistics=(some,)))


def test_an_internal_verification_is_not_compared_with_external_ones() -> None:
    # Given daily runs, and one that was verified with its own bias: a twelfth
    # of the noise of its frames is missing
    earlier = [document_of(day) for day in range(8)]
    now = internally(document_of(9, noise=6.5 * (1 - 1 / 12) ** 0.5), 12)
    assert warnings_of(earlier, now) == ()
    # And as soon as there are enough of its kind, it is compared with those
    alike = [internally(document_of(day, noise=6.22), 12) for day in range(5)]
    assert warnings_of([*earlier, *alike], now) == ()
    [warning] = warnings_of([*earlier, *alike], internally(document_of(9, noise=7.0), 12))
    assert warning.startswith("Read noise is unlike earlier runs in 16 of 16 amplifiers")
    assert warning.endswith(
        "Compared with 5 runs alike: internal verification, 12 frames, generation not known."
    )


def test_other_numbers_of_frames_filters_and_generations_are_not_compared() -> None:
    def run_of(filter_: str, generation: str, n_frames: int) -> Run:
        gains = tuple(
            Gain((1, 2), 5.0, 0, amplifier, 1.1, None, physical_filter=filter_) for amplifier in AMPLIFIERS
        )
        document = internally(document_of(1), n_frames)
        config = {**document.report.config, "pipeline_generation": generation}
        run = Run.of(
            dataclasses.replace(
                document, report=dataclasses.replace(document.report, gains=gains, config=config)
            )
        )
        assert run is not None
        return run

    base = set(run_of("r", "current", 12).values)
    assert len(base) == 48
    # The level of the overscan is that of the raw frames
    assert {key.quantity for key in base & set(run_of("r", "2022", 12).values)} == {BIAS_LEVEL}
    assert {key.quantity for key in base & set(run_of("r", "current", 20).values)} == {BIAS_LEVEL, GAIN}
    assert {key.quantity for key in base & set(run_of("i", "current", 12).values)} == {BIAS_LEVEL, READ_NOISE}


def test_what_is_beyond_3_sigma_is_a_note_and_beyond_5_a_warning_and_no_failure() -> None:
    history = history_of(6.4, 6.5, 6.5, 6.5, 6.6, 6.6, 6.4)
    sigma = history.bands[C00].sigma
    for n_sigma, is_far, word in ((4, False, "Note"), (6, True, "Warning")):
        run = Run("now", 9 * DAY, {C00: 6.5 + n_sigma * sigma})
        [remark] = trend.remarks(history, run)
        assert remark.is_far is is_far
        page = trend_page(History.of([*history.runs, run]))
        assert f'<p class="{word.lower()}">{word}: Read noise is unlike' in page
        assert 'class="held"' not in page and 'class="failed"' not in page


def test_runs_of_one_day_are_drawn_apart() -> None:
    # Given ten runs within an hour, after one a month before
    times = [0.0, *(30 * DAY + 360 * i for i in range(10))]
    places = spread(times)
    steps = [later - earlier for earlier, later in itertools.pairwise(places)]
    assert min(steps) >= (places[-1] - places[0]) / 30
    # And those that are apart are where they belong
    assert spread([0.0, DAY, 3 * DAY]) == [0.0, 1.0, 3.0]
    assert spread([5 * DAY]) == [5.0]


def test_axes_have_no_offsets() -> None:
    # Given a bias level of which only the last digits change
    key = Key(BIAS_LEVEL, "ADU", 0, "C00")
    page = trend_page(history_of(*(21_234.001 + i / 1000 for i in range(7)), key=key))
    assert "21234.00" in page and "+2.123" not in page and "1e4" not in page


def test_runs_that_are_alike_are_seldom_warned_of() -> None:
    # Given 200 times 5 runs that differ by chance alone, and one more
    chance = random.Random(4)  # noqa: S311 - only to look like noise
    keys = [Key(READ_NOISE, "ADU", 0, amplifier) for amplifier in AMPLIFIERS]
    departures: list[float] = []
    for _ in range(200):
        runs = [Run(str(i), i, {key: chance.gauss(6.5, 0.01) for key in keys}) for i in range(6)]
        departures += trend.departures(History.of(runs[:5]), runs[5]).values()
    # Then few of their values are beyond 3 sigma, and hardly any beyond 5
    assert sum(abs(departure) > 3 for departure in departures) / len(departures) < 0.012
    assert sum(abs(departure) > 5 for departure in departures) / len(departures) < 0.001


def calibscripts(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


def write_runs(folder: Path, documents: list[RunDocument]) -> None:
    for document in documents:
        (folder / f"{document.report.run_id}.json").write_text(write_document(document))


def test_the_page_shows_bands_and_what_leaves_them(tmp_path: Path) -> None:
    write_runs(tmp_path, [*(document_of(day) for day in range(6)), document_of(7, noise=7.5)])
    (tmp_path / "broken.json").write_text("{")
    page = tmp_path / "trend.html"
    result = calibscripts("trend", "--journals", tmp_path, "-o", page)
    assert result.exit_code == 0, result.stderr
    document = page.read_text()
    assert "trend of 7 runs" in document and "Read noise is unlike earlier runs" in document
    assert "Bias level (ADU) by amplifier" in document
    assert "://" not in document and "<script" not in document


def test_too_few_runs_are_shown_without_bands(tmp_path: Path) -> None:
    write_runs(tmp_path, [document_of(day) for day in range(3)])
    page = tmp_path / "trend.html"
    assert calibscripts("trend", "--journals", tmp_path, "-o", page).exit_code == 0
    assert "it takes 5 earlier runs, and there are 2." in page.read_text()


def test_no_runs_are_no_traceback(tmp_path: Path) -> None:
    result = calibscripts("trend", "--journals", tmp_path)
    assert result.exit_code == 2 and "no run has left any values" in result.stderr
    result = calibscripts("trend", "--journals", tmp_path, "--repo", tmp_path / "none")
    assert result.exit_code == 2 and "could not be read" in result.stderr


def test_many_amplifiers_are_chosen_from() -> None:
    keys = [Key(GAIN, "e-/ADU", detector, amplifier) for detector in range(9) for amplifier in AMPLIFIERS]
    history = History.of(
        Run(str(i), i * DAY, dict.fromkeys(keys, 1.0 + i % 3 / 100) | {keys[77]: 2.0 if i == 8 else 1.0})
        for i in range(9)
    )
    document = trend_page(history)
    assert "detector 4, C15" in document
    assert "128 amplifiers that are closer to their earlier values are left out." in document
