# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is due, and why."""

from __future__ import annotations

__all__ = ["DueReport", "Judged", "judge"]

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..decertification import iso
from ..spoilt import Mark
from ._findings import Finding, State
from ._origin import Origin, origin_of
from ._policy import Policy
from ._proposal import Proposal, Remark

NOT_OURS = "not by this product"


@dataclass(frozen=True)
class Judged:
    """What some exposures find, how old it is, and whether anything is due."""

    finding: Finding

    age: float | None = None
    """At the newest of the exposures (days); `None` if nothing is found, or
    it is not known when it was made."""

    origin: Origin | None = None
    """`None` if no record of a run has it."""

    due: str = ""
    """Why something is due; "" if nothing is."""

    @property
    def certified_by(self) -> str:
        """Who certified it; "" if nothing is found."""
        if self.finding.state is not State.FOUND:
            return ""
        if self.origin is None or self.origin.collection != self.finding.collection:
            return NOT_OURS
        return self.origin.certified_by

    @property
    def verdict(self) -> str:
        """Its verdict; "" if nothing is found."""
        if self.finding.state is not State.FOUND:
            return ""
        return NOT_OURS if self.origin is None else self.origin.verdict


@dataclass(frozen=True)
class DueReport:
    """What exposures find, and what is due."""

    instrument: str
    repo: str

    searched: tuple[str, ...]
    """Collections as they were given."""

    exposures: tuple[int, ...]
    """Ids of the exposures, in order."""

    time: str
    """When this was looked up (ISO-8601, TAI)."""

    policy: Policy
    judged: tuple[Judged, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    """Configurations that close the gap."""

    remarks: tuple[Remark, ...] = ()

    marks: tuple[Mark, ...] = ()
    """Which of the exposures runs have noted as spoilt, and why."""

    @property
    def due(self) -> tuple[Judged, ...]:
        """Those of which something is due."""
        return tuple(judged for judged in self.judged if judged.due)


def judge(
    findings: Sequence[Finding],
    made: Mapping[tuple[str, str], float],
    known: Sequence[Origin],
    policy: Policy,
) -> tuple[Judged, ...]:
    """Say how old calibrations are, where they come from, and what is due.

    Parameters
    ----------
    findings : `~collections.abc.Sequence` [`Finding`]
        What exposures find, and what is there for the time to come.
    made : `~collections.abc.Mapping`
        When the datasets of a type came into a RUN collection: TAI, as Unix
        timestamps (s).
    known : `~collections.abc.Sequence` [`Origin`]
        What runs have recorded.
    policy : `Policy`
        How old they may become.

    Returns
    -------
    judged : `tuple` [`Judged`, ...]
        Of the time to come, only what is due and not said of exposures.
    """
    of_exposures = [_judge(each, made, known, policy) for each in findings if not each.is_outlook]
    outlook = [_judge(each, made, known, policy) for each in findings if each.is_outlook]
    said = {_what(judged): set[int]() for judged in of_exposures if judged.due}
    for judged in of_exposures:
        if judged.due:
            said[_what(judged)].update(judged.finding.detectors)
    left = [
        judged
        for judged in outlook
        if judged.due and not said.get(_what(judged), set()).issuperset(judged.finding.detectors)
    ]
    order = list(dict.fromkeys((each.dataset_type, each.physical_filter) for each in findings))

    def place(judged: Judged) -> int:
        return order.index((judged.finding.dataset_type, judged.finding.physical_filter))

    return tuple(sorted((*of_exposures, *left), key=place))


def _what(judged: Judged) -> tuple[str, str | None, State, str]:
    finding = judged.finding
    return finding.dataset_type, finding.physical_filter, finding.state, finding.run


def _judge(
    finding: Finding, made: Mapping[tuple[str, str], float], known: Sequence[Origin], policy: Policy
) -> Judged:
    if finding.state is not State.FOUND:
        return Judged(finding, due=_nothing(finding))
    origin = origin_of(finding, known)
    begun = made.get((finding.dataset_type, finding.run))
    if origin is not None and origin.made is not None:
        begun = origin.made
    age = None if begun is None or not finding.time[1] else max(0.0, (finding.time[1] / 1e9 - begun) / 86_400)
    return Judged(finding, age, origin, "; ".join(_too_old(finding, age, policy)))


def _too_old(finding: Finding, age: float | None, policy: Policy) -> Iterator[str]:
    limit = policy.ages[finding.dataset_type]
    if age is not None and limit is not None and age > limit:
        when = f"on {iso(finding.time[1])[:10]} it will be" if finding.is_outlook else "it is"
        yield f"{when} {age:.1f} days old, more than {limit:g}"


def _nothing(finding: Finding) -> str:
    """Return why nothing is found."""
    to_come = f"at {iso(finding.time[1])} there is none: " if finding.is_outlook else ""
    if finding.state is State.UNTIMED:
        return "the repository does not know when it was taken, so that nothing valid then can be found"
    if finding.state is State.MISSING or finding.valid is None:
        return f"{to_come}nothing is certified for it in what is searched"
    begin, end = map(iso, finding.valid)
    if finding.state is State.EXPIRED:
        return f"{to_come}the last one, of {finding.run}, was valid until {end}"
    if finding.state is State.LATER:
        return f"{to_come}the first one, of {finding.run}, is valid from {begin}"
    return (
        f"the look-up fails (CalibrationLookupError): in {finding.collection} an exposure is in the validity "
        f"of the one of {finding.run}, until {end}, and of the next"
    )
