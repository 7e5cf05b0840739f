# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only module that imports salobj and observatory-control.

Every other module imports SAL names from here::

    from lsst.ts.calibrationscripts.observatory.sal import salobj

``use`` chooses the provider before its first class is used. The environment
variable ``CALIBSCRIPTS_SAL`` (``salobj`` or ``local``) overrides that choice.
Type checkers always read the annotations of `localsal`.
"""

from __future__ import annotations

__all__ = ["NO_SUBNAME", "SalNotInstalledError", "SalProvider", "has_subname", "provider", "use"]

import enum
import importlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .. import localsal
    from ..localsal.comcam import ComCam as ComCam
    from ..localsal.comcam import ComCamUsages as ComCamUsages
    from ..localsal.enums import ScriptState as ScriptState
    from ..localsal.latiss import LATISS as LATISS
    from ..localsal.latiss import LATISSUsages as LATISSUsages
    from ..localsal.lsstcam import LSSTCam as LSSTCam
    from ..localsal.lsstcam import LSSTCamUsages as LSSTCamUsages
    from ..localsal.remote_group import RemoteGroup as RemoteGroup
    from ..localsal.remote_group import UsagesResources as UsagesResources

    salobj = localsal


class SalProvider(enum.Enum):
    """The provider of the SAL classes."""

    SALOBJ = "salobj"
    """The original ``lsst.ts.salobj`` and observatory-control."""

    LOCAL = "local"
    """`lsst.ts.calibrationscripts.localsal`, inside one process."""


class SalNotInstalledError(ImportError):
    """The chosen provider is not installed."""


_LOCAL = "lsst.ts.calibrationscripts.localsal"

# Name here: (original module, local module, attribute; None for the module).
_NAMES: dict[str, tuple[str, str, str | None]] = {
    "salobj": ("lsst.ts.salobj", _LOCAL, None),
    "LATISS": ("lsst.ts.observatory.control.auxtel.latiss", f"{_LOCAL}.latiss", "LATISS"),
    "LATISSUsages": ("lsst.ts.observatory.control.auxtel.latiss", f"{_LOCAL}.latiss", "LATISSUsages"),
    "ComCam": ("lsst.ts.observatory.control.maintel.comcam", f"{_LOCAL}.comcam", "ComCam"),
    "ComCamUsages": ("lsst.ts.observatory.control.maintel.comcam", f"{_LOCAL}.comcam", "ComCamUsages"),
    "LSSTCam": ("lsst.ts.observatory.control.maintel.lsstcam", f"{_LOCAL}.lsstcam", "LSSTCam"),
    "LSSTCamUsages": ("lsst.ts.observatory.control.maintel.lsstcam", f"{_LOCAL}.lsstcam", "LSSTCamUsages"),
    "RemoteGroup": ("lsst.ts.observatory.control", f"{_LOCAL}.remote_group", "RemoteGroup"),
    "UsagesResources": ("lsst.ts.observatory.control", f"{_LOCAL}.remote_group", "UsagesResources"),
    "ScriptState": ("lsst.ts.xml.enums.Script", f"{_LOCAL}.enums", "ScriptState"),
}

NO_SUBNAME = ("LSST_TOPIC_SUBNAME is not set, which salobj needs", "Set it to that of the components")
"""What is wrong if `has_subname` is not so, and what to do."""

_preferred = SalProvider.SALOBJ
_loaded: SalProvider | None = None


def provider() -> SalProvider:
    """Return the provider that is used.

    Returns
    -------
    provider : `SalProvider`
        The value of ``CALIBSCRIPTS_SAL``, or else the choice of `use`.


    Raises
    ------
    ValueError
        If ``CALIBSCRIPTS_SAL`` is neither ``salobj`` nor ``local``.
    """
    text = os.environ.get("CALIBSCRIPTS_SAL", "")
    if not text:
        return _preferred
    try:
        return SalProvider(text)
    except ValueError:
        raise ValueError(f"CALIBSCRIPTS_SAL={text!r}: write 'salobj' or 'local'.") from None


def use(wanted: SalProvider) -> None:
    """Choose the provider, unless ``CALIBSCRIPTS_SAL`` is set.

    Parameters
    ----------
    wanted : `SalProvider`
        The provider to use.

    Raises
    ------
    RuntimeError
        If classes of another provider are already in use, as components of
        two providers in one process cannot exchange messages.
    """
    global _preferred
    previous, _preferred = _preferred, wanted
    if _loaded is not None and provider() is not _loaded:
        _preferred = previous
        raise RuntimeError(
            f"SAL is {_loaded.value} in this process already; it cannot become {wanted.value}."
        )


def has_subname(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether the environment names the topics of the components.

    Parameters
    ----------
    environment : `~collections.abc.Mapping` [`str`, `str`], optional
        Environment variables.
    """
    return bool(environment.get("LSST_TOPIC_SUBNAME"))


def _load(name: str) -> Any:
    """Import a name from the provider, at its first use."""
    global _loaded
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    original, local, attribute = _NAMES[name]
    chosen = provider()
    try:
        module = importlib.import_module(local if chosen is SalProvider.LOCAL else original)
    except ModuleNotFoundError as error:
        raise SalNotInstalledError(
            f"{original} is not installed here (no module {error.name!r}): this needs the "
            "observatory's SAL environment. On any machine, 'calibscripts simulate' runs the same script "
            "on a simulated observatory."
        ) from error
    value = module if attribute is None else getattr(module, attribute)
    _loaded = chosen
    globals()[name] = value
    return value


if not TYPE_CHECKING:
    # Hidden from mypy, which would accept any name of this module otherwise.
    __getattr__ = _load
