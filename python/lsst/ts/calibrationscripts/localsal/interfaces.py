# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SAL interfaces that this package uses: topics, fields and types.

Topics, fields and types are those of the XML files of ts_xml, limited to the
topics that are used here. The fields of a topic are written as
``"field type, field type[count]"``. A topic that is added here is also added
to `component_topics.ComponentTopics`, from which mypy knows it.
"""

from __future__ import annotations

__all__ = ["ComponentInfo", "TopicInfo", "get_component_info"]

import dataclasses
import functools
import numbers
import struct
from collections.abc import Mapping
from typing import Any

from .surroundings import SURROUNDINGS

PRIVATE_FIELDS = (
    "private_sndStamp double, private_rcvStamp double, private_efdStamp double, private_kafkaStamp double, "
    "private_seqNum long, private_revCode string, private_identity string, private_origin long"
)

ACKCMD_FIELDS = (
    "ack long, error long, result string, identity string, origin long, cmdtype long, timeout double"
)

# Every SAL component has these.
_MANDATORY = {
    "evt_heartbeat": "heartbeat boolean",
    "evt_logMessage": (
        "name string, level int, message string, traceback string, filePath string, functionName string, "
        "lineNumber long, process long, timestamp double"
    ),
}

_CSC = _MANDATORY | {
    "cmd_disable": "",
    "cmd_enable": "",
    "cmd_standby": "",
    "cmd_start": "configurationOverride string",
    "evt_errorCode": "errorCode long, errorReport string, traceback string",
    "evt_summaryState": "summaryState long",
}

_IMAGE = (
    "additionalKeys string, additionalValues string, imagesInSequence long, imageName string, "
    "imageIndex long, imageSource string, imageController string, imageDate string, imageNumber long, "
    "timestampAcquisitionStart double"
)

_LARGE_FILE = (
    "url string, generator string, version float, byteSize long, checkSum string, mimeType string, id string"
)

_CAMERA = _CSC | {
    "cmd_takeImages": (
        "numImages long, expTime double, shutter boolean, sensors string, keyValueMap string, obsNote string"
    ),
    "evt_ccsCommandState": "substate long, timestampTransition double",
    "evt_endReadout": f"{_IMAGE}, requestedExposureTime double, timestampEndOfReadout double",
    "evt_startIntegration": f"{_IMAGE}, exposureTime double, mode string, timeout double",
    "evt_startReadout": f"{_IMAGE}, exposureTime double, timestampStartOfReadout double",
}

# Of the cameras that change their filter themselves.
_FILTERS = {
    "cmd_setFilter": "name string",
    "evt_availableFilters": (
        "filterNames string, filterTypes string, maxChangeAngle double, maxFastChangeAngle double, "
        "maxSlowChangeTime double[6], maxFastChangeTime double[6]"
    ),
    "evt_endSetFilter": "filterName string, filterType string, filterSlot int, filterPosition double",
    "evt_startSetFilter": "filterName string, filterType string",
}

_HEADER_SERVICE = _CSC | {"evt_largeFileObjectAvailable": _LARGE_FILE}

_OODS = _CSC | {
    "evt_imageInOODS": (
        "camera string, obsid string, raft string, sensor string, statusCode long, description string"
    )
}

_INTERFACES: dict[str, dict[str, str]] = {
    "Script": _MANDATORY
    | {
        "cmd_configure": (
            "config string, logLevel int, pauseCheckpoint string, stopCheckpoint string, blockId string, "
            "executionId string"
        ),
        "cmd_resume": "",
        "cmd_run": "",
        "cmd_setGroupId": "groupId string",
        "cmd_stop": "",
        "evt_description": "classname string, description string, help string, remotes string",
        "evt_largeFileObjectAvailable": _LARGE_FILE,
        "evt_metadata": (
            "coordinateSystem short, position double[2], rotationSystem short, cameraAngle double, "
            "filters string, dome short, duration double, nimages int, instrument string, survey string, "
            "totalCheckpoints int"
        ),
        "evt_state": (
            "state byte, reason string, groupId string, lastCheckpoint string, numCheckpoints int, "
            "blockId string, dayObs int, blockExecution int, executionId string"
        ),
    },
    "ATCamera": _CAMERA,
    "CCCamera": _CAMERA | _FILTERS,
    "MTCamera": _CAMERA | _FILTERS,
    "ATSpectrograph": _CSC
    | {
        "cmd_changeDisperser": "disperser long, name string",
        "cmd_changeFilter": "filter long, name string",
        "evt_disperserInPosition": "inPosition boolean",
        "evt_filterInPosition": "inPosition boolean",
        "evt_reportedDisperserPosition": (
            "slot long, name string, band string, focusOffset float, pointingOffsets float[2]"
        ),
        "evt_reportedFilterPosition": (
            "slot long, name string, band string, centralWavelength float, focusOffset float, "
            "pointingOffsets float[2]"
        ),
        "evt_reportedLinearStagePosition": "position float",
        "evt_settingsAppliedValues": (
            "host string, port long, connectionTimeout float, responseTimeout float, moveTimeout float, "
            "linearStageMinPos float, linearStageMaxPos float, linearStageSpeed float, filterNames string, "
            "filterCentralWavelengths string, filterFocusOffsets string, filterPointingOffsets string, "
            "gratingNames string, gratingFocusOffsets string, gratingPointingOffsets string, "
            "instrumentPort long"
        ),
    },
    "ATHeaderService": _HEADER_SERVICE,
    "CCHeaderService": _HEADER_SERVICE,
    "MTHeaderService": _HEADER_SERVICE,
    "ATOODS": _OODS,
    "CCOODS": _OODS,
    "MTOODS": _OODS,
    "OCPS": _CSC
    | {
        "cmd_abort_job": "job_id string",
        "cmd_execute": (
            "pipeline string, version string, config string, data_query string, prereq_jobs string, "
            "output_dataset_types string"
        ),
        "evt_job_result": "job_id string, exit_code int, result string",
    },
}

for _name, _topics in SURROUNDINGS.items():
    _INTERFACES[_name] = _INTERFACES.get(_name, _CSC) | _topics

_INDEXED = frozenset({"OCPS", "Script"})

_PYTHON_TYPES: dict[str, type] = {
    "boolean": bool,
    "byte": int,
    "short": int,
    "int": int,
    "long": int,
    "long long": int,
    "float": float,
    "double": float,
    "string": str,
}


def _as_boolean(value: Any) -> bool:
    if value in (True, False):
        return bool(value)
    raise TypeError("it is not a boolean")


def _as_integer(value: Any) -> int:
    if isinstance(value, numbers.Integral):
        return int(value)
    raise TypeError("it is not an integer")


def _as_double(value: Any) -> float:
    if isinstance(value, numbers.Real):
        return float(value)
    raise TypeError("it is not a number")


def _as_float(value: Any) -> float:
    # SAL sends 32 bits, so a reader does not receive exactly 0.1.
    return float(struct.unpack("f", struct.pack("f", _as_double(value)))[0])


def _as_string(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    raise TypeError("it is not a string")


_ENCODERS = {
    "boolean": _as_boolean,
    "byte": _as_integer,
    "short": _as_integer,
    "int": _as_integer,
    "long": _as_integer,
    "long long": _as_integer,
    "float": _as_float,
    "double": _as_double,
    "string": _as_string,
}


@dataclasses.dataclass(frozen=True)
class FieldInfo:
    """A field of a topic.

    Parameters
    ----------
    name : `str`
        Name of the field.
    sal_type : `str`
        SAL's name of the type.
    count : `int`
        Number of elements; 1 is a scalar.
    """

    name: str
    sal_type: str
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> FieldInfo:
        """Make a field from ``"name type"`` or ``"name type[count]"``."""
        name, type_text = text.split(maxsplit=1)
        sal_type, _, count = type_text.rstrip("]").partition("[")
        return cls(name, sal_type, int(count or 1))

    def dataclass_field(self) -> tuple[str, type, Any]:
        """Return the field as `dataclasses.make_dataclass` takes it."""
        scalar = _PYTHON_TYPES[self.sal_type]
        if self.count == 1:
            return self.name, scalar, dataclasses.field(default=scalar())
        return self.name, list, dataclasses.field(default_factory=lambda: [scalar()] * self.count)

    def encode(self, value: Any) -> Any:
        """Return a value as readers receive it.

        Raises
        ------
        TypeError
            If the value is not of the type of this field.
        """
        encoder = _ENCODERS[self.sal_type]
        return encoder(value) if self.count == 1 else [encoder(item) for item in value]


class TopicInfo:
    """The name and fields of a topic.

    Parameters
    ----------
    attr_name : `str`
        Name with prefix ``cmd_``, ``evt_``, ``tel_`` or ``ack_``.
    fields : `str`
        The fields of this topic only, written as in this module.
    indexed : `bool`
        Is the component indexed? If so, messages have the field ``salIndex``.
    """

    def __init__(self, attr_name: str, fields: str, indexed: bool) -> None:
        self.attr_name = attr_name
        text = ", ".join(filter(None, ["salIndex long" if indexed else "", PRIVATE_FIELDS, fields]))
        parsed = (FieldInfo.parse(item) for item in text.split(","))
        self.fields = {info.name: info for info in parsed}

    @functools.cached_property
    def data_type(self) -> type[Any]:
        """The dataclass of this topic's messages."""
        return dataclasses.make_dataclass(
            self.attr_name, [info.dataclass_field() for info in self.fields.values()]
        )

    def encode(self, data: Any) -> dict[str, Any]:
        """Return the fields of a message as readers receive them.

        Parameters
        ----------
        data : `object`
            An instance of `data_type`.

        Returns
        -------
        fields : `dict`
            Field names and values.

        Raises
        ------
        TypeError
            If a field holds a value of another type.
        """
        encoded = {}
        for name, info in self.fields.items():
            value = getattr(data, name)
            try:
                encoded[name] = info.encode(value)
            except TypeError as error:
                raise TypeError(
                    f"Cannot write {self.attr_name}.{name}={value!r} as {info.sal_type}: {error}."
                ) from error
        return encoded


class ComponentInfo:
    """The topics of a SAL component.

    Parameters
    ----------
    name : `str`
        Name of the component.
    topics : `dict` [`str`, `str`]
        Name with prefix, and fields, of each topic.
    indexed : `bool`
        Can there be several components of this name, each with an index?
    """

    def __init__(self, name: str, topics: Mapping[str, str], indexed: bool) -> None:
        self.name = name
        self.indexed = indexed
        self.topics = {
            attr_name: TopicInfo(attr_name, fields, indexed)
            for attr_name, fields in {**topics, "ack_ackcmd": ACKCMD_FIELDS}.items()
        }

    def names(self, prefix: str) -> tuple[str, ...]:
        """Return the sorted names, without prefix, of the topics of a kind."""
        return tuple(sorted(name.removeprefix(prefix) for name in self.topics if name.startswith(prefix)))


@functools.cache
def get_component_info(name: str) -> ComponentInfo:
    """Return the topics of a SAL component.

    Parameters
    ----------
    name : `str`
        Name of the component.

    Returns
    -------
    info : `ComponentInfo`
        Its topics.

    Raises
    ------
    ValueError
        If the component is not listed here.
    """
    if name not in _INTERFACES:
        raise ValueError(f"No such component {name}")
    return ComponentInfo(name, _INTERFACES[name], name in _INDEXED)
