#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Either side of a vmbus-user connection is killed; the other one lives on."""
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from netvsc_tools import harness  # noqa: E402
from netvsc_tools.testpmd import Daemon, Testpmd, socket_path  # noqa: E402

NIC = "endpoint=generator:size=64"


class Kill(harness.Case):
    def link(self, testpmd: Testpmd, state: str) -> None:
        """The link gets into a state within 10 s."""
        deadline = time.monotonic() + 10
        while f"Link status: {state}" not in (text := testpmd.command("show port info 0")):
            self.assertLess(time.monotonic(), deadline, f"link does not go {state}:\n{text}")
            time.sleep(0.1)

    def test_daemon(self) -> None:
        daemon = Daemon(self.log("netvsp"), socket_path(), [NIC])
        with daemon, Testpmd(self.log(), [f"netvsp0,socket={daemon.socket}"], ["--forward-mode=io"]) as testpmd:
            testpmd.start()
            testpmd.wait_for_packets(1000, "RX-packets", "TX-packets")
            self.link(testpmd, "up")
            daemon.signal(signal.SIGKILL)
            # On the removal event testpmd stops, closes and detaches the port, in a thread of its own:
            # commands for that port would race with it.
            testpmd.wait_for("Port 0: link state change event", 10)
            testpmd.wait_for("Port 0: device removal event", 10)
            testpmd.wait_for("Now total ports is 0", 20)
            self.assertEqual(testpmd.quit(), 0, f"testpmd's exit code, see {self.log()}")

    def test_daemon_before_start(self) -> None:
        daemon = Daemon(self.log("netvsp"), socket_path(), [NIC])
        with daemon, Testpmd(self.log(), [f"netvsp0,socket={daemon.socket}"], ["--disable-device-start"]) as testpmd:
            daemon.signal(signal.SIGKILL)
            time.sleep(0.5)
            testpmd.command("port start 0", timeout=90)
            self.assertEqual(testpmd.quit(), 0, f"testpmd's exit code, see {self.log()}")

    def test_testpmd(self) -> None:
        with Daemon(self.log("netvsp"), socket_path(), [NIC]) as daemon:
            for number in range(3):
                with Testpmd(self.log(f"testpmd{number}"), [f"netvsp0,socket={daemon.socket}"],
                             ["--forward-mode=io"]) as testpmd:
                    testpmd.start()
                    testpmd.wait_for_packets(1000, "RX-packets", "TX-packets")
                    testpmd.signal(signal.SIGKILL)
                    testpmd.wait(10)
                self.assertTrue(daemon.alive(), f"the daemon ended, see {daemon.log}")
            with Testpmd(self.log("last"), [f"netvsp0,socket={daemon.socket}"], ["--forward-mode=io"]) as testpmd:
                testpmd.start()
                testpmd.wait_for_packets(1000, "RX-packets", "TX-packets")
                testpmd.command("stop")
                self.assertEqual(testpmd.quit(), 0, f"testpmd's exit code, see {self.log('last')}")

    def test_daemon_ends_when_asked(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            with Daemon(self.log("netvsp"), socket_path(), [NIC]) as daemon:
                daemon.signal(number)
                self.assertEqual(daemon.wait(10), 0)


harness.main(__name__)
