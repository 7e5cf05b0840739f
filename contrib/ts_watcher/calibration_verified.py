# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rule for the Watcher: calibrations that are bad, or too old.

It is written against lsst-ts/ts_watcher 9d6924d, for its folder ``rules``.
"""

from __future__ import annotations

__all__ = ["CalibrationVerified"]

import re
import typing

import yaml
from lsst.ts import utils
from lsst.ts.xml.enums.Watcher import AlarmSeverity

from ..base_rule import AlarmSeverityReasonType, NoneNoReason
from ..polling_rule import PollingRule
from ..remote_info import RemoteInfo

_VERDICT = re.compile(
    r"\w+ (?P<product>[A-Z_]+)(?P<part>[^:]*): (?P<outcome>PASSED|HELD)(, (?P<reason>.*))?", re.DOTALL
)
"""As in "verify BIAS: HELD, 3 of 20 exposures fail NOISE"."""


class CalibrationVerified(PollingRule):
    """Watch whether calibrations of a product pass verification.

    An alarm is set when one fails, and cleared by the next that passes. Sets
    of flats are counted apart: all must have passed. It is also set if none
    has passed for too long, counted from the start of the Watcher as long as
    none has been heard of.

    Parameters
    ----------
    config : `types.SimpleNamespace`
        Rule configuration, as validated by the schema.
    log : `logging.Logger`, optional
        Parent logger.

    Notes
    -----
    The alarm name is f"CalibrationVerified.{instrument}.{product}".

    The calibration scripts log each verdict, as the event ``logMessage`` of
    Script, within a second and by a logger of its own, which the log level
    of a script does not silence. ``largeFileObjectAvailable`` comes at the
    end of a run, which may be an hour later, and only where reports are
    published.
    """

    def __init__(self, config: typing.Any, log: typing.Any = None) -> None:
        # Every script has an index of its own, so all are heard.
        remote_info = RemoteInfo(
            name="Script", index=0, callback_names=["evt_logMessage"], poll_names=[], index_required=False
        )
        super().__init__(
            config=config,
            name=f"CalibrationVerified.{config.instrument}.{config.product}",
            remote_info_list=[remote_info],
            log=log,
        )
        self._logger = f".calibration_verdict.{config.instrument}"
        self._failures: dict[str, str] = {}
        self._last_passed: float | None = None

    @classmethod
    def get_schema(cls) -> dict[str, typing.Any]:
        """Return the JSON Schema of the rule's configuration."""
        severities = ", ".join(severity.name for severity in AlarmSeverity if severity > AlarmSeverity.NONE)
        schema: dict[str, typing.Any] = yaml.safe_load(
            f"""
            $schema: http://json-schema.org/draft-07/schema#
            description: Configuration for CalibrationVerified
            type: object
            properties:
                product:
                    description: Product to watch, as calibration scripts name it.
                    type: string
                    enum: [BIAS, DARK, FLAT, PTC, GAIN]
                instrument:
                    description: Camera of the calibrations.
                    type: string
                    default: LATISS
                max_age:
                    description: >-
                        Time after which the product is overdue, unless one has passed verification (sec).
                        The default is a day and a half: calibrations are verified daily.
                    type: number
                    exclusiveMinimum: 0
                    default: 129600
                failed_severity:
                    description: Alarm severity when a calibration has failed verification.
                    type: string
                    enum: [{severities}]
                    default: SERIOUS
                overdue_severity:
                    description: Alarm severity when no calibration has passed verification for max_age.
                    type: string
                    enum: [{severities}]
                    default: WARNING
                poll_interval:
                    description: Interval at which the age is checked (sec).
                    type: number
                    exclusiveMinimum: 0
                    default: 60
            required: [product]
            additionalProperties: false
            """
        )
        return schema

    def start(self) -> None:
        """Start to poll; the model has just reset the alarm."""
        self.current_severity = self.current_reason = None
        super().start()

    def compute_alarm_severity(
        self, data: typing.Any = None, **kwargs: typing.Any
    ) -> AlarmSeverityReasonType:
        """Return the severity after a log message, or at a poll."""
        if data is not None and not self._note(data):
            return None
        found = []
        if self._failures:
            found.append((AlarmSeverity[self.config.failed_severity], "; ".join(self._failures.values())))
        since = self.poll_start_tai if self._last_passed is None else self._last_passed
        if utils.current_tai() - since > self.config.max_age:
            reason = (
                f"No {self.config.product} of {self.config.instrument} has passed verification for "
                f"{self.config.max_age / 3600:g} h."
            )
            found.append((AlarmSeverity[self.config.overdue_severity], reason))
        return max(found, key=lambda severity_reason: severity_reason[0], default=NoneNoReason)

    def _note(self, data: typing.Any) -> bool:
        """Note a verdict; return whether the message is one on the product."""
        if not data.name.endswith(self._logger):
            return False
        verdict = _VERDICT.fullmatch(data.message)
        if verdict is None or verdict["product"] != self.config.product:
            return False
        if verdict["outcome"] == "PASSED":
            self._failures.pop(verdict["part"], None)
            self._last_passed = data.private_sndStamp
        else:
            self._failures[verdict["part"]] = (
                f"{verdict['product']}{verdict['part']} failed verification in script {data.salIndex}: "
                f"{verdict['reason']}"
            )
        return True
