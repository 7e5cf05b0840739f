# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is due, from plain records.

That look-ups are those of the Butler is shown on a repository, in
observatory/test_due_repository.py.
"""

from __future__ import annotations

import dataclasses
import importlib.resources
import itertools
import json
import random
import shlex
import shutil
import textwrap
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from lsst.ts.calibrationscripts.config import CalibrationConfig, parse
from lsst.ts.calibrationscripts.decertification import Unit, Valid, iso
from lsst.ts.calibrationscripts.due import (
    PRODUCTS,
    DueReport,
    Finding,
    Judged,
    Origin,
    Policy,
    PolicyError,
    Proposal,
    Remark,
    Setting,
    State,
    Stock,
    Taken,
    due_json,
    due_text,
    find,
    judge,
    origins,
    propose,
    read_policy,
    without_repeats,
)
from lsst.ts.calibrationscripts.instruments import INSTRUMENTS, LATISS
from lsst.ts.calibrationscripts.outcomes import RunState
from lsst.ts.calibrationscripts.pages import due_page
from lsst.ts.calibrationscripts.record import Decision, DecisionKind, RunRecord
from lsst.ts.calibrationscripts.report import RunDocument, RunReport
from lsst.ts.calibrationscripts.spoilt import Mark, MarkKind
from named import BIAS
from test_proof import PROOF

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

DAY = 86_400 * 10**9
NOON = 20_000 * DAY + DAY // 2
"""When the observing day 2024-10-04 begins."""

NOW = NOON + DAY // 3
RED, BLUE = "SDSSr_65mm~empty", "SDSSg_65mm~empty"
CHAIN, DAILY, OFFICIAL = "LATISS/calib", "LATISS/calib/daily", "LATISS/calib/official"
EVER = (0, 2**62)


def taken(day: float = 0, kind: str = "science", physical_filter: str = RED, length: int = 30) -> Taken:
    """Return an exposure of the night that began so many days after `NOON`."""
    begin = NOON + round(day * DAY)
    return Taken(20241004_00000 + round(day * 100), (begin, begin + length * 10**9), physical_filter, kind)


def valid(begin: float, end: float, run: str = "u/ocps/a1/run", dataset: str = "5f2b") -> Valid:
    return Valid(NOON + round(begin * DAY), NOON + round(end * DAY), run, dataset)


def stock(
    held: Mapping[str, Mapping[str, Iterable[Valid]]], *collections: str, filters: Iterable[str] = (RED, BLUE)
) -> Stock:
    """Return a stock of a detector: by dataset type and collection."""

    def units(name: str) -> list[Unit]:
        return [Unit(0, each) for each in filters] if name == "flat" else [Unit(0)]

    return Stock(
        collections or (DAILY, OFFICIAL),
        {
            name: {
                collection: {unit: list(valids) for unit in units(name)}
                for collection, valids in of_type.items()
            }
            for name, of_type in held.items()
        },
        chain=CHAIN,
    )


def only(*names: str, **changes: Any) -> Policy:
    return Policy(ignored=frozenset(PRODUCTS) - set(names), **changes)


def states(findings: Iterable[Finding]) -> list[tuple[str, str | None, State, tuple[int, ...]]]:
    return [
        (each.dataset_type, each.physical_filter, each.state, each.exposures)
        for each in findings
        if not each.is_outlook
    ]


# What is looked up


def test_a_frame_looks_up_what_is_applied_to_it() -> None:
    needed = {
        kind: [name for name in PRODUCTS if taken(kind=kind).needs(name)]
        for kind in ("bias", "Dark", "flat", "science", "")
    }
    every = ["bias", "dark", "flat", "defects", "ptc"]
    assert needed == {
        "bias": ["bias"],
        "Dark": ["bias", "dark", "defects", "ptc"],
        "flat": every,
        "science": every,
        "": every,
    }


def test_each_filter_has_flats_of_its_own() -> None:
    exposures = [taken(0.1), taken(0.2, physical_filter=BLUE), taken(0.3, physical_filter=BLUE)]
    held = {"flat": {DAILY: [valid(0, 1)]}}
    found = find(stock(held, filters=[RED]), exposures, [0], only("flat"), NOW)
    assert states(found) == [
        ("flat", BLUE, State.MISSING, (exposures[1].id, exposures[2].id)),
        ("flat", RED, State.FOUND, (exposures[0].id,)),
    ]


@pytest.mark.parametrize(
    ("valids", "state", "reason"),
    [
        ([], State.MISSING, "nothing is certified for it in what is searched"),
        ([(-9, -5), (-4, -2)], State.EXPIRED, "of u/ocps/a1/run, was valid until 2024-10-02T12:00:00"),
        ([(4, 6), (1, 2)], State.LATER, "of u/ocps/a1/run, is valid from 2024-10-05T12:00:00"),
        ([(-4, 0.1001), (0.1001, 5)], State.AMBIGUOUS, "the look-up fails (CalibrationLookupError): in"),
        ([(-4, 5)], State.FOUND, ""),
    ],
)
def test_why_nothing_is_found_is_said(valids: list[tuple[float, float]], state: State, reason: str) -> None:
    held = {"bias": {OFFICIAL: [valid(*each) for each in valids]}}
    found = find(stock(held), [taken(0.1)], [0], only("bias"), NOW)
    (judged,) = [each for each in judge(found, {}, (), only("bias")) if not each.finding.is_outlook]
    assert judged.finding.state is state
    assert reason in judged.due and bool(judged.due) == bool(reason)


def test_the_first_collection_that_has_one_wins() -> None:
    held = {"bias": {DAILY: [valid(0, 1, "new")], OFFICIAL: [valid(-99, 99, "old")]}}
    exposures = [taken(-1), taken(0.5), taken(1)]
    found = [each for each in find(stock(held), exposures, [0], only("bias"), NOW) if each.exposures]
    assert [(each.run, each.exposures) for each in found] == [
        ("old", (exposures[0].id, exposures[2].id)),
        ("new", (exposures[1].id,)),
    ]


def test_an_exposure_without_a_time_finds_what_is_always_valid_only() -> None:
    held = {"bias": {DAILY: [Valid(*EVER, "u/ocps/a1/run", "5f2b")]}}
    exposure = dataclasses.replace(taken(), time=None)
    calibration = stock(held)
    (found, _) = find(calibration, [exposure], [0], only("bias"), NOW)
    assert found.state is State.UNTIMED
    assert "does not know when it was taken" in judge([found], {}, (), only("bias"))[0].due
    assert proposed([found], calibration) == ((), ())
    run = dataclasses.replace(calibration, timeless=frozenset({DAILY}))
    assert find(run, [exposure], [0], only("bias"), NOW)[0].state is State.FOUND


# The time to come


def due_names(calibrations: Stock, exposures: Iterable[Taken], policy: Policy, **made: float) -> list[str]:
    findings = find(calibrations, tuple(exposures), [0], policy, NOW)
    times = {(name, "u/ocps/a1/run"): time for name, time in made.items()}
    return [
        f"{'outlook ' if each.finding.is_outlook else ''}{each.finding.name}: {each.due}"
        for each in without_repeats(judge(findings, times, (), policy))
        if each.due
    ]


def test_what_will_end_before_tomorrow_is_due() -> None:
    ending = {"bias": {DAILY: [valid(0, 1)]}}
    (text,) = due_names(stock(ending), [taken(0.1)], only("bias"))
    assert text.startswith("outlook bias: at 2024-10-05T20:00:00 there is none: the last one, of u/ocps/a1")
    # But not if the next one follows
    handed = {"bias": {DAILY: [valid(0, 1)], OFFICIAL: [valid(1, 2)]}}
    assert due_names(stock(handed), [taken(0.1)], only("bias")) == []
    # nor if one looks less far ahead.
    assert due_names(stock(ending), [taken(0.1)], only("bias", ahead=0.5)) == []


def test_what_is_due_of_exposures_is_not_said_twice() -> None:
    assert len(due_names(stock({}), [taken(0.1)], only("bias"))) == 1


def test_what_is_too_old_is_due() -> None:
    held = {"bias": {DAILY: [Valid(*EVER, "u/ocps/a1/run", "5f2b")]}}
    made = (NOON - 10 * DAY) / 1e9
    assert due_names(stock(held), [taken(0)], only("bias", ages={"bias": 12.0}), bias=made) == []
    (soon,) = due_names(stock(held), [taken(0)], only("bias", ages={"bias": 11.0}), bias=made)
    assert soon == "outlook bias: on 2024-10-05 it will be 11.3 days old, more than 11"
    (now,) = due_names(stock(held), [taken(0)], only("bias", ages={"bias": 9.0}), bias=made)
    assert now == "bias: it is 10.0 days old, more than 9"
    assert due_names(stock(held), [taken(0)], only("bias", ages={"bias": None}), bias=made) == []


# Who certified it


def record(*decisions: Decision, **changes: Any) -> RunRecord:
    return RunRecord(
        "20261123T180000-1",
        {"program": "BLOCK-295"},
        certifications=(PROOF.certification,),
        decisions=decisions,
        **changes,
    )


def document() -> RunDocument:
    return RunDocument(RunReport(RunState.DONE, run_id="20261123T180000-1", proofs=(PROOF,)))


def found(known: Iterable[Origin], collection: str = DAILY, run: str = "u/ocps/a1/run") -> Judged:
    finding = Finding("bias", None, State.FOUND, (0,), (1,), (NOW, NOW), collection, run, EVER, ("5f2b",))
    made = {("bias", run): NOW / 1e9 - 86_400}
    (judged,) = judge([finding], made, tuple(known), only("bias"))
    return judged


def test_a_run_says_its_verdict_and_that_it_certified_it() -> None:
    judged = found(origins(record(), document()))
    assert judged.verdict == "passed, 0 of 2 exposures failed"
    assert judged.certified_by == "run 20261123T180000-1 (BLOCK-295)"


def test_who_accepted_it_is_named() -> None:
    accepted = Decision(DecisionKind.ACCEPT, BIAS, "ann@summit", 1.0, "fine", "", PROOF.certification)
    assert found(origins(record(accepted), document())).certified_by == "ann@summit"


def test_what_others_made_or_certified_is_not_by_this_product() -> None:
    nothing = found(())
    assert (nothing.verdict, nothing.certified_by) == ("not by this product", "not by this product")
    elsewhere = found(origins(record(), document()), collection=OFFICIAL)
    assert elsewhere.verdict.startswith("passed") and elsewhere.certified_by == "not by this product"


def test_without_its_json_a_run_is_known_by_its_journal() -> None:
    judged = found(origins(record(), None))
    assert judged.verdict == "not known: the run has left no JSON"
    assert judged.certified_by.startswith("run 20261123T180000-1")
    assert found(origins(record(), None), run="u/ocps/a11/run").origin is None


def test_age_counts_from_the_frames_where_they_are_known() -> None:
    assert found(()).age == pytest.approx(1.0)
    frames = found(origins(record(), document()))
    assert frames.age == max(0.0, (NOW / 1e9 - PROOF.end) / 86_400)


# Configurations


def configuration(proposal: Proposal) -> CalibrationConfig:
    """Return it as the script would read it."""
    return parse(proposal.text, LATISS)


def proposed(
    due: Iterable[Finding], calibrations: Stock, searched: tuple[str, ...] = (CHAIN,), **changes: Any
) -> tuple[tuple[Proposal, ...], tuple[Remark, ...]]:
    setting = Setting(LATISS, LATISS.repo, searched, Policy())
    return propose(tuple(due), dataclasses.replace(setting, **changes), calibrations, NOW)


def judged_of(calibrations: Stock, exposures: Iterable[Taken], policy: Policy) -> list[Finding]:
    findings = find(calibrations, tuple(exposures), [0], policy, NOW)
    made = {
        (name, each.run): (NOW if each.run.startswith("new ") else each.begin) / 1e9
        for name, held in calibrations.held.items()
        for of_unit in held.values()
        for valids in of_unit.values()
        for each in valids
    }
    return [each.lacking for each in judge(findings, made, (), policy) if each.due]


def after(calibrations: Stock, proposals: Iterable[Proposal]) -> Stock:
    """Return what is there once configurations have certified."""
    held = {
        name: {
            where: {unit: list(valids) for unit, valids in units.items()} for where, units in of_type.items()
        }
        for name, of_type in calibrations.held.items()
    }
    collections = calibrations.collections
    for proposal in proposals:
        config = configuration(proposal)
        # As the remark says.
        if config.calib_collection not in collections:
            collections = (config.calib_collection, *collections)
        made = set(config.script_mode.lower().split("_")) if config.generate_calibrations else set()
        made |= {name for name in ("defects", "ptc") if getattr(config, f"do_{name}")}
        begin, end = (
            int(time.mktime(time.strptime(date, "%Y-%m-%dT%H:%M:%S")) - time.timezone) * 10**9
            for date in (config.certify_calib_begin_date, config.certify_calib_end_date)
        )
        filters = [
            s.part or f"{config.filter}~{config.grating}" for s in config.series if s.image_type == "FLAT"
        ]
        for name in made:
            units = [Unit(0)]
            if name == "flat":
                units = [Unit(0, each.replace("empty_1", "empty")) for each in filters]
            for unit in units:
                there = held.setdefault(name, {}).setdefault(config.calib_collection, {}).setdefault(unit, [])
                new = Valid(begin, end, f"new {name}", "new")
                assert not any(each.overlaps(begin, end) for each in there), "nothing is certified twice"
                there.append(new)
    return dataclasses.replace(calibrations, held=held, collections=collections)


SITUATIONS = {
    "nothing is there": {},
    "it has ended": {name: {DAILY: [valid(-9, -5)]} for name in PRODUCTS},
    "it begins later": {name: {DAILY: [valid(9, 12)]} for name in PRODUCTS},
    "it is too old": {name: {OFFICIAL: [valid(-200, 200)]} for name in PRODUCTS},
    "it is too old, and is found first": {name: {DAILY: [valid(-200, 200)]} for name in PRODUCTS},
    "it is ambiguous": {name: {DAILY: [valid(-1, -0.4999), valid(-0.4999, 9)]} for name in PRODUCTS},
    "it will end": {name: {DAILY: [valid(-9, 1)]} for name in PRODUCTS},
}


@pytest.mark.parametrize("what", SITUATIONS)
@pytest.mark.parametrize(
    "names",
    [names for n in range(1, 6) for names in itertools.combinations(PRODUCTS, n)],
    ids=lambda names: "+".join(names),
)
def test_the_configurations_are_accepted_and_close_the_gap(names: tuple[str, ...], what: str) -> None:
    exposures = [taken(-0.5, length=30), taken(0.1), taken(0.2, physical_filter=BLUE)]
    if what == "it is ambiguous":
        exposures = [taken(-0.5), taken(-0.5, physical_filter=BLUE)]
    policy = only(*names)
    before = stock(SITUATIONS[what])
    due = judged_of(before, exposures, policy)
    assert {each.dataset_type for each in due} == set(names)
    proposals, remarks = proposed(due, before)
    assert proposals and len(remarks) <= 1
    assert judged_of(after(before, proposals), exposures, policy) == []
    # And none of it could be left out.
    for left_out in range(len(proposals)):
        fewer = [each for number, each in enumerate(proposals) if number != left_out]
        assert judged_of(after(before, fewer), exposures, policy) != []


def which(calibrations: Stock, exposures: Iterable[Taken], policy: Policy) -> dict[int, str]:
    """Return what each exposure finds, and since when that is made."""
    return {
        one: f"{each.state} {each.run} {each.valid}"
        for each in find(calibrations, tuple(exposures), [0], policy, NOW)
        for one in each.exposures
    }


@pytest.mark.parametrize("seed", range(40))
def test_what_closes_a_gap_replaces_nothing_that_other_nights_find(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - nothing secret
    edges = sorted(chance.sample(range(-60, 12), 8))
    ranges = [pair for pair in itertools.pairwise(edges) if chance.random() < 0.7]
    placed = {name: [valid(*pair, f"u/{name[-3:]}/{pair[0]}") for pair in ranges[i::2]]
              for i, name in enumerate((DAILY, OFFICIAL))}  # fmt: skip
    before = stock({"bias": placed})
    policy = only("bias", ages={"bias": 12.0})
    exposures = [taken(night + hour) for night in range(-50, 1) for hour in (0.2, 0.6) if night + hour < 0.3]

    due = judged_of(before, exposures, policy)
    lacking = {one for each in due for one in each.exposures if taken_at(each, one, exposures)}
    proposals, _ = proposed(due, before)
    now = after(before, proposals)

    assert judged_of(now, exposures, policy) == []
    # What ends tomorrow is replaced from the beginning of this night on.
    nights = {one // 100 for one in lacking} | {taken(0.1).id // 100}
    kept = [each for each in exposures if each.id // 100 not in nights]
    assert which(now, kept, policy) == which(before, kept, policy)


def taken_at(finding: Finding, exposure: int, exposures: Iterable[Taken]) -> bool:
    """Return whether an exposure of a finding lacks something itself."""
    return any(each.id == exposure and each.time and each.time[0] >= finding.time[0] for each in exposures)


def test_a_gap_weeks_ago_is_closed_for_its_night_alone() -> None:
    held = {"bias": {DAILY: [valid(-40, -20, "u/old"), valid(-19, 9, "u/new")]}}
    (proposal,), _ = proposed(judged_of(stock(held), [taken(-19.7)], only("bias")), stock(held))
    config = configuration(proposal)
    assert config.certify_calib_begin_date == iso(NOON - 20 * DAY)
    assert config.certify_calib_end_date == iso(NOON - 19 * DAY)
    assert config.calib_collection == DAILY and "for the days below alone" in proposal.text


def test_what_has_become_too_old_is_replaced_from_that_day_on() -> None:
    held = {"bias": {DAILY: [valid(-31, 60)]}}
    exposures = [taken(night + 0.3) for night in range(-30, 0)]
    (proposal,), _ = proposed(judged_of(stock(held), exposures, only("bias")), stock(held))
    # It is 30 days old at noon: only the last night is later.
    assert configuration(proposal).certify_calib_begin_date == iso(NOON - DAY)


@pytest.mark.parametrize(
    ("names", "mode"),
    [
        ("bias", "BIAS"),
        ("dark", "DARK"),
        ("flat", "FLAT"),
        ("bias dark", "BIAS_DARK"),
        ("bias flat", "BIAS_DARK_FLAT"),
        ("ptc", "BIAS_DARK_FLAT"),
    ],
)
def test_no_more_is_taken_than_is_due(names: str, mode: str) -> None:
    due = judged_of(stock({}), [taken(0.1)], only(*names.split()))
    (proposal,), _ = proposed(due, stock({}))
    config = configuration(proposal)
    assert config.script_mode == mode
    assert config.generate_calibrations == (names != "ptc")
    written = yaml.safe_load(proposal.text)
    assert ("detectors" in written, "repo" in written, "input_collections_bias" in written) == (False,) * 3


def test_more_filters_than_a_configuration_can_have_make_several() -> None:
    exposures = [taken(0.01 * i, physical_filter=f"filter{i}~empty") for i in range(15)]
    due = judged_of(stock({}), exposures, only("bias", "flat"))
    proposals, _ = proposed(due, stock({}, OFFICIAL))
    configs = [configuration(each) for each in proposals]
    assert [config.script_mode for config in configs] == ["BIAS_DARK_FLAT", "FLAT"]
    assert [len(config.flat_sets or ()) for config in configs] == [12, 3]
    # The second one uses the bias of the first.
    written = yaml.safe_load(proposals[1].text)
    assert written["input_collections_flat"] == f"{DAILY}/calib.2024OCT04.1,{CHAIN}"


def test_a_curve_needs_pairs_of_flats() -> None:
    exposures = [taken(0.1), taken(0.2, physical_filter=BLUE)]
    due = judged_of(stock({}), exposures, only("flat", "ptc", "defects"))
    (proposal,), _ = proposed(due, stock({}))
    config = configuration(proposal)
    assert config.do_ptc and config.do_defects and config.flat_sets
    assert [len(series.exp_times) - series.n_discard for series in config.series][2:] == [14, 20]


def test_flats_that_cannot_be_set_are_named_and_the_others_proposed() -> None:
    exposures = [taken(0.1), taken(0.2, physical_filter="unknown"), taken(0.3, physical_filter="unknown~x")]
    exposures += [
        taken(0.4 + i / 100, physical_filter=name)
        for i, name in enumerate(["a b~c", "3~empty", "x~", "$a~b", "x" * 101 + "~b", "None~b"])
    ]
    due = judged_of(stock({}), exposures, only("flat"))
    (proposal,), remarks = proposed(due, stock({}))
    assert proposal.closes == (f"flat {RED}",)
    texts = [remark.text for remark in remarks]
    assert sum(text.startswith("No configuration can set") for text in texts) == 8
    assert [text for text in texts if text.startswith("No configuration can set unknown:")]
    assert [text for text in texts if "set unknown~x: this does not name what is in filter and" in text]
    none, remarks = proposed([each for each in due if each.physical_filter == "unknown"], stock({}))
    assert none == () and len(remarks) == 1


def test_flats_get_the_exposure_time_of_the_newest_ones_through_their_filter() -> None:
    # Given a filter whose flats are known to last 2.5 s, and one without flats
    exposures = [taken(0.1, physical_filter=each) for each in (RED, BLUE)]
    due = judged_of(stock({}), exposures, only("flat"))
    (proposal,), _ = proposed(due, stock({}), flat_times={RED: 2.5})
    config = configuration(proposal)
    times = {s.part.partition("~")[0]: set(s.exp_times) for s in config.series}
    default = configuration(proposed(due, stock({}))[0][0]).series[0].exp_times
    assert times == {"SDSSr_65mm": {2.5}, "SDSSg_65mm": {*default}}
    # and it says which is which, in 80 columns
    comments = " ".join(line.lstrip("# ") for line in proposal.text.splitlines() if line.startswith("#"))
    assert "Flats have the exposure time of the newest ones through their filter." in comments
    assert f"How long flats through {BLUE} have to be is not known" in comments
    assert max(map(len, proposal.text.splitlines())) <= 80
    # One filter alone has no sets.
    red = [each for each in due if each.physical_filter == RED]
    (alone,), _ = proposed(red, stock({}), flat_times={RED: 4.0, BLUE: 7.0})
    assert "exp_times_flat: 4\n" in alone.text and "not known" not in alone.text


def test_a_curve_keeps_its_ramp_whatever_flats_were_taken() -> None:
    due = judged_of(stock({}), [taken(0.1)], only("flat", "ptc"))
    (proposal,), _ = proposed(due, stock({}), flat_times={RED: 2.5})
    assert len({*configuration(proposal).exp_times_flat}) > 2
    assert "exposure time of the newest" not in proposal.text


def test_a_camera_without_a_script_gets_no_configuration() -> None:
    due = judged_of(stock({}), [taken(0.1)], only("bias"))
    without = dataclasses.replace(INSTRUMENTS["LSSTCam"], schema=None)
    proposals, remarks = proposed(due, stock({}), instrument=without)
    assert (proposals, remarks) == (
        (),
        (Remark("There is no script for LSSTCam yet: no configuration is proposed."),),
    )


def test_a_camera_whose_filter_stays_gets_one_configuration_for_each_filter() -> None:
    # Given flats of LSSTCam that are due through two filters
    camera = INSTRUMENTS["LSSTCam"]
    frames = [taken(0.1, physical_filter=name) for name in ("r_57", "i_39")]
    due = judged_of(stock({}), frames, only("flat"))
    # When configurations are proposed
    proposals, _ = proposed(due, stock({}), instrument=camera)
    # Then each is valid, has one filter, and says to put it in place first
    assert sorted(parse(each.text, camera).filter or "" for each in proposals) == ["i_39", "r_57"]
    for each in proposals:
        assert f"# First put {parse(each.text, camera).filter} into the light path" in each.text


def test_only_detectors_that_lack_something_are_processed() -> None:
    camera = dataclasses.replace(INSTRUMENTS["LSSTComCam"], schema=LATISS.schema, wheels=())
    full = stock({"bias": {DAILY: [valid(-1, 9)]}})
    due = [
        each
        for each in find(full, [taken(0.1)], list(range(9)), only("bias"), NOW)
        if each.state is State.MISSING
    ]
    (proposal,), _ = proposed(due, full, instrument=camera)
    assert yaml.safe_load(proposal.text)["detectors"] == list(range(1, 9))


def test_other_collections_and_repositories_are_written_down() -> None:
    due = judged_of(stock({}), [taken(0.1)], only("bias"))
    (proposal,), remarks = proposed(
        due, dataclasses.replace(stock({}, OFFICIAL), chain=None), ("a", "b"), repo="/repo/main"
    )
    config = configuration(proposal)
    assert config.repo == "/repo/main"
    assert yaml.safe_load(proposal.text)["input_collections_verify_bias"] == "a,b"
    assert remarks[0].text.endswith(f"--collections {DAILY}/calib.2024OCT04.1,a,b")


def test_a_name_that_is_taken_is_not_proposed() -> None:
    name = f"{DAILY}/calib.2024OCT04."
    taken_names = dataclasses.replace(stock({}, OFFICIAL), taken=frozenset({f"{name}1", f"{name}2"}))
    due = judged_of(taken_names, [taken(0.1)], only("bias"))
    (proposal,), (remark,) = proposed(due, taken_names)
    assert proposal.collection == f"{name}3"
    assert remark.command == f"butler collection-chain --mode prepend {LATISS.repo} {CHAIN} {name}3"


# The policy


def test_a_policy_says_how_old_each_may_become() -> None:
    policy = read_policy("bias: 7\nptc: null\nahead: 0.5\nignore: [defects]\n")
    assert policy.ages == {"bias": 7, "dark": 30, "flat": 30, "defects": 90, "ptc": None}
    assert policy.ahead == 0.5 and policy.dataset_types == ("bias", "dark", "flat", "ptc")
    assert read_policy("") == read_policy("# nothing\n") == Policy()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bais: 7", "bais: unknown; did you mean bias?"),
        ("7: 7", "7: unknown; write one of bias, dark, flat, defects, ptc, ahead, ignore"),
        ("bias: week", "bias: 'week': is not a number; write days, such as bias: 30"),
        ("bias: true", "bias: 'True': is not a number"),
        ("bias: .nan", "bias: 'nan': is not a number"),
        ("ahead:", "ahead: 'None': is not a number; write days, such as ahead: 1"),
        ("flat: 0", "flat: 0: is not between 0 and 36500 days"),
        ("flat: -3\ndark: 1e9", "flat: -3: is not between"),
        ("flat: 1", "flat: 1: is not more than ahead, 1, so that it would always be due"),
        ("ignore: ptc", "ignore: 'ptc': is not a list; write, for example, ignore: [ptc, defects]"),
        ("ignore: [pct]", "ignore: pct: unknown; write some of bias, dark, flat, defects, ptc"),
        ("ignore: [bias, dark, flat, defects, ptc]", "ignore: nothing is left to look up"),
        ("- bias", "it is not a mapping: write lines such as 'bias: 30'"),
        ("bias: [", "it is not YAML in line 1"),
        ("bias: 3\nbias: 4", "it is not YAML"),
        ("bias: !!python/object:os.system x", "it is not YAML"),
        ("#" * 20_000, "it has more than 10000 characters"),
    ],
)
def test_a_policy_that_cannot_be_used_is_refused_with_the_remedy(text: str, message: str) -> None:
    with pytest.raises(PolicyError) as refused:
        read_policy(text)
    assert message in str(refused.value)


def test_all_that_is_wrong_with_a_policy_is_said_at_once() -> None:
    with pytest.raises(PolicyError, match=r"bais: unknown.*; dark: 'x'.*; ignore: "):
        read_policy("bais: 7\ndark: x\nignore: 3")


# What is shown


def report(calibrations: Stock, exposures: list[Taken], policy: Policy) -> DueReport:
    findings = find(calibrations, exposures, [0], policy, NOW)
    everything = judge(findings, {("bias", "u/ocps/a1/run"): NOON / 1e9}, (), policy)
    judged = without_repeats(everything)
    setting = Setting(LATISS, LATISS.repo, (CHAIN,), policy)
    proposals, remarks = propose(
        [each.lacking for each in everything if each.due], setting, calibrations, NOW
    )
    ids = tuple(each.id for each in exposures)
    return DueReport(
        "LATISS", LATISS.repo, (CHAIN,), ids, "2024-10-04T20:00:00", policy, judged, proposals, remarks
    )


def test_the_text_fits_a_terminal_and_can_be_copied() -> None:
    exposures = [taken(0.1), taken(0.2, physical_filter=BLUE)]
    shown = report(stock({"bias": {OFFICIAL: [valid(-1, 9)]}}, OFFICIAL), exposures, Policy())
    text = due_text(shown)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80, max(lines, key=len)
    assert "  FOUND: 2 exposures, 2024100400010 to 2024100400020, detector 0" in lines
    assert "! MISSING: 2 exposures, 2024100400010 to 2024100400020, detector 0" in lines
    assert f"Due: dark, flat {BLUE}, flat {RED}, defects, ptc." in lines
    for proposal in shown.proposals:
        assert proposal.text in text
    (remark,) = shown.remarks
    assert (
        shlex.join(shlex.split(text[text.index("butler collection-chain") :].replace("\\\n", "")))
        == remark.command
    )


def test_many_results_are_folded() -> None:
    # Given exposures of twenty nights, each with a bias of its own.
    nightly = [valid(night, night + 1, f"u/ocps/{night}/run") for night in range(-20, 9)]
    calibrations = stock({"bias": {DAILY: nightly}})
    exposures = [taken(-0.5 - night) for night in range(20)]
    lines = due_text(report(calibrations, exposures, only("bias", "dark"))).splitlines()
    assert len(lines) < 40
    assert "  17 other results, found: 17 exposures; --html and --json show them" in lines
    assert sum("FOUND: 1 exposure" in line for line in lines) == 3


@pytest.mark.parametrize(
    "physical_filter",
    [
        "empty~empty",
        "BG40_65mm_1~holo4_003",
        "OG550_65mm_1~blue300lpmm_qn1",
        "SDSSr_65mm~quadnotch1",
    ],
)
def test_every_filter_that_is_mounted_can_be_written(physical_filter: str) -> None:
    exposures = [taken(0.1, physical_filter=physical_filter)]
    due = judged_of(stock({}), exposures, only("flat"))
    (proposal,), _ = proposed(due, stock({}))
    config = configuration(proposal)
    assert f"{config.filter}~{config.grating}" == physical_filter.replace("empty", "empty_1")


def test_exposures_that_are_known_to_be_spoilt_are_named() -> None:
    marks = tuple(
        Mark(2024100400010 + i, MarkKind.LIGHT_LEAK, "0.5 ADU/s <in> 16 amplifiers", run="20241004T1-1")
        for i in range(10)
    )
    shown = dataclasses.replace(report(stock({}), [taken(0.1)], only("bias")), marks=marks)
    text = due_text(shown)
    assert max(map(len, text.splitlines())) <= 80
    assert "10 of the exposures are known to be spoilt:" in text
    assert "2024100400010 LIGHT_LEAK: 0.5 ADU/s <in> 16 amplifiers (noted by run" in text
    assert "and 2 more marks; --html and --json show them" in text
    assert [each["exposure"] for each in due_json(shown)["spoilt"]] == [mark.exposure for mark in marks]
    page = due_page(shown)
    assert page.count("LIGHT_LEAK: 0.5 ADU/s &lt;in&gt; 16 amplifiers") == 10
    # Without any, nothing is said of it.
    assert "spoilt" not in due_text(report(stock({}), [taken(0.1)], only("bias")))


def test_if_nothing_is_due_the_text_says_so() -> None:
    shown = report(stock({"bias": {OFFICIAL: [valid(-1, 9)]}}), [taken(0.1)], only("bias"))
    assert due_text(shown).endswith("Nothing is due.") and shown.proposals == ()


def test_json_has_every_look_up() -> None:
    shown = report(stock({"bias": {OFFICIAL: [valid(-1, 9)]}}), [taken(0.1)], only("bias", "dark"))
    data = json.loads(json.dumps(due_json(shown)))
    bias, dark = data["findings"]
    assert data["due"] is True
    assert (bias["state"], bias["datasets"], bias["valid"]) == (
        "FOUND",
        ["5f2b"],
        ["2024-10-03T12:00:00", "2024-10-13T12:00:00"],
    )
    assert (dark["state"], dark["valid"], dark["age"]) == ("MISSING", None, None)
    assert parse(data["configurations"][0]["text"], LATISS).script_mode == "DARK"


def test_a_thousand_exposures_of_189_detectors_take_seconds() -> None:
    # Given histories that differ for each detector, so that none can be
    # looked up once for all.
    units = [Unit(detector) for detector in range(189)]
    flats = [Unit(detector, each) for detector in range(189) for each in (RED, BLUE)]

    def history(unit: Unit) -> list[Valid]:
        shift = unit.detector / 1000
        return [valid(day + shift, day + shift + 1, f"run {day}", f"{unit} {day}") for day in range(-20, 20)]

    held = {
        name: {DAILY: {unit: history(unit) for unit in (flats if name == "flat" else units)}}
        for name in PRODUCTS
    }
    exposures = [taken(i / 100 - 5, physical_filter=RED if i % 3 else BLUE) for i in range(1000)]
    begin = time.process_time()
    findings = find(Stock((DAILY,), held), exposures, range(189), Policy(), NOW)
    assert time.process_time() - begin < 10
    n_found = sum(len(each.exposures) * len(each.detectors) for each in findings)
    assert n_found == 5 * 1000 * 189


def example() -> DueReport:
    """Return the example of the documentation: one filter lacks flats."""
    noon = 20_780 * DAY + DAY // 2
    now = noon + DAY
    night = [
        Taken(
            2026112300012 + i,
            (noon + (i + 40) * DAY // 100, noon + (i + 40) * DAY // 100 + DAY // 2880),
            *rest,
        )
        for i, rest in enumerate([(RED, "science")] * 8 + [(BLUE, "science")] * 5)
    ]
    daily, run = f"{DAILY}/calib.2026NOV01.1", "u/ocps/7c1d0b{}/20261101T185512Z"
    ours = Valid(noon - 22 * DAY, noon + 8 * DAY, "", "")
    held = {
        name: {
            daily: {Unit(0, RED if name == "flat" else None): [dataclasses.replace(ours, run=run.format(i))]}
        }
        for i, name in enumerate(["bias", "dark", "flat"])
    }
    others = Valid(*EVER, "LATISS/calib/OR4/defectGen", "")
    held |= {name: {OFFICIAL: {Unit(0): [others]}} for name in ("defects", "ptc")}
    calibrations = Stock((daily, OFFICIAL), held, chain=CHAIN, taken=frozenset({daily}))
    findings = find(calibrations, night, [0], Policy(), now)
    made = {(each.dataset_type, each.run): (noon - 22 * DAY) / 1e9 for each in findings}
    made |= {(name, others.run): (noon - 60 * DAY) / 1e9 for name in ("defects", "ptc")}
    known = [
        Origin(
            "20261101T182233-100001",
            "passed, 0 of 20 exposures failed",
            "run 20261101T182233-100001 (BLOCK-295)",
            name,
            run.format(i).rpartition("/")[0],
            daily,
        )
        for i, name in enumerate(["bias", "dark", "flat"])
    ]
    everything = judge(findings, made, known, Policy())
    judged = without_repeats(everything)
    setting = Setting(LATISS, LATISS.repo, (CHAIN,), Policy(), {BLUE: 8.0})
    proposals, remarks = propose(
        [each.lacking for each in everything if each.due], setting, calibrations, now
    )
    ids = tuple(each.id for each in night)
    return DueReport("LATISS", LATISS.repo, (CHAIN,), ids, iso(now), Policy(), judged, proposals, remarks)


def test_the_example_of_the_documentation_is_what_the_program_prints() -> None:
    file = Path(__file__).parents[1] / "doc" / "observers" / "examples" / "due.txt"
    assert file.read_text() == due_text(example()) + "\n"


def test_the_policy_of_the_documentation_is_the_default() -> None:
    page = (Path(__file__).parents[1] / "doc" / "observers" / "found.rst").read_text()
    _, _, section = page.partition(".. _due-policy:")
    text = textwrap.dedent(section.partition(".. code-block:: yaml\n")[2].partition("\n``null``")[0])
    assert read_policy(text) == Policy()
    assert set(yaml.safe_load(text)) == {*PRODUCTS, "ahead", "ignore"}
    assert all(f"``{state}``" in page for state in State)


def test_every_key_of_the_json_is_documented() -> None:
    page = (Path(__file__).parents[1] / "doc" / "reference" / "json.rst").read_text()
    section = page.partition(".. _json-due:")[2].partition(".. _json-doctor:")[0]
    data = due_json(example())
    keys = {*data, *data["findings"][0], *data["configurations"][0]}
    assert {key for key in keys if f"``{key}``" not in section} == set()


def test_the_page_says_what_is_due_and_escapes_names() -> None:
    shown = dataclasses.replace(example(), searched=("<b>",))
    page = due_page(shown)
    assert "Due: flat SDSSg_65mm~empty." in page and "&lt;b&gt;" in page and "<b>" not in page
    assert all(f'<th scope="row">{each.finding.name}</th>' in page for each in shown.judged)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian's package chromium)")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everyone_can_read_the_page(tmp_path: Path, scheme: Any) -> None:
    from playwright.sync_api import sync_playwright

    script = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
    everything = report(stock({}, OFFICIAL), [taken(0.1), taken(0.2, physical_filter=BLUE)], Policy())
    for name, shown in (("example", example()), ("everything", everything)):
        (tmp_path / f"{name}.html").write_text(due_page(shown))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--headless", "--no-sandbox", "--disable-quic", "--disable-background-networking"],
        )
        for width, name in itertools.product((1280, 400), ("example", "everything")):
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page = context.new_page()
            page.set_default_timeout(240_000)
            page.goto((tmp_path / f"{name}.html").as_uri())
            page.evaluate(script)
            tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
            violations = page.evaluate("tags => axe.run({runOnly: tags})", tags)["violations"]
            assert [each["id"] for each in violations] == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        browser.close()
