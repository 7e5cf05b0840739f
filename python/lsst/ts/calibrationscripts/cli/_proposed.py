# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known beforehand of configurations that are proposed."""

from __future__ import annotations

__all__ = ["foreseen"]

import datetime
from collections.abc import Iterator, Sequence

from ..due import Proposal, Remark
from ..instruments import Instrument


def foreseen(proposals: Sequence[Proposal], instrument: Instrument) -> Iterator[Remark]:
    """Yield why what is proposed would not end well.

    Parameters
    ----------
    proposals : `~collections.abc.Sequence` [`Proposal`]
        The configurations, in the order in which they are to be queued. What
        the later ones find may be made by the first.
    instrument : `Instrument`
        Their camera.

    Yields
    ------
    remark : `Remark`
        A calibration that a job needs, for example, and that is not there.
    """
    from ..forecast import Level
    from ._examine import Examiner
    from ._inputs import Configuration

    if not proposals:
        return
    which = "The configuration" if len(proposals) == 1 else "Configuration 1"
    given = Configuration(proposals[0].text, instrument)
    examined = Examiner().examine(given, "", datetime.datetime.now(datetime.UTC))
    findings = () if examined.forecast is None else examined.forecast.findings
    for finding in findings:
        if finding.level is Level.CERTAIN:
            yield Remark(f"{which} cannot be run as it is: {finding.notice}")
    for problem in examined.problems:
        yield Remark(f"{which} cannot be run as it is: {problem}.")
