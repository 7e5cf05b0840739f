# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups of remotes and what usages load."""

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


async def test_a_group_has_its_components_as_attributes(domain: Any) -> None:
    async with RemoteGroup(components=["OCPS:1", "ATOODS"], domain=domain) as group:
        assert group.components == ["OCPS:1", "ATOODS"]
        assert group.components_attr == ["ocps_1", "atoods"]
        assert group.rem.ocps_1.salinfo.name_index == "OCPS:1"
        assert group.check.ocps_1
        assert (group.fast_timeout, group.long_timeout, group.long_long_timeout) == (5.0, 30.0, 120.0)
        assert "evt_job_result" in topic_names(group.rem.ocps_1)
        with pytest.raises(KeyError):
            group.get_required_resources("atcamera", None)


async def test_all_components_must_be_enabled(ocps: Any, domain: Any) -> None:
    async with RemoteGroup(components=["OCPS:1"], domain=domain) as group:
        assert await group.get_state("ocps_1") == salobj.State.ENABLED
        await group.assert_all_enabled("before we begin")
        await group.rem.ocps_1.cmd_disable.start(timeout=TIMEOUT)
        state = group.rem.ocps_1.evt_summaryState
        async with asyncio.timeout(TIMEOUT):
            while (await state.next(flush=False)).summaryState != salobj.State.DISABLED:
                pass
        with pytest.raises(AssertionError, match=r"not enabled: \['ocps_1'\]. before we begin"):
            await group.assert_all_enabled("before we begin")
        group.disable_checks_for_components(["OCPS:1", "unknown"])
        assert not group.check.ocps_1
        await group.assert_all_enabled()


async def test_a_silent_component_has_no_state(domain: Any) -> None:
    async with RemoteGroup(components=["ATOODS"], domain=domain) as group:
        group.fast_timeout = 0.1
        with pytest.raises(asyncio.TimeoutError, match="Timeout getting summary state for atoods"):
            await group.assert_all_enabled()
        assert await group.get_state("atoods", ignore_timeout=True) is None


async def test_a_usage_loads_what_it_needs(domain: Any) -> None:
    usage = LATISSUsages.TakeImage | LATISSUsages.Setup
    async with LATISS(domain=domain, intended_usage=usage) as latiss:
        assert latiss.rem.atoods is None
        assert not latiss.check.atoods
        assert topic_names(latiss.rem.atcamera) == {
            "evt_endReadout",
            "evt_startIntegration",
            "evt_summaryState",
        }
        assert "evt_reportedFilterPosition" in topic_names(latiss.rem.atspectrograph)
        assert hasattr(latiss.rem.atspectrograph, "cmd_changeFilter")


@pytest.mark.parametrize(
    ("usage", "components"),
    [
        (LATISSUsages.All, {"atcamera", "atspectrograph", "atheaderservice", "atoods"}),
        (LATISSUsages.StateTransition, {"atcamera", "atspectrograph", "atheaderservice", "atoods"}),
        (LATISSUsages.TakeImageFull, {"atcamera", "atspectrograph", "atheaderservice"}),
        (LATISSUsages.DryTest, set()),
    ],
)
async def test_usages_name_their_components(domain: Any, usage: int, components: set[str]) -> None:
    latiss = LATISS(domain=domain, intended_usage=usage)
    assert {name for name in latiss.components_attr if getattr(latiss.rem, name) is not None} == components
    assert (latiss.start_task is None) == (not components)
    async with latiss:
        assert not hasattr(latiss.rem.atoods, "evt_imageInOODS")


async def test_a_subclass_adds_its_usage(domain: Any) -> None:
    class OodsUsages(LATISSUsages):
        Ingest = 1 << 7

        def __iter__(self) -> Any:
            return iter([*super().__iter__(), self.Ingest])

    class OodsLatiss(LATISS):
        @property
        def valid_use_cases(self) -> Any:
            return OodsUsages()

        @property
        def usages(self) -> Any:
            usages = super().usages
            usages[OodsUsages.Ingest] = UsagesResources(
                components_attr=["atoods"],
                readonly=True,
                generics=["summaryState"],
                atoods=["imageInOODS"],
            )
            return usages

    async with OodsLatiss(domain=domain, intended_usage=OodsUsages.Ingest) as latiss:
        assert topic_names(latiss.rem.atoods) == {"evt_imageInOODS", "evt_summaryState"}
        assert latiss.rem.atcamera is None


def test_resources_are_for_components_of_the_group() -> None:
    with pytest.raises(TypeError, match="Unexpected keyword argument atoods"):
        UsagesResources(components_attr=["atcamera"], readonly=True, atoods=["imageInOODS"])


async def test_without_a_domain_it_makes_and_closes_its_own(topics: None) -> None:
    async with RemoteGroup(components=["ATOODS"]) as group:
        assert group.domain.isopen
    assert not group.domain.isopen
