#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's own vmbus bus and netvsc driver are loaded too: ours takes over and says so once."""
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from netvsc_tools import harness  # noqa: E402
from netvsc_tools.process import run  # noqa: E402
from netvsc_tools.testpmd import Testpmd  # noqa: E402

TAKES_OVER = re.compile(r"takes the vmbus bus over")


class Takeover(harness.Case):
    def distribution_plugins(self) -> list[str]:
        """Paths of DPDK's own vmbus and netvsc plugins."""
        libraries = Path(run("pkg-config", "--variable=libdir", "libdpdk").strip())
        found = [next(iter(sorted(libraries.glob(f"dpdk/pmds-*/{name}"))), None)
                 for name in ("librte_bus_vmbus.so", "librte_net_netvsc.so")]
        if None in found:
            self.skipTest("this DPDK has no vmbus and netvsc plugins of its own")
        return [str(path) for path in found]

    def takes_over(self, eal: list[str]) -> None:
        with Testpmd(self.log(), ["netvsp0,endpoint=generator:size=64"], ["--forward-mode=rxonly"], eal=eal) as testpmd:
            lines = [line for line in testpmd.text.splitlines() if TAKES_OVER.search(line)]
            testpmd.start()
            testpmd.wait_for_packets(1000)
            testpmd.command("stop")
            devices = testpmd.command("show device info all")
            self.assertEqual(testpmd.quit(), 0, f"testpmd's exit code, see {self.log()}")
        self.assertEqual(len(lines), 1, f"one line says that ours takes over, see {self.log()}")
        self.assertEqual(len(re.findall(r"^\s*Port id: ", devices, re.M)), 1, f"one port on one device:\n{devices}")

    def test_installed(self) -> None:
        """As installed: DPDK loads its own from its plugin folder."""
        self.distribution_plugins()
        self.takes_over([])

    def test_named_too(self) -> None:
        """DPDK's own are named with -d after ours."""
        self.takes_over([part for path in self.distribution_plugins() for part in ("-d", path)])


harness.main(__name__)
