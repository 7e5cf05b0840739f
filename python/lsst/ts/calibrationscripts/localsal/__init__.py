# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""An in-process stand-in for salobj and observatory-control.

It has the parts of salobj 8 and ts_observatory_control that this package
uses, with their signatures, errors, timing and script states, for machines
without Kafka: a component and its remotes live in one process, and messages
go through memory. Code that runs on it runs unchanged on the originals.

It is no replacement for them. Components in other processes are out of its
reach, it knows only the topics listed in `interfaces`, and what this package
does not use is left out: telemetry, configurable CSCs, image types other than
BIAS, DARK and FLAT. Two things are stricter or better than in the originals:
messages of different topics arrive in the order of writing, and nothing is
lost on the way.

Import it by way of ``lsst.ts.calibrationscripts.observatory.sal``, which
chooses between it and the originals.
"""

from . import topics, type_hints
from .base import AckError, AckTimeoutError, ExpectedError, name_to_name_index, set_test_topic_subname
from .controller import Controller
from .csc import BaseCsc
from .domain import Domain
from .enums import SalRetCode, ScriptState, State
from .latiss import LATISS, LATISSUsages
from .remote import Remote
from .remote_group import RemoteGroup, Usages, UsagesResources
from .salinfo import SalInfo
from .script import BaseScript

__all__ = [
    "LATISS",
    "AckError",
    "AckTimeoutError",
    "BaseCsc",
    "BaseScript",
    "Controller",
    "Domain",
    "ExpectedError",
    "LATISSUsages",
    "Remote",
    "RemoteGroup",
    "SalInfo",
    "SalRetCode",
    "ScriptState",
    "State",
    "Usages",
    "UsagesResources",
    "name_to_name_index",
    "set_test_topic_subname",
    "topics",
    "type_hints",
]
