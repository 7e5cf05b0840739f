# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frames are spoilt, in plain words."""

from __future__ import annotations

__all__ = ["spoilt_conclusion", "spoilt_headline", "spoilt_text"]

from ..spoilt import SeriesJudgement
from ._model import RunReport


def spoilt_headline(judgement: SeriesJudgement) -> str:
    """Return how many frames of a series are spoilt, and if they are used.

    Parameters
    ----------
    judgement : `SeriesJudgement`
        What is known of the series.

    Returns
    -------
    headline : `str`
        A sentence without its full stop; "" if no frame is spoilt.
    """
    n, n_left_out = len(judgement.spoilt), len(judgement.excluded)
    if judgement.unusable:
        # Whatever else is spoilt, no frame of the series is used.
        n, is_wrong = len(judgement.unusable), "is" if len(judgement.unusable) == 1 else "are"
        return (
            f"{judgement.series}: {n} of {len(judgement.judged)} frames {is_wrong} not what was asked for, "
            "and nothing is made of the series"
        )
    if judgement.remark:
        named = f"; {n_left_out} of {len(judgement.judged)} left out by a person" if n_left_out else ""
        return f"{judgement.series}: {judgement.remark}{named}"
    if not n:
        return ""
    what = f"{judgement.series}: {n} of {len(judgement.judged)} frames {'is' if n == 1 else 'are'} spoilt"
    if n_left_out == n:
        return f"{what} and left out of everything that is made"
    used = "used; 'spoilt_frames: exclude' leaves such frames out"
    if n_left_out:
        return f"{what}: {n_left_out} left out of everything that is made, {n - n_left_out} {used}"
    return f"{what} and {used}"


def spoilt_text(judgement: SeriesJudgement) -> str:
    """Return what is known of the frames of a series.

    Parameters
    ----------
    judgement : `SeriesJudgement`
        What is known of the series.

    Returns
    -------
    text : `str`
        The headline, and a line for each mark; "" if all frames were
        measured and none is spoilt.
    """
    headline = spoilt_headline(judgement)
    lines = [f"{headline}:"] if headline else []
    lines += [f"    {mark}" for mark in judgement.marks]
    lines += [f"{judgement.series}: not known whether it is spoilt: {text}" for text in judgement.unmeasured]
    return "\n".join(lines)


def spoilt_conclusion(report: RunReport) -> str:
    """Return how many frames of a run are spoilt, for its conclusion.

    Parameters
    ----------
    report : `RunReport`
        The run.

    Returns
    -------
    words : `str`
        Begins with a semicolon; "" if no frame is spoilt.
    """
    n = sum(len(judgement.spoilt) for judgement in report.judgements)
    n_left_out = sum(len(judgement.excluded) for judgement in report.judgements)
    if not n:
        return ""
    return f"; {n} spoilt frame(s), of which {n_left_out} left out"
