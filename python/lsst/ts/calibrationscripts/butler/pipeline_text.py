# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pipeline has, by its text alone.

`lsst.pipe.base` reads pipelines too, but needs the packages of the Science
Pipelines for it, and runs what the text says. This needs neither.
"""

from __future__ import annotations

__all__ = ["UnreadablePipelineError", "path_of", "read_pipeline"]

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ..pipelines import PipelineContent, PipelineFault
from ..plain_yaml import PlainLoader

_MAX_BYTES = 2**20
"""Largest file that is read; those of cp_pipe have some kB (byte)."""

_MAX_DEPTH = 20
"""Most imports in each other; those of cp_pipe have 3."""

_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")
_PACKAGE = re.compile(r"eups://(\w+)/(.+)")
_CONNECTION = "connections."
_PARAMETER = "parameters."


class UnreadablePipelineError(Exception):
    """A pipeline cannot be read.

    Parameters
    ----------
    file : `str`
        Path of its file.
    text : `str`
        What is wrong with it, as a clause after its name.
    """

    def __init__(self, file: str, text: str) -> None:
        super().__init__(f"{file} {text}")
        self.file = file
        self.text = text


@dataclass
class _Task:
    """A task: its class, and the names that its connections are given."""

    klass: str
    connections: dict[str, str] = field(default_factory=dict)


@dataclass
class _Pipeline:
    """A pipeline with what it imports."""

    tasks: dict[str, _Task] = field(default_factory=dict)
    subsets: dict[str, set[str]] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    not_read: list[str] = field(default_factory=list)


def path_of(uri: str, environment: Mapping[str, str]) -> str:
    """Return the path of a pipeline.

    Parameters
    ----------
    uri : `str`
        Its URI, with or without a subset, and with environment variables.
    environment : `~collections.abc.Mapping` [`str`, `str`]
        Their values.

    Returns
    -------
    path : `str`

    Raises
    ------
    LookupError
        If one of them is not set; its argument is the variable's name.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if not environment.get(name):
            raise LookupError(name)
        return environment[name]

    return _VARIABLE.sub(value, uri.partition("#")[0])


def read_pipeline(uri: str, environment: Mapping[str, str]) -> PipelineContent | PipelineFault:
    """Find out what a pipeline has.

    Parameters
    ----------
    uri : `str`
        Its URI, with the name of a subset after ``#`` if it is about one.
    environment : `~collections.abc.Mapping` [`str`, `str`]
        Environment variables, which the URI and imports may name.

    Returns
    -------
    content : `PipelineContent` or `PipelineFault`
        The latter if it cannot be read, or lacks the subset.
    """
    subset = uri.partition("#")[2]
    try:
        file = path_of(uri, environment)
        pipeline = _Reader(environment).read(file, ())
    except LookupError as error:
        return PipelineFault(uri, f"is not known: {error.args[0]} is not set")
    except UnreadablePipelineError as error:
        return PipelineFault(error.file, error.text)
    if subset and subset not in pipeline.subsets:
        if not pipeline.not_read:
            others = f", but {', '.join(sorted(pipeline.subsets))}" if pipeline.subsets else ""
            return PipelineFault(file, f"has no subset {subset}{others}")
        labels = set(pipeline.tasks)
    else:
        labels = pipeline.subsets[subset] if subset else set(pipeline.tasks)
    names = {
        _parameter(value, pipeline.parameters)
        for label in labels & set(pipeline.tasks)
        for value in pipeline.tasks[label].connections.values()
    }
    return PipelineContent(
        file, tuple(sorted(labels)), dict.fromkeys(sorted(names)), tuple(dict.fromkeys(pipeline.not_read))
    )


def _parameter(value: str, parameters: Mapping[str, Any]) -> str:
    """Return a value, or that of the parameter which it names."""
    return str(parameters.get(value.removeprefix(_PARAMETER), value))


class _Reader:
    """Reads a pipeline and what it imports, each file once.

    Parameters
    ----------
    environment : `~collections.abc.Mapping` [`str`, `str`]
        Environment variables.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._texts: dict[str, dict[str, Any]] = {}

    def read(self, file: str, importers: tuple[str, ...]) -> _Pipeline:
        """Return a pipeline, given the files that import it.

        Raises
        ------
        UnreadablePipelineError
            If it cannot be read, or imports itself.
        """
        if file in importers:
            circle = " imports ".join((*importers[importers.index(file) :], file))
            raise UnreadablePipelineError(file, f"imports itself: {circle}")
        if len(importers) > _MAX_DEPTH:
            raise UnreadablePipelineError(importers[0], f"has more than {_MAX_DEPTH} imports in each other")
        try:
            return self._build(self._text(file), (*importers, file))
        except (AttributeError, TypeError, ValueError, KeyError) as error:
            # Of what was found where something else belongs.
            raise UnreadablePipelineError(file, f"does not have the form of a pipeline ({error})") from error

    def _text(self, file: str) -> dict[str, Any]:
        if file not in self._texts:
            self._texts[file] = _load(file)
        return self._texts[file]

    def _build(self, text: dict[str, Any], files: tuple[str, ...]) -> _Pipeline:
        """Make a pipeline of what it imports, and of its own on top."""
        pipeline = _Pipeline()
        for imported in _as_list(text.get("imports")):
            self._import(imported, pipeline, files)
        for label, definition in (text.get("tasks") or {}).items():
            own = _task(definition)
            label = str(label)
            present = pipeline.tasks.get(label)
            if present is not None and present.klass == own.klass:
                present.connections.update(own.connections)
            else:
                pipeline.tasks[label] = own
        for name, definition in (text.get("subsets") or {}).items():
            members = definition["subset"] if isinstance(definition, dict) else definition
            pipeline.subsets[str(name)] = set(map(str, _as_list(members)))
        pipeline.parameters.update(text.get("parameters") or {})
        return pipeline

    def _import(self, given: str | dict[str, Any], pipeline: _Pipeline, files: tuple[str, ...]) -> None:
        """Add what a pipeline imports."""
        options = {"location": given} if isinstance(given, str) else given
        location = options["location"]
        try:
            path = path_of(_in_package(location), self._environment)
        except LookupError:
            pipeline.not_read.append(location)
            return
        if "://" in path:
            pipeline.not_read.append(location)
            return
        imported = _selected(self.read(path, files), options)
        pipeline.tasks.update(imported.tasks)
        pipeline.subsets.update(imported.subsets)
        pipeline.parameters.update(imported.parameters)
        pipeline.not_read += imported.not_read


def _selected(pipeline: _Pipeline, options: dict[str, Any]) -> _Pipeline:
    """Return what an import takes of a pipeline, as `lsst.pipe.base` does."""
    new_names = {label: str((options.get("rename") or {}).get(label, label)) for label in pipeline.tasks}
    labels = set(pipeline.tasks)
    if "include" in options:
        labels &= _expanded(_as_list(options["include"]), pipeline)
    elif "exclude" in options:
        labels -= _expanded(_as_list(options["exclude"]), pipeline)
    edited = {name: members & labels for name, members in pipeline.subsets.items()}
    keep_part = options.get("labeledSubsetModifyMode") == "EDIT"
    return _Pipeline(
        {new_names[label]: task for label, task in pipeline.tasks.items() if label in labels},
        {
            name: {new_names[label] for label in members}
            for name, members in edited.items()
            if keep_part or members == pipeline.subsets[name]
        },
        pipeline.parameters,
        pipeline.not_read,
    )


def _expanded(names: list[str], pipeline: _Pipeline) -> set[str]:
    """Return labels, with the tasks of subsets among them."""
    return {label for name in names for label in pipeline.subsets.get(name, {name})}


def _in_package(location: str) -> str:
    """Return the location of a pipeline by the variable of its package."""
    if package := _PACKAGE.fullmatch(location):
        return f"${{{package[1].upper()}_DIR}}/{package[2]}"
    return location


def _task(definition: str | dict[str, Any]) -> _Task:
    if isinstance(definition, str):
        return _Task(definition)
    connections: dict[str, str] = {}
    for config in _as_list(definition.get("config")):
        connections.update(
            {
                key: value
                for key, value in config.items()
                if key.startswith(_CONNECTION) and isinstance(value, str)
            }
        )
    return _Task(definition["class"], connections)


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _load(file: str) -> dict[str, Any]:
    """Read a file of YAML.

    Raises
    ------
    UnreadablePipelineError
        If it cannot be read, or is not a mapping.
    """
    path = Path(file)
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MAX_BYTES:
            raise UnreadablePipelineError(file, f"is not a file of at most {_MAX_BYTES // 2**20} MB")
        text = yaml.load(path.read_text(encoding="utf-8"), Loader=PlainLoader)  # noqa: S506 - it is a SafeLoader
    except FileNotFoundError:
        raise UnreadablePipelineError(file, "does not exist") from None
    except OSError as error:
        raise UnreadablePipelineError(file, f"cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UnreadablePipelineError(file, f"cannot be read: {reason}") from error
    if not isinstance(text, dict):
        raise UnreadablePipelineError(file, "does not have the form of a pipeline")
    return text
