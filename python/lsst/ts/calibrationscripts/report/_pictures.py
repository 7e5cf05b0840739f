# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a run, which are kept in files of their own."""

from __future__ import annotations

__all__ = ["PICTURE_NAME", "picture_names", "put_pictures", "take_pictures"]

import base64
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from ._evidence import Evidence, Replaced, Thumbnail

PICTURE_NAME = re.compile(r"[0-9a-f]{32}\.png")
"""Of a picture's file: it follows from its content, so that a file never
changes, and what is written again is the same."""


def take_pictures(evidence: Evidence) -> tuple[Evidence, dict[str, bytes]]:
    """Take the pictures out of what a page shows.

    Parameters
    ----------
    evidence : `Evidence`
        With pictures, or the names of their files.

    Returns
    -------
    evidence : `Evidence`
        With the names alone.
    files : `dict` [`str`, `bytes`]
        The pictures that it had, by name.
    """
    files: dict[str, bytes] = {}

    def name_of(png: str, name: str) -> str:
        if not png:
            return name
        content = base64.b64decode(png)
        name = f"{hashlib.sha256(content).hexdigest()[:32]}.png"
        files[name] = content
        return name

    def taken(image: Thumbnail) -> Thumbnail:
        old = image.replaced
        if old is not None:
            file, difference_file = (
                name_of(old.png, old.file),
                name_of(old.difference, old.difference_file),
            )
            old = replace(old, png="", difference="", file=file, difference_file=difference_file)
        return replace(image, png="", file=name_of(image.png, image.file), replaced=old)

    return replace(evidence, thumbnails=tuple(map(taken, evidence.thumbnails))), files


def put_pictures(evidence: Evidence, read: Callable[[str], bytes | None]) -> Evidence:
    """Put the pictures back that files have.

    Parameters
    ----------
    evidence : `Evidence`
        As of `take_pictures`; one that has its pictures stays as it is.
    read : `~collections.abc.Callable`
        Takes the name of a file, returns its content; `None` if it cannot be
        read.

    Returns
    -------
    evidence : `Evidence`
        Without the pictures that are missing; its notes say how many.
    """
    missing: set[str] = set()

    def content_of(png: str, name: str) -> str:
        if png or not name:
            return png
        content = read(name)
        if content is None:
            missing.add(name)
            return ""
        return base64.b64encode(content).decode("ascii")

    def old_of(old: Replaced | None) -> Replaced | None:
        if old is None:
            return None
        png, difference = content_of(old.png, old.file), content_of(old.difference, old.difference_file)
        return replace(old, png=png, difference=difference) if png and difference else None

    found = [
        replace(image, png=content_of(image.png, image.file), replaced=old_of(image.replaced))
        for image in evidence.thumbnails
    ]
    notes = evidence.notes
    if missing:
        notes = (
            *notes,
            f"Not shown: {len(missing)} pictures, whose files are missing beside the run's JSON.",
        )
    return replace(evidence, thumbnails=tuple(image for image in found if image.png), notes=notes)


def picture_names(evidence: Evidence) -> Iterator[str]:
    """Yield the names of all files with pictures."""
    for image in evidence.thumbnails:
        old = image.replaced
        yield from filter(None, (image.file, *((old.file, old.difference_file) if old else ())))
