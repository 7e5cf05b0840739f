# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words that the glossary replaces are not used again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = ROOT / "python" / "lsst" / "ts" / "calibrationscripts"

REPLACED = [
    "(carry|carries|carried|carrying) on",
    "befalls?",
    "befell",
    "mend(s|ed|ing)?",
    "held against",
    "put up with",
    "told of",
    "whoever",
    "somebody",
    "nobody",
    "(lies|lie) (in|at)",
    "all the same",
    "no such",
    # "A is no B"; "there is no B" is plain English, as is "no longer".
    "(?<!there )is no(?! longer)",
]
PATTERN = re.compile(rf"\b({'|'.join(REPLACED)})\b", re.IGNORECASE)

PROSE = [
    ROOT / "README.md",
    *(
        page
        for page in sorted((ROOT / "doc").rglob("*.rst"))
        if not {"_build", "api"} & set(page.relative_to(ROOT / "doc").parts)
    ),
    *sorted((ROOT / "schema").glob("*.yaml")),
    *sorted((ROOT / "contrib").rglob("*.md")),
]

ROOMS = {file.relative_to(CODE).parts[0].removesuffix(".py") for file in CODE.rglob("*.py")}

OF_SALOBJ = "No such component"
"""A message of salobj, which its stand-in has as well."""


def found(file: Path) -> list[str]:
    """Return the replaced words in a file, except those in literals."""
    one_line = re.sub(r"\s+(# )?", " ", file.read_text())
    text = re.sub(r"``[^`]*``", "", one_line).replace(OF_SALOBJ, "")
    return [match[0] for match in PATTERN.finditer(text)]


@pytest.mark.parametrize("file", PROSE, ids=lambda file: str(file.relative_to(ROOT)))
def test_prose_uses_the_words_of_the_glossary(file: Path) -> None:
    assert not found(file)


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_code_uses_the_words_of_the_glossary(room: str) -> None:
    files = sorted(CODE.glob(f"{room}/**/*.py")) or [CODE / f"{room}.py"]
    assert not {str(file.relative_to(CODE)): words for file in files if (words := found(file))}
