# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is looked at around the camera before frames are taken."""

from __future__ import annotations

__all__ = [
    "ignored_example",
    "parse_ignore",
    "parse_preconditions",
    "preconditions_text",
    "surroundings_notices",
]

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..instruments import Instrument
from ..preconditions import component_key, preconditions_of
from ._problems import Unusable, shown

if TYPE_CHECKING:
    # They check values by this module.
    from ._frames import Frames
    from ._values import ParsedConfig


def preconditions_text(camera: str) -> str:
    """Return what frames of a camera need, for descriptions."""
    needed = "; ".join(f"{each.what}, {each.limit.text}" for each in preconditions_of(camera))
    return needed or f"for {camera} nothing is looked at"


def ignored_example(camera: str) -> str:
    """Return a component of a camera's preconditions, for descriptions."""
    return next((component_key(each.component) for each in preconditions_of(camera)), "mtdome")


def parse_preconditions(value: str | bool) -> str:
    """Return what preconditions are for: ``check``, ``warn`` or ``off``.

    Parameters
    ----------
    value : `str` or `bool`
        What was written: YAML reads ``off`` without quotes as false.

    Returns
    -------
    value : `str`
    """
    return "off" if value is False else str(value)


def parse_ignore(value: list[str], instrument: Instrument) -> tuple[str, ...]:
    """Return the components that are not looked at.

    Parameters
    ----------
    value : `list` [`str`]
        What was written.
    instrument : `Instrument`
        The camera.

    Returns
    -------
    keys : `tuple` [`str`, ...]
        As from `component_key`, each once.

    Raises
    ------
    Unusable
        If one is not a name of a component.
    """
    for name in value:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*([:_]\d+)?", name.strip(), re.ASCII):
            raise Unusable(
                f"{shown(name)} is not the name of a component",
                f"write names, for example [{ignored_example(instrument.name)}]",
            )
    return tuple(dict.fromkeys(component_key(name.strip()) for name in value))


def surroundings_notices(parsed: ParsedConfig, frames: Frames) -> Iterator[str]:
    """Yield what is not looked at before frames are taken.

    Parameters
    ----------
    parsed : `ParsedConfig`
        Values without problems.
    frames : `Frames`
        The frames that they come to.

    Yields
    ------
    notice : `str`
        A sentence or two.
    """
    values, camera = parsed.values, parsed.instrument.name
    if values["exposures"] is not None:
        return
    needed = preconditions_of(camera, frames.image_types)
    names = list(dict.fromkeys(each.component for each in needed))
    ignored, mode = values["ignore"], values["preconditions"]
    if mode == "off" and names:
        yield f"preconditions: off: {', '.join(names)} are not looked at before frames are taken."
    elif unlooked := [name for name in names if component_key(name) in ignored]:
        yield f"ignore: {', '.join(unlooked)}: not looked at before frames are taken."
    if unknown := sorted(set(ignored) - {component_key(each.component) for each in preconditions_of(camera)}):
        known = ", ".join(dict.fromkeys(component_key(each.component) for each in preconditions_of(camera)))
        yield (
            f"ignore: {', '.join(unknown)}: has no effect, no precondition of {camera} looks at it"
            + (f", but at {known}." if known else ".")
        )
