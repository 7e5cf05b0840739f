# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is due as a page of HTML that needs nothing else."""

from __future__ import annotations

__all__ = ["due_page"]

from ..decertification import iso
from ..due import DueReport, conclusion, exposures_text, heading, spoilt_heading
from ..instruments import named_detectors
from ._render import render


def due_page(report: DueReport) -> str:
    """Show which calibrations exposures find, and what is due.

    Parameters
    ----------
    report : `DueReport`
        What is due.

    Returns
    -------
    html : `str`
        A document that refers to no other.
    """
    return render(
        "due.html.j2",
        report=report,
        heading=heading(report),
        conclusion=conclusion(report),
        spoilt=spoilt_heading(report),
        iso=iso,
        detectors=named_detectors,
        exposures=exposures_text,
    )
