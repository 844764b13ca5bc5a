#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""This driver on devices that the kernel's uio_hv_generic has, of every generation, as tools/uio-host emulates it."""
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from netvsc_tools import harness, jobs, machine  # noqa: E402
from netvsc_tools.testpmd import Testpmd, UioGuest, no_memory  # noqa: E402

COUNT = 500 if harness.QUICK else 2000
SIZE = 10_000_000 if harness.QUICK else 100_000_000
TOOL = str(machine.ROOT / "tools/uio-host")


class Uio(harness.Case):
    def setUp(self) -> None:
        super().setUp()
        self.need(no_memory("in-memory"))

    def ping(self, kernel: str, monitor: bool) -> None:
        self.need(machine.no_tap(), machine.no_namespaces())
        result = jobs.ping(self.log(), COUNT, guest=UioGuest(kernel=kernel, nic=f",monitor={int(monitor)}"))
        self.assertTrue(result.ok, f"lost {result.loss} {result.note}, see {self.log()}")

    def test_ping_small_buffers(self) -> None:
        self.ping("small-buffers", True)

    def test_ping_monitor_only(self) -> None:
        self.ping("monitor-only", True)

    def test_ping_primary_only(self) -> None:
        self.ping("primary-only", False)

    def test_ping_masks(self) -> None:
        self.ping("masks", False)

    def test_ping_current(self) -> None:
        self.ping("current", False)

    def queues(self, kernel: str, monitor: bool) -> None:
        """Frames through 16 queues, and again after the port was stopped: all are verified by the host."""
        count = 50_000
        nic = f"netvsp0,endpoint=generator:size=700:flows=64:rate=20000,queues=16,monitor={int(monitor)}"
        app = ["--forward-mode=io", "--no-flush-rx", "--rxq=16", "--txq=16", "--disable-device-start"]
        with Testpmd(self.log(), [nic], app, guest=UioGuest(kernel=kernel)) as pmd:
            pmd.command("port start all")
            pmd.start()
            pmd.wait_for_packets(count, timeout=60)
            pmd.command("stop")
            pmd.command("port stop all")
            pmd.command("clear port stats all")
            pmd.command("port start all")
            pmd.start()
            pmd.wait_for_packets(count, "RX-packets", "TX-packets", timeout=60)
            pmd.command("stop")
            self.assertEqual(pmd.quit(), 0, f"testpmd's exit code, see {pmd.log}")
        host = pmd.host_counters()[0]
        self.assertEqual((host["protocol_errors"], host["corrupted"], host["reordered"]), (0, 0, 0), f"see {pmd.report}")
        self.assertGreater(host["verified"], count)

    def test_queues_with_monitor(self) -> None:
        self.queues("monitor-only", True)

    def test_queues_signalled_through_the_primary(self) -> None:
        self.queues("primary-only", False)

    def test_queues(self) -> None:
        self.queues("current", False)

    def test_tcp(self) -> None:
        self.need(machine.no_tap(), machine.no_namespaces())
        result = jobs.tcp(self.log(), SIZE, guest=UioGuest())
        self.assertTrue(result.ok, f"{result.loss} {result.note}, see {self.log()}")

    def test_what_old_kernels_do_not_bind(self) -> None:
        """Channels without a monitor id need a call that uio_hv_generic did not make before 2024."""
        done = subprocess.run([TOOL, "--kernel=monitor-only", "--nic", "endpoint=null", "--", "ls", "/sys/bus/vmbus/devices/"],
                              text=True, capture_output=True, check=True)
        self.assertIn("vmbus channel requires hypercall", done.stderr)
        device = done.stdout.strip()
        done = subprocess.run([TOOL, "--kernel=monitor-only", "--nic", "endpoint=null", "--", "ls", f"/sys/bus/vmbus/devices/{device}"],
                              text=True, capture_output=True, check=True)
        self.assertIn("class_id", done.stdout.split())
        self.assertNotIn("driver", done.stdout.split())

    def test_usage(self) -> None:
        def fails(*arguments: str) -> tuple[int, str]:
            done = subprocess.run([TOOL, *arguments], text=True, capture_output=True, check=False)
            return done.returncode, done.stderr

        self.assertEqual(fails("--nic", "endpoint=null")[0], 2)
        self.assertEqual(fails("--kernel=3.0", "--nic", "endpoint=null", "--", "true")[0], 2)
        self.assertEqual(fails("--nic", "endpoint=null", "--", "/no/such/program")[0], 127)
        self.assertEqual(fails("--nic", "endpoint=null", "--", "sh", "-c", "exit 7")[0], 7)
        code, text = fails("--nic", "endpoint=nonsense", "--", "ls", "/sys/bus/vmbus")
        self.assertNotEqual(code, 0)
        self.assertIn('endpoint "nonsense" is unknown', text)


harness.main(__name__)
