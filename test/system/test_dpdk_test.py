#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's own tests (dpdk-test of the distribution) that use whatever port there is, on a port of ours."""
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from netvsc_tools import harness, machine, testpmd  # noqa: E402
from netvsc_tools.process import Process  # noqa: E402


class DpdkTest(harness.Case):
    def run_test(self, name: str, nic: str = "queues=4", timeout: float = 120, seconds: float = 0) -> None:
        """@param seconds: after which a test is told to end that would not by itself"""
        cpus = machine.cpus()
        command = ["dpdk-test", "-d", str(machine.plugin()), "--lcores", f"0@{cpus[0]},1@{cpus[-1]}", "--no-pci",
                   "-m", "512", *testpmd.memory_arguments(testpmd.best_memory()), "--file-prefix", testpmd.file_prefix(),
                   f"--vdev=netvsp0,endpoint=loopback,{nic}"]
        with Process(command, self.log("dpdk-test"), tty=True, env=testpmd.sanitizer_env()) as program:
            position = program.wait_for("RTE>>", 60).end()
            program.write(f"{name}\n")
            if seconds:
                program.wait_for("Performance test runs", timeout, position)
                time.sleep(seconds)
                program.signal(signal.SIGUSR1)
            verdict = program.wait_for(r"^Test (OK|Failed|Skipped)", timeout, position)
            self.assertEqual(verdict[1], "OK", f"see {program.log}")
            program.write("quit\n")
            self.assertEqual(program.wait(30), 0, f"dpdk-test's exit code, see {program.log}")

    def test_link_status(self) -> None:
        self.run_test("ethdev_link_status")

    def test_latency_statistics(self) -> None:
        self.run_test("latencystats_autotest")

    def test_bit_rate_statistics(self) -> None:
        self.run_test("bitratestats_autotest")

    def test_rx_adapter(self) -> None:
        self.run_test("event_eth_rx_adapter_autotest")

    def test_rx_interrupt_adapter(self) -> None:
        self.run_test("event_eth_rx_intr_adapter_autotest")

    def test_tx_adapter(self) -> None:
        self.run_test("event_eth_tx_adapter_autotest")

    def test_performance(self) -> None:
        """Frames go round and round, and none is dropped."""
        self.run_test("pmd_perf_autotest", seconds=3)
        self.assertRegex(self.log("dpdk-test").read_text(), r"[1-9]\d{4,} packet, 0 drop")

    def test_vdev(self) -> None:
        self.run_test("vdev_autotest")

    def test_interrupts(self) -> None:
        self.run_test("interrupt_autotest")


harness.main(__name__)
