# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is due, and why."""

from __future__ import annotations

__all__ = ["DueReport", "Judged", "judge", "without_repeats"]

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..decertification import iso
from ..spoilt import Mark
from ._findings import DAY, Finding, State
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

    since: int = 0
    """From when on it is too old (TAI, as a Unix timestamp, ns); 0 if it is
    not."""

    @property
    def lacking(self) -> Finding:
        """The finding without exposures at the beginning that lack nothing."""
        begin, end = self.finding.time
        return replace(self.finding, time=(min(max(begin, self.since), end), end))

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
        Of the time to come, only what is due.
    """
    judged = [_judge(each, made, known, policy) for each in findings]
    order = list(dict.fromkeys((each.dataset_type, each.physical_filter) for each in findings))

    def place(one: Judged) -> tuple[int, bool]:
        finding = one.finding
        return order.index((finding.dataset_type, finding.physical_filter)), finding.is_outlook

    return tuple(sorted((one for one in judged if one.due or not one.finding.is_outlook), key=place))


def without_repeats(judged: Sequence[Judged]) -> tuple[Judged, ...]:
    """Leave out what is due in the time to come and is said of exposures.

    Parameters
    ----------
    judged : `~collections.abc.Sequence` [`Judged`]
        What was found, and what is due.

    Returns
    -------
    judged : `tuple` [`Judged`, ...]
        What people need to read.
    """
    said: dict[object, set[int]] = {}
    for one in judged:
        if one.due and not one.finding.is_outlook:
            said.setdefault(one.finding.what, set()).update(one.finding.detectors)
    return tuple(
        one
        for one in judged
        if not one.finding.is_outlook
        or not said.get(one.finding.what, set()).issuperset(one.finding.detectors)
    )


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
    reason = "; ".join(_too_old(finding, age, policy))
    limit = policy.ages[finding.dataset_type]
    since = 0 if not reason or limit is None or begun is None else round((begun / 86_400 + limit) * DAY)
    return Judged(finding, age, origin, reason, since)


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
