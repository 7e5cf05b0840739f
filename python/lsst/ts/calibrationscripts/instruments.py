# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a camera is to calibrations.

Everything that differs from one camera to another is an attribute of
`Instrument`. Another camera is another entry, and a script class.
"""

from __future__ import annotations

__all__ = [
    "E2V",
    "INSTRUMENTS",
    "ITL",
    "LATISS",
    "LSSTCAM",
    "LSSTCOMCAM",
    "WAVEFRONT",
    "CcdType",
    "Components",
    "Detector",
    "ImageType",
    "Instrument",
    "Pace",
    "named_detectors",
    "same_filter",
]

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass

from .id_ranges import consecutive


class ImageType(enum.StrEnum):
    """The types of images that are taken."""

    BIAS = "BIAS"
    DARK = "DARK"
    FLAT = "FLAT"


_AMPLIFIERS = tuple(f"C{row}{column}" for row in range(2) for column in range(8))
"""Amplifiers of the CCDs of LSST, two rows of eight."""


@dataclass(frozen=True)
class CcdType:
    """A type of CCD, as obs_lsst has it (``policy/cameraHeader.yaml``)."""

    name: str

    amplifier_columns: int
    amplifier_rows: int
    """Size of the light-sensitive segment of each amplifier (pixel)."""

    overscan: int = 64
    """Columns of serial overscan that follow it in a raw image."""

    purpose: str = "SCIENCE"
    """As in the Butler's records of detectors."""


ITL = CcdType("ITL", 509, 2000)
E2V = CcdType("E2V", 512, 2002, 54)
WAVEFRONT = CcdType("ITL_WF", 509, 2000, purpose="WAVEFRONT")
"""Half of an ITL CCD: its eight amplifiers are in one row."""
GUIDER = CcdType("ITL_G", 509, 2000, purpose="GUIDER")

_HALF = tuple(f"C1{column}" for column in reversed(range(8)))
"""Amplifiers of such a half, from left to right."""


@dataclass(frozen=True)
class Detector:
    """A detector (CCD) of an instrument."""

    id: int
    """The detector's id in Butler data ids."""

    name: str
    """``<raft>_<sensor>``, as in cp_verify's failure strings."""

    amplifiers: tuple[str, ...] = _AMPLIFIERS
    """Names of its amplifiers, as in cp_verify's failure strings: row by row,
    each from left to right."""

    ccd: CcdType = ITL

    @property
    def area(self) -> float:
        """Its light-sensitive area, relative to an ITL CCD of 16."""
        one = self.ccd.amplifier_columns * self.ccd.amplifier_rows
        return len(self.amplifiers) * one / (16 * ITL.amplifier_columns * ITL.amplifier_rows)


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
    """Time of a job for each frame more of one ITL CCD (s). With the above,
    168 s for 20 biases: a verification job of LATISS with 8 processes,
    recorded at the summit. Of other cameras none is known."""

    certification: float = 5.0
    """Time of a certification (s)."""


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """The facts of an instrument that calibrations need."""

    name: str
    """The Butler's name of the instrument."""

    detectors: tuple[Detector, ...]
    """Those whose frames are processed."""

    guiders: tuple[Detector, ...] = ()
    """Those whose frames are not: they guide."""

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
    """Slots of each wheel, numbered from 0. If the camera changes its filter
    itself, places in the list of filters that it reports."""

    wheels_turn: bool = True
    """Whether a run may turn the wheels. If not, flats are taken through what
    is in the beam."""

    wheel_timeout: float = 90.0
    """Longest that the wheels may take (s). One of LATISS may take 30 s, and
    an acknowledgement that it is in progress extends that."""

    flat_examples: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    """Two settings of the wheels, in their order, for descriptions and
    hints; `None` for made-up names."""

    pipelines_folder: str
    """Folder of its pipelines in cp_pipe and cp_verify."""

    schema: str | None = None
    """File of its script's schema; `None` if it has none."""

    script_title: str | None = None
    """Title of that schema; `None` for one made of the file's name."""

    script_folders: tuple[str, ...] = ("maintel",)
    """Where the script queues find its script."""

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
    """A raw frame of one ITL CCD (byte)."""

    processed_size: float = 65e6
    """A frame of one ITL CCD after instrument signature removal (byte)."""

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
    def scripts(self) -> tuple[str, ...]:
        """Names of its script in the script queues."""
        name = (self.schema or f"make_{self.name.lower()}_calibrations.yaml").removesuffix(".yaml")
        return tuple(f"{folder}/{name}.py" for folder in self.script_folders)

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

    def area(self, selected: tuple[int, ...] = ()) -> float:
        """Return the area of detectors, relative to one ITL CCD.

        Parameters
        ----------
        selected : `tuple` [`int`, ...], optional
            Ids; none means all.

        Returns
        -------
        area : `float`
        """
        ids = set(self.detector_ids(selected))
        return sum(detector.area for detector in self.detectors if detector.id in ids)

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
        Names as the camera or the Butler has them. An empty slot of LATISS
        has a number, such as ``empty_1``, in the one and not in the other.
        No filter is ``NONE`` in the one and ``none`` in the other.
    """
    return _plain_filter(one) == _plain_filter(other)


def _plain_filter(name: str) -> str:
    return re.sub(r"empty_\d+", "empty", name).replace("NONE", "none")


def named_detectors(detectors: Iterable[int]) -> str:
    """Return ids of detectors, such as ``0-8, 12``.

    Parameters
    ----------
    detectors : iterable of `int`
        The ids.

    Returns
    -------
    text : `str`
    """
    ranges = consecutive(detectors)
    return ", ".join(f"{each[0]}-{each[-1]}" if len(each) > 1 else f"{each[0]}" for each in ranges)


def _raft(name: str, first: int, ccd: CcdType) -> tuple[Detector, ...]:
    """Return the nine sensors S00..S22 of a raft, numbered in order."""
    sensors = [f"S{row}{column}" for row in range(3) for column in range(3)]
    return tuple(Detector(first + i, f"{name}_{sensor}", ccd=ccd) for i, sensor in enumerate(sensors))


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
    # The procedure has the second one.
    script_folders=("auxtel", "maintel"),
    repo="/repo/LATISS",
    raft_aliases=(("R00", "RXX"),),
)

LSSTCOMCAM = Instrument(
    name="LSSTComCam",
    detectors=_raft("R22", 0, ITL),
    components=Components(camera="CCCamera", header_service="CCHeaderService", oods="CCOODS"),
    ocps_index=2,
    image_prefix="CC",
    wheels=("filter",),
    wheel_slots=6,
    # observatory-control waits 60 s for the command, and 60 s for the event.
    wheel_timeout=120.0,
    flat_examples=(("r_03",), ("i_06",)),
    pipelines_folder="LSSTComCam",
    schema="make_comcam_calibrations.yaml",
    script_title="MakeComCamCalibrations",
    repo="/repo/LSSTComCam",
)

_CORNERS = ("R00", "R04", "R40", "R44")
_RAFTS = [f"R{row}{column}" for row in range(5) for column in range(5) if f"R{row}{column}" not in _CORNERS]
_ITL_RAFTS = {"R01", "R02", "R03", "R10", "R20", "R41", "R42", "R43"}
_FIRST_OF_CORNERS = 9 * len(_RAFTS)
"""A corner raft has four ids: two guiders, then the halves of the wavefront
sensor. From ``policy/rafts.yaml`` of obs_lsst."""

LSSTCAM = Instrument(
    name="LSSTCam",
    detectors=(
        *(
            detector
            for i, raft in enumerate(_RAFTS)
            for detector in _raft(raft, 9 * i, ITL if raft in _ITL_RAFTS else E2V)
        ),
        *(
            Detector(_FIRST_OF_CORNERS + 4 * i + 2 + half, f"{raft}_SW{half}", _HALF, WAVEFRONT)
            for i, raft in enumerate(_CORNERS)
            for half in range(2)
        ),
    ),
    guiders=tuple(
        Detector(_FIRST_OF_CORNERS + 4 * i + guider, f"{raft}_SG{guider}", ccd=GUIDER)
        for i, raft in enumerate(_CORNERS)
        for guider in range(2)
    ),
    components=Components(camera="MTCamera", header_service="MTHeaderService", oods="MTOODS"),
    ocps_index=3,
    image_prefix="MC",
    wheels=("filter",),
    wheel_slots=6,
    # For a change of filter, telescope and rotator stand in a certain place.
    wheels_turn=False,
    flat_examples=(("r_57",), ("i_39",)),
    pipelines_folder="LSSTCam",
    schema="make_lsstcam_calibrations.yaml",
    script_title="MakeLSSTCamCalibrations",
    repo="/repo/LSSTCam",
)

INSTRUMENTS = {instrument.name: instrument for instrument in (LATISS, LSSTCOMCAM, LSSTCAM)}
"""By name: those whose calibrations are made."""
