#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A TCP transfer between two namespaces, forwarded by testpmd between two netvsc ports."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from netvsc_tools import harness, jobs, machine  # noqa: E402

SIZE = 10_000_000 if harness.QUICK else 100_000_000


class Tcp(harness.Case):
    def test_transfer(self) -> None:
        self.need(machine.no_tap(), machine.no_namespaces())
        result = jobs.tcp(self.log(), SIZE)
        self.assertTrue(result.ok, f"{result.loss} {result.note}, see {self.log()}")


harness.main(__name__)
