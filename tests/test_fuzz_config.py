# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is typed is accepted or refused with a message."""

from __future__ import annotations

import functools
import json
import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from lsst.ts.calibrationscripts.config import CalibrationConfig, ConfigurationError, load_schema
from lsst.ts.calibrationscripts.config import parse as parse_for
from lsst.ts.calibrationscripts.instruments import LATISS
from lsst.ts.calibrationscripts.plan import make_plan

pytestmark = pytest.mark.slow

N_TEXTS = 10_000
N_BATCHES = 20
LIMIT = 20.0
"""Longest that one text may take the processor (s). The slowest takes about 2;
without limits on sizes and aliases, one could take hours."""

SCHEMA = load_schema(LATISS)["properties"]
EARLIER_RUN = "20261123T053300-100001"
BROKEN_RUN = "20261123T053300-100002"

EXAMPLES = (
    (Path(__file__).parent.parent / "doc" / "demo.yaml").read_text(encoding="utf-8"),
    "",
    "n_bias: 30\nn_dark: 5\nexp_times_dark: [5, 10, 15, 20, 25]\nn_flat: 10\n"
    "exp_times_flat: [5, 10, 15, 20, 25, 30, 35, 40, 45, 50]\n",
    "script_mode: BIAS_DARK_FLAT\nn_flat: 14\n"
    "exp_times_flat: [5, 5, 10, 10, 15, 15, 20, 20, 25, 25, 30, 30, 35, 35]\nfilter: SDSSr_65mm\n"
    'grating: 2\ngenerate_calibrations: True\ncalib_collection: "LATISS/calib/daily/calibs.2022NOV04.1"\n'
    'certify_calib_begin_date: "2022-11-04"\ncertify_calib_end_date: "2022-11-05"\n'
    "do_defects: True\ndo_ptc: True\n",
    "# Weekly\npipeline_generation: current\nconfig_options_bias: '-c cpBiasIsr:doDefect=False'\n"
    "n_processes: 4\nflat_sets:\n- filter: SDSSr_65mm\n  grating: empty_1\n"
    "- {filter: empty_1, grating: SDSSy_65mm, n_flat: 2, exp_times_flat: [20, 20]}\n"
    "fail_on: [processing, verification]\ncertify: together\njob_retries: 3\n",
    "exposures:\n  BIAS: [2022092900004, 2022092900005]\n  DARK:\n  - 2022092900026\n"
    "do_verify: True\nnote: >\n  lamp was\n  replaced\n",
    "exposures: {BIAS: [2022092900004], DARK: [2022092900026], FLAT: [2022092900049, 2022092900050]}\n"
    "do_ptc: True\ncertify_calib_begin_date: 2022-09-29\n",
    f"resume: {EARLIER_RUN}\njob_timeout: 7200\nfail_on: [verification]\njournal_dir: /scratch/journals\n",
    "script_mode: FLAT\nn_flat: &n 3\nexp_times_flat: &times [1, 1.5, 1]\nprogram: BLOCK-295\n"
    "flat_sets: [{filter: 0, n_flat: *n}, {filter: 1, exp_times_flat: *times}]\n"
    "test_case: {name: LVV-T2190, execution: LVV-E192, version: '1.0', initial_step: 2}\n",
)

TOKENS = (
    *"[]{}&*!|>%@`'\",:?-#=~\\;$()",
    *(": ", "- ", "\n", "\n  ", "\t", "\r\n", "\n---\n", "\n...\n", "? ", "<<: ", "&a ", "*a", "!!int "),
    *("!!python/object:os.system x", "|\n  ", ">-\n", '"\\ud800"', '"\\U00110000"', "\x00", "\u2028", "é"),
    *("010", "08", "1e-1", "1:30", "!!str ", "!!int '010'", "!!null x", "!!map {}", "! x", "$program", "'1'"),
    *(
        "20261125",
        "2026:329",
        "2026-11-25T12:00:00Z",
        "2026-11-25 09:00 -03:00",
        "a~b",
        "AT_O_20220929_000004",
    ),
    *(
        "2022092900004..2022092900007",
        "0.25, 0.25, 1",
        "{job_id.__class__}",
        "--config='a:b=c'",
        "-o x",
        "-C",
    ),
    *("null", "True", "no", ".inf", "-.nan", "1e3", "0x1f", "0b_", "1:30.5", "1_000", "2022-11-04", "'20'"),
    *(
        "-1",
        "0",
        "3.0",
        "1" * 45,
        "0x" + "f" * 5000,
        "BIAS",
        "DARK",
        "FLAT",
        "BIAS_DARK",
        "SDSSr_65mm",
        "a b",
        "${FILTER}",
    ),
    *("[1, 1]", "[]", "{}", "2022092900004", "2022139900001", "together", "processing", "-c a:b=c", "; ls"),
)


Earlier = Callable[[str, str | None], Mapping[str, Any]]


def parse(text: str, earlier: Earlier | None = None) -> CalibrationConfig:
    """Read a configuration of LATISS."""
    return parse_for(text, LATISS, earlier)


RUNS: dict[str, dict[str, Any]] = {
    EARLIER_RUN: parse("script_mode: BIAS_DARK\nn_bias: 3\nn_dark: 3\nexp_times_dark: 15").to_dict(),
    BROKEN_RUN: {"n_bias": [None], "surprise": 1},
}


def earlier(run_id: str, journal_dir: str | None) -> Mapping[str, Any]:
    """Return the configuration of one of the runs that there are."""
    if run_id not in RUNS:
        raise LookupError(f"there is no run {run_id}; there are {', '.join(RUNS)}")
    return RUNS[run_id]


WRITTEN_OUT = tuple(parse(example, earlier).to_dict() for example in EXAMPLES)


class Typist:
    """Types configurations, and worse, always the same for a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311
        self._ways: tuple[Callable[[], str], ...] = (
            self._with_other_bytes,
            self._with_other_lines,
            self._with_other_tokens,
            self._keys_and_values,
            self._keys_and_values,
            self._keys_and_values,
            self._keys_and_junk,
            self._yaml_soup,
        )

    def text(self) -> str:
        """Return one more text."""
        return self._random.choice(self._ways)()

    def _example(self) -> str:
        if self._random.random() < 0.8:
            return self._random.choice(EXAMPLES)
        data = self._random.choice(WRITTEN_OUT)
        keys = self._random.sample(sorted(data), self._random.randint(1, len(data)))
        return str(yaml.safe_dump({key: data[key] for key in keys}))

    def _with_other_bytes(self) -> str:
        data = bytearray(self._example().encode())
        for _ in range(self._random.choice((1, 1, 2, 5, 30))):
            place = self._random.randint(0, len(data))
            match self._random.randrange(4):
                case 0:
                    data[place : place + 1] = self._random.randbytes(1)
                case 1:
                    data[place:place] = self._random.choice(TOKENS).encode(errors="replace")
                case 2:
                    del data[place : place + self._random.choice((1, 1, 10))]
                case 3:
                    data[place : place + 1] = bytes([self._random.randrange(32, 127)])
        return data.decode(errors=self._random.choice(("replace", "surrogateescape", "ignore")))

    def _with_other_lines(self) -> str:
        lines = self._example().splitlines() + self._random.choice(("", self._example())).splitlines()
        for _ in range(self._random.choice((0, 1, 1, 2, 3))):
            place = self._random.randint(0, len(lines))
            match self._random.randrange(6):
                case 0:
                    lines.insert(place, self._random.choice(lines or [""]))
                case 1:
                    del lines[place : place + 1]
                case 2:
                    self._random.shuffle(lines)
                case 3:
                    lines[place : place + 2] = [" ".join(lines[place : place + 2])]
                case 4:
                    indent = self._random.choice((" ", "  ", "\t", "- ", "# "))
                    lines[place : place + 1] = [indent + line for line in lines[place : place + 1]]
                case 5:
                    lines.insert(place, f"{self._key()}: {json.dumps(self._plausible(self._key()))}")
        return self._random.choice(("\n", "\n", "\n", "\r\n", "\n\n", "\r")).join(lines)

    def _with_other_tokens(self) -> str:
        words = self._example().replace("\n", " \n ").split(" ")
        for _ in range(self._random.choice((1, 1, 2, 4))):
            place = self._random.randrange(len(words))
            words[place] = self._random.choice((self._random.choice(TOKENS), self._key(), words[-1 - place]))
        return " ".join(words).replace(" \n ", "\n")

    def _keys_and_values(self) -> str:
        values = {key: self._plausible(key) for key in self._keys()}
        style = self._random.choice((None, True, False))
        text = yaml.safe_dump(values, default_flow_style=style, sort_keys=False, allow_unicode=True)
        return str(text)

    def _keys_and_junk(self) -> str:
        separators = (": ", ": ", ": ", ": ", ":", "=", " = ", " : ", "\t: ", ":\n  ", "\n")
        return "\n".join(
            self._misspelled(key)
            + self._random.choice(separators)
            + self._random.choice((json.dumps, str, repr))(self._junk(4))
            for key in self._keys()
        )

    def _yaml_soup(self) -> str:
        parts = (*TOKENS, *TOKENS, *(self._key() for _ in range(30)), " ", "\n", " ", "\n")
        soup = "".join(self._random.choices(parts, k=self._random.choice((1, 5, 20, 50))))
        return soup * self._random.choice((1, 1, 1, 1, 1, 1, 1, 1, 2, 50))

    def _key(self) -> str:
        return self._random.choice((*SCHEMA, *SCHEMA, "metadata", "n_darks", "yes", "3", "<<", ""))

    def _keys(self) -> list[str]:
        keys = [self._key() for _ in range(self._random.choice((1, 2, 3, 4, 6, 12)))]
        if self._random.random() < 0.15:
            keys.append(self._random.choice(("exposures", "resume", "flat_sets")))
        if "resume" in keys and self._random.random() < 0.7:
            frames = ("script", "n_", "exp", "fi", "fl", "gra", "det", "pipe", "repo")
            keys = [key for key in keys if not key.startswith(frames)]
        return list(dict.fromkeys(keys))

    def _misspelled(self, key: str) -> str:
        place = self._random.randint(0, len(key))
        if self._random.random() < 0.8:
            return key
        return key[:place] + self._random.choice(("", "s", "_", " ", "-", ".", ":", "#")) + key[place + 1 :]

    def _plausible(self, key: str) -> object:
        """Return a value that the schema accepts, or nearly so."""
        if key not in SCHEMA or self._random.random() < 0.04:
            return self._junk(2)
        match key:
            case "resume":
                return self._random.choice((EARLIER_RUN, EARLIER_RUN, BROKEN_RUN, "unknown", "../x", None))
            case "detectors":
                return self._random.choice(([], [0], [0], [1]))
            case "repo" | "journal_dir" | "ocps_log_path" | "bps_config":
                return self._random.choice(
                    ("/repo/LATISS", "/scratch/{job_id}.log", "~/x", "s3://x/y", "a b")
                )
            case _ if key.startswith("config_options_"):
                return self._random.choice(
                    (
                        "-c isr:doDefect=False",
                        "--config=a:b=c",
                        "-c a:b='x y'",
                        "",
                        "isr:c=d",
                        "-c 'a:b=[1,2]'",
                    )
                )
            case _ if "collection" in key:
                return self._random.choice(("LATISS/calib", "LATISS/calib", "a/b,LATISS/calib", "u/me/c.1"))
            case _ if key.endswith("_date"):
                return f"{self._random.randint(1990, 2060)}-{self._random.randint(1, 13):02}-04"
        return self._from(SCHEMA[key], self._random.choice((SCHEMA[key]["default"], None)))

    def _from(self, schema: dict[str, Any], default: object = None) -> object:
        if default is not None and self._random.random() < 0.5:
            return default
        if "enum" in schema:
            return self._random.choice(schema["enum"])
        kind = self._random.choice([schema["type"]] if isinstance(schema["type"], str) else schema["type"])
        low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
        high = schema.get("maximum", 100)
        match kind:
            case "boolean":
                return self._random.random() < 0.5
            case "integer" if low >= 10**12:
                day = self._random.choice((20220929, 20220930, 20221001, 20221301))
                return day * 100_000 + self._random.randint(1, 200)
            case "integer":
                return self._random.choice((low, self._random.randint(low, min(high, low + 8)), high))
            case "number":
                return round(self._random.choice((low, self._random.uniform(low, min(high, 40)))), 2)
            case "array":
                n = self._random.randint(schema.get("minItems", 0), min(schema["maxItems"], 6))
                return [self._from(schema["items"]) for _ in range(n)]
            case "object":
                names = [name for name in schema["properties"] if self._random.random() < 0.8]
                return {name: self._from(schema["properties"][name]) for name in names}
            case "string":
                return self._random.choice(("SDSSr_65mm", "empty_1", "LVV-T1", "LATISS/calib", "a,b"))
        return None

    def _junk(self, depth: int) -> object:
        """Return a value of any kind, nested or not."""
        scalars = (
            *(None, True, -1, 0, 1, 2.5, math.inf, math.nan, 10**30, -(10**400), 1e308, "", " ", "x" * 300),
            *(self._random.choice(TOKENS), self._random.uniform(-1, 100), self._random.randint(-5, 2000)),
        )
        if depth == 0 or self._random.random() < 0.6:
            return self._random.choice(scalars)
        n = self._random.choice((0, 1, 2, 3, 3, 20))
        if self._random.random() < 0.5:
            return [self._junk(depth - 1) for _ in range(n)]
        names = (*SCHEMA["flat_sets"]["items"]["properties"], *SCHEMA["exposures"]["properties"], "", "a")
        return {self._random.choice(names): self._junk(depth - 1) for _ in range(n)}


@dataclass(frozen=True)
class Outcome:
    """What became of a text."""

    text: str
    result: CalibrationConfig | ConfigurationError
    seconds: float


@functools.cache
def outcomes(batch: int) -> tuple[Outcome, ...]:
    """Return what becomes of the texts of a batch."""
    typist = Typist(batch)
    results = []
    for _ in range(N_TEXTS // N_BATCHES):
        text = typist.text()
        result: CalibrationConfig | ConfigurationError
        start = time.process_time()
        try:
            result = parse(text, earlier)
        except ConfigurationError as error:
            result = error
        except BaseException as error:
            error.add_note(f"The text was {text!r}")
            raise
        results.append(Outcome(text, result, time.process_time() - start))
    return tuple(results)


def accepted(batch: int) -> list[tuple[str, CalibrationConfig]]:
    return [(o.text, o.result) for o in outcomes(batch) if isinstance(o.result, CalibrationConfig)]


@pytest.mark.parametrize("batch", range(N_BATCHES))
def test_every_text_is_accepted_or_refused_with_a_message(batch: int) -> None:
    for outcome in outcomes(batch):
        assert outcome.seconds < LIMIT, outcome.text
        if isinstance(outcome.result, ConfigurationError):
            heading, *lines = str(outcome.result).split("\n")
            assert heading
            assert len(lines) == len(outcome.result.problems) > 0
            assert all(line.isprintable() for line in lines), outcome.text
            for problem in outcome.result.problems:
                assert problem.what.strip(), outcome.text
                assert problem.remedy.strip(), outcome.text


@pytest.mark.parametrize("batch", range(N_BATCHES))
def test_what_is_accepted_survives_being_written_out_and_can_be_planned(batch: int) -> None:
    for text, config in accepted(batch):
        data = json.loads(json.dumps(config.to_dict()))

        assert parse(yaml.safe_dump(data), earlier) == config, text
        assert make_plan(config, LATISS).stages, text


def test_the_texts_are_of_both_kinds_and_always_the_same() -> None:
    typist = Typist(0)

    assert [outcome.text for outcome in outcomes(0)] == [typist.text() for _ in outcomes(0)]
    assert 0.1 < len(accepted(0)) / len(outcomes(0)) < 0.9


@pytest.mark.parametrize(
    "text",
    [
        "exp_times_dark: [" + "1," * 16_000 + "]",
        "fail_on: [" + "1,a," * 8_000 + "]",
        "exposures: {BIAS: [" + "1,a," * 8_000 + "]}",
        "flat_sets: [" + "{}," * 10_000 + "]",
        "exp_times_dark: &a [" + "1," * 15_000 + "]\nflat_sets: [" + "{exp_times_flat: *a}," * 18 + "]",
        "\n".join(f"{'exp_times_flat' * 11}{i}: 1" for i in range(195)),
        "note: '" + "\\" * 32_000,
    ],
    ids=lambda text: text[:12],
)
def test_long_texts_are_refused_as_soon(text: str) -> None:
    start = time.process_time()

    with pytest.raises(ConfigurationError):
        parse(text)

    assert time.process_time() - start < LIMIT
