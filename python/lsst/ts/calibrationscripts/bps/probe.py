# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the service of a batch system is there, and answers.

A process of its own: ``python -m lsst.ts.calibrationscripts.bps.probe``. The
script itself imports none of this, which takes seconds.
"""

from __future__ import annotations

__all__ = ["probe"]

import sys


def probe(service: str) -> str:
    """Return what is wrong with a service, or "".

    Parameters
    ----------
    service : `str`
        Full name of its class.

    Returns
    -------
    trouble : `str`
        What is wrong, and what to do.
    """
    try:
        from lsst.utils import doImportType

        ping = doImportType(service)({}).ping
    except ImportError as error:
        return f"wmsServiceClass {service} cannot be imported: {error}"
    except Exception as error:  # noqa: BLE001 - a plugin of any kind; it is reported
        return f"wmsServiceClass {service} cannot be used: {error}"
    try:
        status, message = ping("")
    except NotImplementedError:
        return ""
    except Exception as error:  # noqa: BLE001 - as above
        return f"{service} does not answer: {error}"
    return f"{service} does not answer: {message}" if status else ""


if __name__ == "__main__":
    if trouble := probe(sys.argv[1]):
        print(" ".join(trouble.split()))
        sys.exit(1)
