# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups of remotes, and usages that limit them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from lsst.ts.calibrationscripts.observatory.sal import (
    LATISS,
    LATISSUsages,
    RemoteGroup,
    UsagesResources,
    salobj,
)

TIMEOUT = 30.0


def topic_names(remote: Any) -> set[str]:
    return {name for name in dir(remote) if name.startswith("evt_")}


class OodsUsages(LATISSUsages):
    Ingest = 1 << 7

    def __iter__(self) -> Any:
        return iter([*super().__iter__(), self.Ingest])


class OodsLatiss(LATISS):
    """LATISS with a usage that needs one component and two topics."""

    @property
    def valid_use_cases(self) -> Any:
        return OodsUsages()

    @property
    def usages(self) -> Any:
        usages = super().usages
        usages[OodsUsages.Ingest] = UsagesResources(
            components_attr=["atoods"], readonly=True, generics=["summaryState"], atoods=["imageInOODS"]
        )
        return usages


async def test_a_group_has_its_components_as_attributes(domain: Any) -> None:
    async with RemoteGroup(components=["OCPS:1", "ATOODS"], domain=domain) as group:
        assert group.components_attr == ["ocps_1", "atoods"]
        assert group.rem.ocps_1.salinfo.name_index == "OCPS:1"
        assert (group.fast_timeout, group.long_timeout, group.long_long_timeout) == (5.0, 30.0, 120.0)
        assert "evt_job_result" in topic_names(group.rem.ocps_1)


async def test_all_components_must_be_enabled(ocps: Any, domain: Any) -> None:
    async with RemoteGroup(components=["OCPS:1"], domain=domain) as group:
        await group.assert_all_enabled("before the start")
        await group.rem.ocps_1.cmd_disable.start(timeout=TIMEOUT)
        state = group.rem.ocps_1.evt_summaryState
        async with asyncio.timeout(TIMEOUT):
            while (await state.next(flush=False)).summaryState != salobj.State.DISABLED:
                pass
        with pytest.raises(AssertionError, match=r"not enabled: \['ocps_1'\]. before the start"):
            await group.assert_all_enabled("before the start")


async def test_the_state_of_a_silent_component_is_not_known(domain: Any) -> None:
    async with RemoteGroup(components=["ATOODS"], domain=domain) as group:
        group.fast_timeout = 0.1
        with pytest.raises(asyncio.TimeoutError, match="Timeout getting summary state for atoods"):
            await group.assert_all_enabled()


async def test_a_usage_limits_components_and_topics(domain: Any) -> None:
    async with OodsLatiss(domain=domain, intended_usage=OodsUsages.Ingest) as latiss:
        assert topic_names(latiss.rem.atoods) == {"evt_imageInOODS", "evt_summaryState"}
        assert hasattr(latiss.rem.atoods, "cmd_start")
        assert latiss.rem.atcamera is None


async def test_without_a_usage_all_topics_are_read(domain: Any) -> None:
    async with LATISS(domain=domain) as latiss:
        assert latiss.components_attr == ["atcamera", "atspectrograph", "atheaderservice", "atoods"]
        assert "evt_imageInOODS" in topic_names(latiss.rem.atoods)


def test_resources_are_for_components_of_the_group() -> None:
    with pytest.raises(TypeError, match="Unexpected keyword argument atoods"):
        UsagesResources(components_attr=["atcamera"], readonly=True, atoods=["imageInOODS"])


async def test_without_a_domain_it_makes_and_closes_its_own(topics: None) -> None:
    async with RemoteGroup(components=["ATOODS"]) as group:
        assert group.domain.isopen
    assert not group.domain.isopen
