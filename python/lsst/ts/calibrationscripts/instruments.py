# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a camera is to calibrations.

Everything that differs from one camera to another is an attribute of
`Instrument`. Another camera is another entry, and a script class.
"""

from __future__ import annotations

__all__ = [
    "INSTRUMENTS",
    "LATISS",
    "Components",
    "Detector",
    "ImageType",
    "Instrument",
    "Pace",
    "same_filter",
]

import enum
import re
from dataclasses import dataclass


class ImageType(enum.StrEnum):
    """The types of images that are taken."""

    BIAS = "BIAS"
    DARK = "DARK"
    FLAT = "FLAT"


_AMPLIFIERS = tuple(f"C{row}{column}" for row in range(2) for column in range(8))
"""Amplifiers of the CCDs of LSST, two rows of eight."""


@dataclass(frozen=True)
class Detector:
    """A detector (CCD) of an instrument."""

    id: int
    """The detector's id in Butler data ids."""

    name: str
    """``<raft>_<sensor>``, as in cp_verify's failure strings."""

    amplifiers: tuple[str, ...] = _AMPLIFIERS
    """Names of its amplifiers, as in cp_verify's failure strings."""


@dataclass(frozen=True)
class Components:
    """Names of the SAL components that take and ingest frames."""

    camera: str
    header_service: str
    oods: str
    spectrograph: str | None = None
    """What turns the wheels, if that is not the camera itself."""

    @property
    def exposing(self) -> tuple[str, ...]:
        """What a frame needs: without a header it is never ingested."""
        return (self.camera, self.header_service)

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.exposing, *filter(None, [self.spectrograph]), self.oods)


@dataclass(frozen=True)
class Pace:
    """How long what a run does takes."""

    exposing: float = 1.0
    """Time that an exposure and its readout take, relative to what their
    headers say."""

    frame: float = 0.0
    """Time that each frame takes beside that (s)."""

    ingest: float = 5.0
    """From the end of readout to the frame being in the Butler (s)."""

    job: float = 60.0
    """Time of any job (s)."""

    job_per_frame: float = 5.4
    """Time of a job for each frame more (s). With the above, 168 s for 20
    biases: a verification job recorded at the summit."""

    certification: float = 5.0
    """Time of a certification (s)."""


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """The facts of an instrument that calibrations need."""

    name: str
    """The Butler's name of the instrument."""

    detectors: tuple[Detector, ...]

    components: Components

    ocps_index: int
    """SAL index of the OCPS that runs its pipelines."""

    image_prefix: str
    """What image names begin with, such as ``AT`` in
    ``AT_O_20261125_000007``."""

    wheels: tuple[str, ...] = ()
    """What is in front of flats, as the configuration calls it: ``filter``,
    ``grating``. Their names, joined by ``~``, are the physical filter."""

    wheel_slots: int = 4
    """Slots of each wheel, numbered from 0."""

    flat_examples: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    """Two settings of the wheels, in their order, for descriptions and
    hints; `None` for made-up names."""

    pipelines_folder: str
    """Folder of its pipelines in cp_pipe and cp_verify."""

    schema: str | None = None
    """File of its script's schema; `None` if it has no script yet."""

    repo: str
    """Butler repository by default."""

    readout_time: float = 2.0
    """Time from the end of an exposure to the end of its readout (s)."""

    usable_counts: tuple[float, float] = (10_000.0, 68_000.0)
    """Counts of a usable flat (ADU above bias): below, the dome or the lamp
    is misaligned; above, the detector saturates. From operators' practice
    with SDSSr flats of LATISS."""

    saturated_counts: float = 100_000.0
    """Counts (ADU above bias) from which a level is clipped, and not a measure
    of the light. obs_lsst masks pixels of LATISS from 120,000 ADU, of which
    up to 20,000 are bias."""

    raw_size: float = 38e6
    """A raw frame of one detector (byte)."""

    processed_size: float = 65e6
    """A frame of one detector after instrument signature removal (byte)."""

    pace: Pace = Pace()
    """How long the rest takes."""

    raft_aliases: tuple[tuple[str, str], ...] = ()
    """Other names that the OODS gives a raft: (alias, raft)."""

    @property
    def raw_collection(self) -> str:
        """RUN collection of its raw frames."""
        return f"{self.name}/raw/all"

    @property
    def calib_collection(self) -> str:
        """Collection of its standard calibrations."""
        return f"{self.name}/calib"

    @property
    def ocps(self) -> str:
        """Name and index of the OCPS that runs its pipelines."""
        return f"OCPS:{self.ocps_index}"

    def detector_ids(self, selected: tuple[int, ...] = ()) -> tuple[int, ...]:
        """Return the ids to process.

        Parameters
        ----------
        selected : `tuple` [`int`, ...], optional
            The ids that the observer asked for; none means all.

        Returns
        -------
        ids : `tuple` [`int`, ...]
        """
        return selected or tuple(detector.id for detector in self.detectors)

    def find_detector(self, raft: str, sensor: str) -> Detector | None:
        """Return the detector that an ingest event is about.

        Parameters
        ----------
        raft, sensor : `str`
            As in the OODS event imageInOODS; both may be blank for an
            instrument of one detector.

        Returns
        -------
        detector : `Detector` or `None`
            `None` if it is not a detector of the instrument.
        """
        if not raft and not sensor and len(self.detectors) == 1:
            return self.detectors[0]
        name = f"{dict(self.raft_aliases).get(raft, raft)}_{sensor}"
        return next((detector for detector in self.detectors if detector.name == name), None)


def same_filter(one: str, other: str) -> bool:
    """Return whether two names are of one physical filter.

    Parameters
    ----------
    one, other : `str`
        Names as the spectrograph or the Butler has them: an empty slot has a
        number, such as ``empty_1``, in the one and not in the other.
    """
    return re.sub(r"empty_\d+", "empty", one) == re.sub(r"empty_\d+", "empty", other)


def _rafts(names: list[str]) -> tuple[Detector, ...]:
    """Return the nine sensors S00..S22 of each raft, numbered in order."""
    sensors = [f"S{row}{column}" for row in range(3) for column in range(3)]
    return tuple(
        Detector(9 * i + j, f"{raft}_{sensor}")
        for i, raft in enumerate(names)
        for j, sensor in enumerate(sensors)
    )


LATISS = Instrument(
    name="LATISS",
    detectors=(Detector(0, "RXX_S00"),),
    components=Components(
        camera="ATCamera", header_service="ATHeaderService", oods="ATOODS", spectrograph="ATSpectrograph"
    ),
    ocps_index=1,
    image_prefix="AT",
    wheels=("filter", "grating"),
    flat_examples=(("SDSSr_65mm", "empty_1"), ("empty_1", "SDSSy_65mm")),
    pipelines_folder="LATISS",
    schema="make_latiss_calibrations.yaml",
    repo="/repo/LATISS",
    raft_aliases=(("R00", "RXX"),),
)

_CORNERS = {"R00", "R04", "R40", "R44"}

LSSTCOMCAM = Instrument(
    name="LSSTComCam",
    detectors=_rafts(["R22"]),
    components=Components(camera="CCCamera", header_service="CCHeaderService", oods="CCOODS"),
    ocps_index=2,
    image_prefix="CC",
    wheels=("filter",),
    flat_examples=(("r_03",), ("i_06",)),
    pipelines_folder="LSSTComCam",
    repo="/repo/LSSTComCam",
)

LSSTCAM = Instrument(
    name="LSSTCam",
    detectors=_rafts(sorted({f"R{row}{column}" for row in range(5) for column in range(5)} - _CORNERS)),
    components=Components(camera="MTCamera", header_service="MTHeaderService", oods="MTOODS"),
    ocps_index=3,
    image_prefix="MC",
    wheels=("filter",),
    wheel_slots=5,
    flat_examples=(("r_57",), ("i_39",)),
    pipelines_folder="LSSTCam",
    repo="/repo/LSSTCam",
)

INSTRUMENTS = {instrument.name: instrument for instrument in (LATISS, LSSTCOMCAM, LSSTCAM)}
"""By name: those whose run statistics can be judged. Scripts exist for those
that have a schema."""
