#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The example l2fwd exchanges two captures between two NICs."""
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from netvsc_tools import harness, machine, pcap, testpmd  # noqa: E402
from netvsc_tools.jobs import wait_for_frames  # noqa: E402
from netvsc_tools.process import Process  # noqa: E402

MACS = ["02:00:00:00:00:01", "02:00:00:00:00:02"]
LENGTHS = [60 + i * 5 for i in range(291)]  # few enough for the ring: l2fwd drops what does not fit


class L2fwd(harness.Case):
    def test_captures(self) -> None:
        frames, outs, vdevs = [], [], []
        for port, mac in enumerate(MACS):
            given, out = self.log(f"in{port}").with_suffix(".pcap"), self.log(f"out{port}").with_suffix(".pcap")
            out.unlink(missing_ok=True)
            frames.append(pcap.random_frames(LENGTHS, mac, seed=port))
            pcap.write(given, frames[port])
            outs.append(out)
            vdevs.append(f"--vdev=netvsp{port},endpoint=pcap:{given}:{out},mac={mac}")
        cpu = machine.cpus()[-1]
        command = [str(machine.BUILD / "examples/l2fwd/l2fwd"), "-d", str(machine.plugin()), "--lcores", f"0@{cpu}",
                   "--no-pci", "-m", "256", *testpmd.memory_arguments(testpmd.best_memory()), "--file-prefix",
                   testpmd.file_prefix(), *vdevs]
        with Process(command, self.log("l2fwd"), env=testpmd.sanitizer_env()) as l2fwd:
            l2fwd.wait_for("^forwarding", 60)
            for port in range(2):
                wait_for_frames(outs[1 - port], len(LENGTHS), 20)
            l2fwd.signal(signal.SIGINT)
            self.assertEqual(l2fwd.wait(20), 0, f"l2fwd's exit code, see {l2fwd.log}")
            time.sleep(0.1)
            self.assertIn("dropped 0", l2fwd.text)
        for port in range(2):
            self.assertEqual(pcap.difference(frames[port], pcap.read(outs[1 - port])), "", f"from port {port}, see {l2fwd.log}")


harness.main(__name__)
