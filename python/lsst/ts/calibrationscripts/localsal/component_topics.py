# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The topics as attributes, for mypy."""

# ruff: noqa: N815 - the names are those of SAL

from __future__ import annotations

__all__ = ["ComponentTopics"]

from typing import Generic, TypeVar

_Command = TypeVar("_Command")
_Event = TypeVar("_Event")
_Telemetry = TypeVar("_Telemetry")


class ComponentTopics(Generic[_Command, _Event, _Telemetry]):
    """The types of ``cmd_...``, ``evt_...`` and ``tel_...``.

    The attributes themselves are set by the constructors of `Remote` and
    `Controller`. The topics are those of every component in `interfaces`
    together, as mypy cannot know the component from its name. It reports a
    misspelt topic or method, and a command used as an event, but not a topic
    of another component. The data of messages has no static type.
    """

    cmd_abort_job: _Command
    cmd_changeDisperser: _Command
    cmd_changeFilter: _Command
    cmd_configure: _Command
    cmd_disable: _Command
    cmd_enable: _Command
    cmd_execute: _Command
    cmd_resume: _Command
    cmd_run: _Command
    cmd_setFilter: _Command
    cmd_setGroupId: _Command
    cmd_standby: _Command
    cmd_start: _Command
    cmd_stop: _Command
    cmd_takeImages: _Command
    evt_availableFilters: _Event
    evt_ccsCommandState: _Event
    evt_description: _Event
    evt_disperserInPosition: _Event
    evt_dropoutDoorState: _Event
    evt_endReadout: _Event
    evt_endSetFilter: _Event
    evt_errorCode: _Event
    evt_filterInPosition: _Event
    evt_heartbeat: _Event
    evt_imageInOODS: _Event
    evt_job_result: _Event
    evt_lampState: _Event
    evt_largeFileObjectAvailable: _Event
    evt_logMessage: _Event
    evt_m1CoverState: _Event
    evt_mainDoorState: _Event
    evt_metadata: _Event
    evt_reportedDisperserPosition: _Event
    evt_reportedFilterPosition: _Event
    evt_reportedLinearStagePosition: _Event
    evt_settingsAppliedValues: _Event
    evt_shutterState: _Event
    evt_startIntegration: _Event
    evt_startReadout: _Event
    evt_startSetFilter: _Event
    evt_state: _Event
    evt_summaryState: _Event
    tel_focal_plane_Reb: _Telemetry
    tel_mount_AzEl_Encoders: _Telemetry
    tel_position: _Telemetry
