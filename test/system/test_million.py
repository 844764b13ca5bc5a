#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A million numbered frames go through testpmd, as fast as they come back: none may be lost, damaged or reordered."""
import json
import re
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from netvsc_tools import harness  # noqa: E402
from netvsc_tools.testpmd import Daemon, Testpmd, socket_path  # noqa: E402

COUNT = 1_000_000


class Million(harness.Case):
    def through(self, size: int, *arguments: str, queues: int = 1) -> None:
        nic = f"endpoint=generator:size={size}:flows=64:window=1024:count={COUNT},queues={queues}"
        app = [f"--rxq={queues}", f"--txq={queues}"]
        with Daemon(self.log("netvsp"), socket_path(), [nic], "--json") as daemon:
            vdev = ",".join([f"netvsp0,socket={daemon.socket}", *arguments])
            with Testpmd(self.log(), [vdev], ["--forward-mode=io", "--no-flush-rx", "--txd=2048", *app]) as testpmd:
                testpmd.start()
                testpmd.wait_for_packets(COUNT, "RX-packets", "TX-packets", timeout=120)
                sums = testpmd.stop()
                self.assertEqual(sums["TX-dropped"], 0)
                # Of 64 flows, each queue gets some; testpmd lists the queues that got any.
                used = set(re.findall(r"Forward Stats for RX Port= 0/Queue= *(\d+)", testpmd.text))
                self.assertEqual(len(used), queues if queues > 1 else 0, f"queues that received: {used}")
                self.assertEqual(testpmd.quit(), 0, f"testpmd's exit code, see {self.log()}")
            time.sleep(0.2)
            daemon.signal(signal.SIGTERM)
            self.assertEqual(daemon.wait(10), 0)
            final = [json.loads(line) for line in daemon.text.splitlines() if line.startswith("{")][-1]
        nic_stats = final["nics"][0]
        self.assertEqual({key: nic_stats[key] for key in
                          ("verified", "lost", "reordered", "corrupted", "foreign", "endpoint_dropped", "protocol_errors",
                           "suballocations_in_use")},
                         {"verified": COUNT, "lost": 0, "reordered": 0, "corrupted": 0, "foreign": 0, "endpoint_dropped": 0,
                          "protocol_errors": 0, "suballocations_in_use": 0})

    def test_copied(self) -> None:
        self.through(64)

    def test_sixteen_queues(self) -> None:
        self.through(64, queues=16)

    def test_external_mbufs_and_gpa_direct(self) -> None:
        self.through(200, "rx_extmbuf_enable=1", "rx_copybreak=0", "tx_copybreak=0")


harness.main(__name__)
