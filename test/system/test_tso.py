#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""TCP between two namespaces with TSO and checksum offload, forwarded by testpmd's csum engine."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from netvsc_tools import harness, jobs, machine  # noqa: E402

SIZE = 100_000_000 if harness.QUICK else 1_000_000_000


class Tso(harness.Case):
    def transfer(self, lro: bool) -> None:
        self.need(machine.no_tap(), machine.no_namespaces())
        result = jobs.tso(self.log(), SIZE, lro=lro)
        self.assertTrue(result.ok, f"{result.loss} {result.note}, see {self.log()}")

    def test_transfer(self) -> None:
        self.transfer(False)

    def test_transfer_with_lro(self) -> None:
        self.transfer(True)


harness.main(__name__)
