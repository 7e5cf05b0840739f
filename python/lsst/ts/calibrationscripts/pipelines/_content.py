# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pipelines of an installation have."""

from __future__ import annotations

__all__ = ["PipelineContent", "PipelineFault"]

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class PipelineContent:
    """What a pipeline was found to have."""

    file: str
    """Path of its file."""

    tasks: tuple[str, ...]
    """Labels of its tasks or, if its URI names a subset, of that one's."""

    dataset_types: Mapping[str, frozenset[str] | None]
    """Its dataset types, and the dimensions of each; `None` if those are not
    known."""

    not_read: tuple[str, ...] = ()
    """Imports of other packages that could not be followed, so that it may
    have more tasks."""

    from_tasks: bool = False
    """Whether its tasks say what it has. Otherwise its text does, which may
    leave dataset types to the tasks."""

    refused_options: Mapping[str, str] = field(default_factory=dict)
    """Options, as ``label:field=value``, that its tasks do not have, and
    why."""


@dataclass(frozen=True)
class PipelineFault:
    """Why it is not known what a pipeline has."""

    file: str
    """Path of its file."""

    text: str
    """What is wrong with it, as a clause after its name."""
