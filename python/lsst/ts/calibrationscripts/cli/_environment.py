# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of what surrounds the package: Python, packages, SAL."""

from __future__ import annotations

__all__ = ["check_packages", "check_python", "check_sal", "check_simulation"]

import importlib.metadata
import importlib.util
import platform
import socket
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from ..checkup import Check
from ..observatory.sal import NO_SUBNAME, SalProvider, has_subname
from ._installation import is_installed, simulation_hint

_DISTRIBUTION = "ts-calibrationscripts"

_MODULES = {"pillow": "PIL", "pyyaml": "yaml"}
"""Modules of distributions that have another name."""

_SAL_MODULES = ("lsst.ts.salobj", "lsst.ts.observatory.control", "lsst.ts.xml")

_SERVERS = {
    "LSST_KAFKA_BROKER_ADDR": "broker:29092",
    "LSST_SCHEMA_REGISTRY_URL": "http://schema-registry:8081",
}
"""Environment variables of salobj for its servers, and what it takes where
they are not set (ts_salobj 69c1740, sal_info.py)."""

_SAL_VARIABLES = ("LSST_TOPIC_SUBNAME", *_SERVERS)

_CONNECT_TIMEOUT = 5.0
"""Longest wait for a server of SAL (s)."""

_SAL_REMEDY = "Set up the observatory's SAL environment, of salobj 8"


def check_python() -> Check:
    """Check the version of Python.

    Returns
    -------
    check : `Check`
    """
    name, version = "python", platform.python_version()
    try:
        wanted = importlib.metadata.metadata(_DISTRIBUTION)["Requires-Python"]
    except (importlib.metadata.PackageNotFoundError, KeyError):
        wanted = ""
    if version in SpecifierSet(wanted or "", prereleases=True):
        return Check.ok(name, f"Python {version}")
    return Check.failed(
        name, f"Python {version}, and {_DISTRIBUTION} needs {wanted}", "Install into a newer Python"
    )


def check_packages() -> Check:
    """Check the versions of what the package requires.

    Returns
    -------
    check : `Check`
    """
    name = "packages"
    try:
        texts = importlib.metadata.requires(_DISTRIBUTION)
        version = importlib.metadata.version(_DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        texts = None
    if not texts:
        return Check.skipped(
            name, f"neither pip nor conda installed {_DISTRIBUTION}: its needs are not known"
        )
    needed = [each for each in map(Requirement, texts) if each.marker is None or each.marker.evaluate()]
    if problems := [problem for requirement in needed for problem in _problems(requirement)]:
        wanted = " ".join(f"'{requirement}'" for requirement in needed if any(_problems(requirement)))
        return Check.failed(name, "; ".join(problems), f"pip install {wanted}")
    return Check.ok(name, f"{_DISTRIBUTION} {version}, and the {len(needed)} packages that it needs")


def _problems(requirement: Requirement) -> Iterator[str]:
    """Yield what is wrong with an installed package, if anything."""
    name = requirement.name
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        # EUPS may have it, without saying which version.
        module = _MODULES.get(name, name.replace("-", ".") if name.startswith("lsst-") else name)
        if not is_installed(module):
            yield f"{name} is not installed"
        return
    if not requirement.specifier.contains(version, prereleases=True):
        yield f"{name} is {version}, not {requirement.specifier}"


def check_simulation() -> Check:
    """Check whether the simulated observatory can run.

    Returns
    -------
    check : `Check`
        Never failed: the observatory needs no simulation.
    """
    name = "simulation"
    if hint := simulation_hint():
        reason, _, remedy = hint.partition(": ")
        return Check.skipped(name, reason, f"For 'calibscripts simulate', {remedy.rstrip('.')}")
    return Check.ok(name, "what 'calibscripts simulate' needs is installed")


def check_sal(environment: Mapping[str, str]) -> Check:
    """Check whether a script can reach the components of the observatory.

    Parameters
    ----------
    environment : `~collections.abc.Mapping` [`str`, `str`]
        Environment variables.

    Returns
    -------
    check : `Check`
        Skipped where nothing says that there is to be a SAL.
    """
    name = "sal"
    choice = environment.get("CALIBSCRIPTS_SAL", "")
    if choice not in ("", *(provider.value for provider in SalProvider)):
        return Check.failed(name, f"CALIBSCRIPTS_SAL={choice}", "Write salobj or local, or leave it unset")
    if choice == SalProvider.LOCAL.value:
        return Check.skipped(
            name,
            "CALIBSCRIPTS_SAL=local: no component outside this process can be reached",
            "For those, unset it",
        )
    if absent := [module for module in _SAL_MODULES if not is_installed(module)]:
        text = f"{', '.join(absent)} not installed"
        if choice or any(map(environment.get, _SAL_VARIABLES)) or len(absent) < len(_SAL_MODULES):
            return Check.failed(name, text, _SAL_REMEDY)
        return Check.skipped(name, f"{text}: only 'calibscripts simulate' can run here", _SAL_REMEDY)
    if not has_subname(environment):
        return Check.failed(name, *NO_SUBNAME)
    servers = {variable: environment.get(variable) or default for variable, default in _SERVERS.items()}
    silent = {
        f"{variable}={address}": why for variable, address in servers.items() if (why := _why_silent(address))
    }
    if silent:
        text = "; ".join(f"{server} does not answer ({why})" for server, why in silent.items())
        return Check.failed(name, text, "Start it, or set these variables to the addresses of yours")
    where = ", ".join(
        f"{variable}={environment[variable]}" for variable in _SAL_VARIABLES if variable in environment
    )
    return Check.ok(name, f"salobj, and its servers answer; {where}")


def _why_silent(address: str) -> str | None:
    """Return why a server does not accept connections, if it does not."""
    # The address of brokers may be a list.
    parts = urlsplit(address.partition(",")[0] if "//" in address else f"//{address.partition(',')[0]}")
    try:
        port = parts.port or {"https": 443}.get(parts.scheme, 80)
        socket.create_connection((parts.hostname or "", port), _CONNECT_TIMEOUT).close()
    except (OSError, ValueError) as error:
        return str(getattr(error, "strerror", None) or error)
    return None
