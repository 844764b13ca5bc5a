#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Wrong device arguments: a clear error line, and the application goes on with its other ports."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from netvsc_tools import harness  # noqa: E402
from netvsc_tools.testpmd import Testpmd  # noqa: E402

GOOD = "netvsp0,endpoint=null"


class Args(harness.Case):
    def wrong(self, arguments: str, *named: str) -> None:
        """Besides a good one, a device with wrong arguments. The error names what is wrong."""
        with Testpmd(self.log(), [GOOD, f"netvsp1,{arguments}"]) as testpmd:
            startup = testpmd.text
            self.assertEqual(len(testpmd.stats()), 1, "the good port is there, the wrong one is not")
            testpmd.start()
            testpmd.command("stop")
            self.assertEqual(testpmd.quit(), 0, f"testpmd's exit code, see {self.log()}")
        lines = [line for line in startup.splitlines() if all(word in line for word in named)]
        self.assertEqual(len(lines), 1, f"one error line names {named}, see {self.log()}:\n" + "\n".join(lines))

    def test_unknown_endpoint(self) -> None:
        self.wrong("endpoint=nosuch", "nosuch")

    def test_unknown_argument(self) -> None:
        self.wrong("endpoint=null,nosucharg=1", "nosucharg")

    def test_bad_mac(self) -> None:
        self.wrong("endpoint=null,mac=02:xx:00:00:00:01", "02:xx:00:00:00:01")

    def test_bad_mtu(self) -> None:
        self.wrong("endpoint=null,mtu=20", "mtu", "20")

    def test_bad_queues(self) -> None:
        self.wrong("endpoint=null,queues=65", "queues", "65")

    def test_bad_nvsp(self) -> None:
        self.wrong("endpoint=null,nvsp=0x12345", "nvsp", "0x12345")

    def test_missing_capture(self) -> None:
        self.wrong("endpoint=pcap:/nonexistent/in.pcap:/nonexistent/out.pcap", "/nonexistent/in.pcap")

    def test_no_daemon(self) -> None:
        self.wrong("socket=/nonexistent/netvsp.sock", "/nonexistent/netvsp.sock")

    def test_socket_and_endpoint(self) -> None:
        self.wrong("socket=/nonexistent/netvsp.sock,endpoint=null", "socket", "endpoint")


harness.main(__name__)
