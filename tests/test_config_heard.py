# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a run is heard of: ``publish`` and ``notify``, and no secrets."""

from __future__ import annotations

import json

import pytest
import yaml
from lsst.ts.calibrationscripts.config import CalibrationConfig, ConfigurationError, Problem, parse
from lsst.ts.calibrationscripts.instruments import LATISS

SECRET = "xoxb-s3cret"  # noqa: S105 - it opens nothing
ADDRESS = f"slack://{SECRET}/#calibrations"
MAIL = f"mailtos://bot:{SECRET}@example.org"
FILE = "/home/saluser/apprise.conf"


def read(text: str) -> CalibrationConfig:
    return parse(text, LATISS)


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigurationError) as caught:
        read(text)
    assert SECRET not in f"{caught.value} {caught.value!r}"
    return caught.value.problems


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("/scratch/published", "/scratch/published"),
        ("/my work/published/", "/my work/published"),
        ("s3://bucket/calibrations/latiss", "s3://bucket/calibrations/latiss"),
        ("s3://profile@bucket", "s3://profile@bucket"),
        ("null", None),
    ],
)
def test_a_place_is_a_folder_or_an_address(written: str, place: str | None) -> None:
    assert read(f"publish: {written}").publish == place


@pytest.mark.parametrize(
    "written",
    ["published", "~/published", "https://example.org/a", "s3://", "s3:///a", "''", "/", "/a//b", "3"],
)
def test_another_place_is_refused_with_what_to_write(written: str) -> None:
    (found,) = problems(f"publish: {written}")
    assert found.key == "publish"
    assert found.remedy.startswith(("write an absolute path", "write it in quotes"))


def test_the_addresses_are_kept_and_shown_without_secrets() -> None:
    config = read(yaml.safe_dump({"notify": [ADDRESS, MAIL, MAIL.replace("bot", "me"), FILE]}))
    assert config.notify[:2] == (ADDRESS, MAIL)
    # What journals, reports and pages have is this
    assert config.to_dict()["notify"] == ["slack://***", "mailtos://***", FILE]
    assert SECRET not in json.dumps(config.to_dict()) + repr(config)


def test_a_resumed_run_has_no_addresses_but_files_and_says_so() -> None:
    before = read(yaml.safe_dump({"notify": [ADDRESS, FILE]})).to_dict()
    config = parse("resume: a-1", LATISS, lambda run_id, folder: before)
    assert config.notify == ("slack://***", FILE)
    assert any("write them again" in notice for notice in config.notices)
    again = parse(
        yaml.safe_dump({"resume": "a-1", "notify": [ADDRESS]}), LATISS, lambda run_id, folder: before
    )
    assert again.notify == (ADDRESS,)
    assert not any("write them again" in notice for notice in again.notices)


@pytest.mark.parametrize(
    "text",
    [
        f"notify: {ADDRESS}",
        f"notify:{ADDRESS}",
        f"notify={ADDRESS}",
        f"notify={SECRET}",
        f"notify: [{ADDRESS}, {ADDRESS}]",
        f"notify: [{SECRET}]",
        f"notify: [{{slack: {SECRET}}}]",
        f"notify: {{slack: {SECRET}}}",
        f"notify: ['{ADDRESS}{'x' * 500}']",
        f"notify: ['$SLACK{SECRET}']",
        f"notify: !secret {SECRET}",
        f"notify: ['']\nnote: {ADDRESS[:0]}",
    ],
)
def test_what_is_wrong_with_an_address_is_said_without_it(text: str) -> None:
    assert {found.key for found in problems(text)} <= {"notify", "notify[0]", "configuration"}


def test_a_misspelt_key_does_not_give_the_address_away() -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(f"notifies: {ADDRESS}")
    assert "did you mean notify?" in str(caught.value)
    assert SECRET not in str(caught.value)
