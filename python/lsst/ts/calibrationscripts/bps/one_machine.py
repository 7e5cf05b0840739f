# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site of Parsl on the machine of the script alone.

``bps`` imports this, by the setting ``class`` of a site. Parsl's own site for
one machine starts a broker and workers, which take as long as the quanta of
a small job; here threads of the workflow wait for its processes.
"""

from __future__ import annotations

__all__ = ["OneMachine"]

from typing import Any

from lsst.ctrl.bps.parsl.configuration import get_bps_config_value
from lsst.ctrl.bps.parsl.site import SiteConfig
from parsl.executors import ThreadPoolExecutor


class OneMachine(SiteConfig):  # type: ignore[misc, unused-ignore]
    """Processes of the machine on which the workflow is.

    The setting ``cores`` says how many run at the same time.

    Parameters
    ----------
    config : `lsst.ctrl.bps.BpsConfig`
        Configuration of the submission.
    """

    _LABEL = "here"

    def __init__(self, config: Any) -> None:
        # Threads take no requests for memory, cores and priority.
        super().__init__(config, resource_list=[])

    def get_executors(self) -> list[Any]:
        """Return the only executor."""
        cores = get_bps_config_value(self.site, "cores", int, required=True)
        return [ThreadPoolExecutor(label=self._LABEL, max_threads=cores)]

    def select_executor(self, job: Any) -> str:
        """Return the label of the executor of a job."""
        return self._LABEL
