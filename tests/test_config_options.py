# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What reaches the pipetask of a job is what was read, and nothing else.

The OCPS (lsst-ts/dm_OCPS 7c72243, ocps_csc.py) puts its input collection and
the command's config into RUN_OPTIONS, joined by a blank; the script that runs
the job (lsst-dm/uws_scripts 6b6d9b1, bin/pipetask.sh) has that variable
without quotes, so that bash splits it at blanks and keeps every quote.
``pipetask run`` (lsst/ctrl_mpexec 30.0.0, cli/utils.py) takes overrides only
from two words, ``-c`` and the value after it.
"""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from lsst.ts.calibrationscripts.config import ConfigurationError, parse
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.plan import make_plan
from lsst.ts.calibrationscripts.products import Product

KEY = "config_options_bias"


def words(options: str) -> tuple[str, ...]:
    config = parse(yaml.safe_dump({KEY: options}), LATISS)
    return config.of(Product.BIAS).options


def answer(options: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        words(options)
    (problem,) = caught.value.problems
    return f"{problem.what}; {problem.remedy}"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", ()),
        ("-c cpBiasIsr:doDefect=False", ("-c", "cpBiasIsr:doDefect=False")),
        ("-ccpBiasIsr:doDefect=False", ("-c", "cpBiasIsr:doDefect=False")),
        ("--config cpBiasIsr:doDefect=False", ("-c", "cpBiasIsr:doDefect=False")),
        ("--config=cpBiasIsr:doDefect=False", ("-c", "cpBiasIsr:doDefect=False")),
        ("-c 'cpBiasIsr:doDefect=False'", ("-c", "cpBiasIsr:doDefect=False")),
        ('"-c" "cpBiasIsr:doDefect=False"', ("-c", "cpBiasIsr:doDefect=False")),
        ("-c cpBiasCombine:stats.nSigma=4.5e0", ("-c", "cpBiasCombine:stats.nSigma=4.5e0")),
        ("-c cpPtcExtract:auxiliaryHeaderKeys=[]", ("-c", "cpPtcExtract:auxiliaryHeaderKeys=[]")),
        ("-C cpBiasIsr:/home/me/isr.py", ("-C", "cpBiasIsr:/home/me/isr.py")),
        ("--config-file=cpBiasIsr:/home/me/isr.py", ("-C", "cpBiasIsr:/home/me/isr.py")),
        ("--timeout 600 --fail-fast", ("--timeout", "600", "--fail-fast")),
        ("--timeout=600 --no-versions", ("--timeout", "600", "--no-versions")),
    ],
)
def test_an_override_is_written_as_pipetask_takes_it(options: str, expected: tuple[str, ...]) -> None:
    assert words(options) == expected


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ("-c 'a:b=x y'", "has a blank, where the OCPS splits it in two; write for example -c"),
        ("-c 'a:b=[1, 2]'", "write -c a:b=[1,2]"),
        ("-c \"a:b='x'\"", "has a quote within, which the OCPS takes for a letter; write -c a:b=x"),
        ("-c a:b=\"'x'\"", "write -c a:b=x"),
        ("-c 'a:b=c -o x'", "write for example"),
        ("-c 'a:b=c --output x'", "has a blank"),
        ("-c a:b", "does not have the required form"),
        ("-c", "does not have the required form"),
        ("-c -c", "does not have the required form"),
        ("-c :b=c", "does not have the required form"),
        ("-c a:b=", "does not have the required form"),
        ("-c a:b=c d:e=f", "write -c before each"),
        ("-C isr:x,y:z", "does not have the required form"),
        ("--timeout 0", "does not have the required form"),
        ("--timeout x", "does not have the required form"),
        ("--fail-fast=yes", "takes no value; write --fail-fast"),
    ],
)
def test_what_would_not_reach_pipetask_as_it_is_meant_gets_what_to_write(options: str, what: str) -> None:
    assert what in answer(options)


@pytest.mark.parametrize("quote", ["", "'", '"'])
@pytest.mark.parametrize(
    "option",
    [
        *("-b", "-i", "-j", "-o", "-p", "-d", "--input", "--output", "--output-run", "--butler-config"),
        *("-t", "--task", "--delete", "--instrument", "--extend-run", "--replace-run", "--clobber-outputs"),
        *(
            "--mock",
            "--show",
            "--qgraph",
            "-g",
            "--skip-existing",
            "--select-tasks",
            "--rebase",
            "--init-only",
        ),
        *("--skip-init-writes", "--no-raise-on-partial-outputs", "--graph-fixup", "--pdb", "--profile", "-@"),
        *("--options-file", "--data-id-table", "-s", "--save-pipeline", "--help", "-h", "--", "-"),
    ],
)
def test_an_option_that_changes_what_a_job_is_about_is_refused_also_in_quotes(
    option: str, quote: str
) -> None:
    for text in (
        f"{quote}{option}{quote} x",
        f"-c a:b=c {quote}{option}=x{quote}",
        f"-c a:b=c {quote}{option}{quote}",
    ):
        assert "leave it out" in answer(text) or "is not allowed" in answer(text)


PIECES = st.lists(
    st.sampled_from(
        [
            *("-c", "-C", "--config", "--config=", "--config-file", "--timeout", "--fail-fast", "-j", "-o"),
            *("a:b=c", "isr:doDefect=False", "a:b=[1,2]", "a:b='x'", "a:/x.py", "600", "x", "-x", "=", ":"),
            *(" ", " ", " ", " ", "'", '"', "\\", "\t", "#", "[", "]", ",", "*", "$x", ";", "~", "--", "-"),
        ]
    ),
    max_size=14,
).map("".join)


@settings(derandomize=True, max_examples=1000, deadline=None)
@given(PIECES | st.text(max_size=40))
def test_words_that_are_accepted_are_the_words_that_the_ocps_splits(options: str) -> None:
    try:
        config = parse(yaml.safe_dump({KEY: options, "generate_calibrations": True}), LATISS)
    except ConfigurationError as error:
        assert all(problem.remedy for problem in error.problems)
        return
    read = config.of(Product.BIAS).options

    (job,) = (
        stage.job for stage in make_plan(config, LATISS).stages if stage.job and stage.name == "generate BIAS"
    )
    request = job.request(
        generated=(), exposures=(1,), instrument="LATISS", detectors=(0,), n_processes=1, products=()
    )

    assert tuple(request.config.split()[5:]) == read
    # Each is an option that is allowed, or the value of the one before.
    assert not set(read) & {"-o", "-j", "-i"}
    assert all(not set(word) & set("'\"\\;$*") for word in read)
    assert parse(yaml.safe_dump(config.to_dict()), LATISS) == config
