#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the distribution's dpdk-telemetry.py shows of our ports."""
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from netvsc_tools import harness, testpmd  # noqa: E402


class Telemetry(harness.Case):
    def ask(self, pmd: testpmd.Testpmd, *commands: str) -> list[Any]:
        """What the answers to the commands say."""
        done = subprocess.run(["dpdk-telemetry.py", "-f", pmd.prefix], input="\n".join([*commands, "quit"]) + "\n",
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)
        self.assertEqual(done.returncode, 0, done.stdout)
        answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"/netvsc/')]
        self.assertEqual(len(answers), len(commands), done.stdout)
        return [answer[command.split(",")[0]] for answer, command in zip(answers, commands)]

    def test_ports_and_channels(self) -> None:
        memory = "no-huge" if testpmd.no_memory("files") else "files"  # in memory only, there is no telemetry
        nics = ["netvsp0,endpoint=loopback,queues=4,mtu=4000", "netvsp1,endpoint=null"]
        with testpmd.Testpmd(self.log(), nics, memory=memory) as pmd:
            self.assertEqual(self.ask(pmd, "/netvsc/list"), [[0, 1]])
            port, other = self.ask(pmd, "/netvsc/port,0", "/netvsc/port,1")
            self.assertEqual((port["name"], port["running"], port["connected"], port["gone"]), ("netvsp0", 1, 1, 0))
            self.assertEqual(port["version"], "NVSP 6.1, NDIS 6.30")
            self.assertEqual((port["rss_queues"], other["rss_queues"]), (4, 1))
            self.assertEqual(port["mtu"], 1500)
            before = self.ask(pmd, "/netvsc/channel,0,0")[0]
            self.assertEqual((before["subchannel"], before["rx_broken"], before["rx_mask"]), (0, 0, 1))
            pmd.command("set burst 4")
            pmd.command("start tx_first")
            pmd.wait_for_packets(4)
            after = self.ask(pmd, "/netvsc/channel,0,0")[0]
            self.assertNotEqual(before["rx_in"], after["rx_in"])
            self.assertNotEqual(before["tx_in"], after["tx_in"])
            self.assertEqual(self.ask(pmd, "/netvsc/channel,0,9", "/netvsc/port,7", "/netvsc/port,x", "/netvsc/channel,0"),
                             [None] * 4)
            pmd.command("stop")
            pmd.command("port stop 0")
            self.assertEqual(self.ask(pmd, "/netvsc/port,0")[0]["running"], 0)
            pmd.command("port close 0")
            self.assertEqual(self.ask(pmd, "/netvsc/list"), [[1]])
            self.assertEqual(pmd.quit(), 0)


harness.main(__name__)
