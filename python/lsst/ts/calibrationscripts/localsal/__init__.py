# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""An in-process stand-in for salobj 8 and ts_observatory_control.

It has the classes, methods and topics of the originals that this package
uses, with their signatures, errors, timing and script states, for machines
without Kafka. All components live in one process and exchange messages in
memory. Code that runs on it runs unchanged on the originals.

This module has the names of ``lsst.ts.salobj``. Modules `remote_group` and
`latiss` have those of ts_observatory_control, and `enums` has those of
``lsst.ts.xml``. Their annotations are also the type stubs of the originals:
what is missing here is not used, or is an error that mypy reports.

It does not replace the originals. It cannot reach components in other
processes and knows only the topics listed in `interfaces`. Two properties
are stricter than in the originals: messages of different topics arrive in
the order in which they were written, and no message is lost.

Import it through ``lsst.ts.calibrationscripts.observatory.sal``, which
chooses between it and the originals.
"""

from . import topics
from .base import AckError, AckTimeoutError, ExpectedError, set_test_topic_subname
from .controller import Controller
from .csc import BaseCsc
from .domain import Domain
from .enums import SalRetCode, State
from .remote import Remote
from .script import BaseScript

__all__ = [
    "AckError",
    "AckTimeoutError",
    "BaseCsc",
    "BaseScript",
    "Controller",
    "Domain",
    "ExpectedError",
    "Remote",
    "SalRetCode",
    "State",
    "set_test_topic_subname",
    "topics",
]
