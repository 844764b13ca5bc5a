#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Captures through testpmd: byte-identical, in order, nothing lost, in every memory mode."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from netvsc_tools import harness, jobs, testpmd  # noqa: E402

STANDARD = [*range(60, 1515), 60, 1514] * (1 if harness.QUICK else 3)
JUMBO = [*range(60, 9014, 31), 1514, 1515, 6000, 6144, 9014, 60, 9014]
JUMBO_NIC = "mtu=9100"


class Pcap(harness.Case):
    """The host inside testpmd's process, or (daemon) in a process of its own."""

    def through(self, lengths: list[int], *, nic: str = "", app: tuple[str, ...] = (), eal: tuple[str, ...] = (),
                memory: str = "", daemon: bool = False) -> None:
        if memory:
            self.need(testpmd.no_memory(memory))
        result = jobs.captures(self.log(), lengths, nic=nic, app=app, eal=eal, memory=memory, daemon=daemon)
        self.assertTrue(result.ok, f"{result.note}, lost {result.loss}, see {self.log()}")

    def test_standard(self) -> None:
        self.through(STANDARD)

    def test_standard_daemon(self) -> None:
        self.through(STANDARD, daemon=True)

    def jumbo(self, daemon: bool) -> None:
        self.through(JUMBO, nic=JUMBO_NIC, daemon=daemon, app=("--max-pkt-len=9018", "--mbuf-size=9728"))

    def test_jumbo(self) -> None:
        self.jumbo(False)

    def test_jumbo_daemon(self) -> None:
        self.jumbo(True)

    def chains(self, daemon: bool) -> None:
        """Frames of up to 24 mbufs, received scattered and sent as they are."""
        self.through(JUMBO, nic=JUMBO_NIC, daemon=daemon,
                     app=("--max-pkt-len=9018", "--mbuf-size=512", "--enable-scatter", "--tx-offloads=0x8000"))

    def test_chains(self) -> None:
        self.chains(False)

    def test_chains_daemon(self) -> None:
        self.chains(True)

    def test_hugepage_files(self) -> None:
        self.through(STANDARD, memory="files")

    def test_hugepage_files_daemon(self) -> None:
        self.through(STANDARD, memory="files", daemon=True)

    def test_in_memory(self) -> None:
        self.through(STANDARD, memory="in-memory")

    def test_in_memory_daemon(self) -> None:
        self.through(STANDARD, memory="in-memory", daemon=True)

    def test_no_huge(self) -> None:
        self.through(STANDARD, memory="no-huge")

    def test_no_huge_daemon(self) -> None:
        self.through(STANDARD, memory="no-huge", daemon=True)

    def test_single_file_segments_daemon(self) -> None:
        self.through(STANDARD, memory="files", eal=("--single-file-segments",), daemon=True)

    def test_legacy_memory_daemon(self) -> None:
        self.through(STANDARD, memory="files", eal=("--legacy-mem",), daemon=True)

    def test_iova_va(self) -> None:
        self.through(STANDARD, memory="in-memory", eal=("--iova-mode=va",))

    def test_iova_va_daemon(self) -> None:
        self.through(STANDARD, memory="in-memory", eal=("--iova-mode=va",), daemon=True)

    def test_iova_pa(self) -> None:
        self.through(STANDARD, memory="in-memory", eal=("--iova-mode=pa",))

    def test_iova_pa_daemon(self) -> None:
        self.through(STANDARD, memory="in-memory", eal=("--iova-mode=pa",), daemon=True)


harness.main(__name__)
