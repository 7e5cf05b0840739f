# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong outside the procedure."""

from __future__ import annotations

__all__ = [
    "CameraError",
    "ComponentLostError",
    "JobLostError",
    "JobRefusedError",
    "JobTimeoutError",
    "LightError",
    "NotTakenError",
    "ObservatoryError",
    "OutcomeError",
    "PreconditionError",
    "SurroundingsError",
]

from collections.abc import Sequence
from typing import ClassVar


class ObservatoryError(Exception):
    """Something outside the procedure failed; says what and why.

    Notes
    -----
    All that a port raises is one of these, and so is all that ends a run::

        ObservatoryError          the port's work failed; its stage FAILED
        +- CameraError            frames cannot be taken; the script FAILED
        +- ComponentLostError     a SAL component left ENABLED or is silent
        +- JobRefusedError        not accepted; may be submitted again
        +- JobLostError           its end is unknown; may be submitted again
        +- JobTimeoutError        did not end in time; may still be running
        +- NotTakenError          frames of a series would be of no use
        |  +- LightError          flats at a level that is not accepted
        |  +- SurroundingsError   what is around the camera is not ready
        +- OutcomeError           outcomes that ``fail_on`` names
        +- PreconditionError      the run must not begin; nothing was done

    `error_type` identifies the kind in records and to programs; unlike the
    class names, these values never change.
    """

    error_type: ClassVar[str] = "observatory"


class CameraError(ObservatoryError):
    """The camera or the spectrograph failed: the script cannot continue."""

    error_type = "camera"


class ComponentLostError(ObservatoryError):
    """A component left ENABLED, or sends nothing any more."""

    error_type = "component_lost"


class JobRefusedError(ObservatoryError):
    """A job was not accepted, so that it may be submitted again.

    Where no answer came, it may run nevertheless, under an id that is not
    known.
    """

    error_type = "job_refused"


class JobLostError(ObservatoryError):
    """The end of a job will not be reported.

    Its product may be in the Butler, or come later. If it is not there, the
    job may be submitted again.
    """

    error_type = "job_lost"


class JobTimeoutError(ObservatoryError):
    """A job did not end in time; it may still be running."""

    error_type = "job_timeout"


class NotTakenError(ObservatoryError):
    """No more frames of a series are taken, since they would be of no use."""

    error_type = "not_taken"


class LightError(NotTakenError):
    """The flats would have a level that the observer does not accept."""

    error_type = "light"


class OutcomeError(ObservatoryError):
    """Outcomes are bad that the configuration does not accept."""

    error_type = "outcome"


class PreconditionError(ObservatoryError):
    """The run must not begin; says everything that prevents it.

    Parameters
    ----------
    problems : `~collections.abc.Sequence` [`str`]
        What prevents it, each with its remedy.
    """

    error_type = "precondition"

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class SurroundingsError(NotTakenError):
    """What is around the camera is not as the frames of a series need it."""

    error_type = "surroundings"
