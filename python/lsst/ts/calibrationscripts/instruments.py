# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an instrument is to calibrations: detectors, OCPS, timing."""

from __future__ import annotations

__all__ = ["INSTRUMENTS", "LATISS", "Detector", "Instrument"]

from dataclasses import dataclass


@dataclass(frozen=True)
class Detector:
    """A detector (CCD) of an instrument."""

    id: int
    """The detector's id in Butler data ids."""

    name: str
    """``<raft>_<sensor>``, as in cp_verify's failure strings."""


@dataclass(frozen=True)
class Instrument:
    """The facts of an instrument that calibrations need."""

    name: str
    """The Butler's name of the instrument."""

    detectors: tuple[Detector, ...]

    ocps_index: int
    """SAL index of the OCPS that runs its pipelines."""

    readout_time: float
    """Time from the end of an exposure to the end of its readout (s)."""

    raft_aliases: tuple[tuple[str, str], ...] = ()
    """Other names that the OODS gives a raft: (alias, raft)."""

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
            `None` if the instrument has no such detector.
        """
        if not raft and not sensor and len(self.detectors) == 1:
            return self.detectors[0]
        name = f"{dict(self.raft_aliases).get(raft, raft)}_{sensor}"
        return next((detector for detector in self.detectors if detector.name == name), None)


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
    ocps_index=1,
    readout_time=2.0,
    raft_aliases=(("R00", "RXX"),),
)

_CORNERS = {"R00", "R04", "R40", "R44"}

LSSTCOMCAM = Instrument(name="LSSTComCam", detectors=_rafts(["R22"]), ocps_index=2, readout_time=2.0)

LSSTCAM = Instrument(
    name="LSSTCam",
    detectors=_rafts(sorted({f"R{row}{column}" for row in range(5) for column in range(5)} - _CORNERS)),
    ocps_index=3,
    readout_time=2.0,
)

INSTRUMENTS = {instrument.name: instrument for instrument in (LATISS, LSSTCOMCAM, LSSTCAM)}
"""The instruments whose run statistics can be judged, by name."""
