#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A namespace pings; testpmd answers through TAP, emulated host and driver."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from netvsc_tools import harness, jobs, machine, testpmd  # noqa: E402

COUNT = 500 if harness.QUICK else 2000


class Icmp(harness.Case):
    def setUp(self) -> None:
        super().setUp()
        self.need(machine.no_tap(), machine.no_namespaces())

    def ping(self, memory: str) -> None:
        self.need(testpmd.no_memory(memory))
        result = jobs.ping(self.log(), COUNT, memory=memory)
        self.assertTrue(result.ok, f"lost {result.loss} {result.note}, see {self.log()}")

    def test_hugepages(self) -> None:
        self.ping("in-memory")

    def test_no_huge(self) -> None:
        self.ping("no-huge")


harness.main(__name__)
