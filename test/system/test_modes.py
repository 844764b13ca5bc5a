#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The unmodified testpmd in its forwarding modes: what comes out is what the mode makes of what came in."""
import sys
from pathlib import Path
from typing import Callable

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from netvsc_tools import harness, pcap, testpmd  # noqa: E402
from netvsc_tools.frames import MAC, PEER, SENDER, UDP, checksum, packet  # noqa: E402
from netvsc_tools.jobs import wait_for_frames  # noqa: E402

COUNT = 120


class Modes(harness.Case):
    def run_mode(self, mode: str, given: list[bytes], expected: int, *app: str,
                 commands: tuple[str, ...] = ()) -> tuple[list[bytes], dict[str, int]]:
        """@return the frames that came out, and testpmd's sums"""
        one, other = self.log().with_suffix(".in.pcap"), self.log().with_suffix(".out.pcap")
        other.unlink(missing_ok=True)
        pcap.write(one, given)
        vdev = f"netvsp0,endpoint=pcap:{one}:{other},mac={MAC.hex(':')}"
        # The capture is played as soon as the port starts.
        with testpmd.Testpmd(self.log(), [vdev], ["--no-flush-rx", "--disable-device-start", *app]) as pmd:
            for command in (*commands, "port start all"):
                pmd.command(command)
            self.assertIn(f"Set {mode} packet forwarding mode", pmd.command(f"set fwd {mode}"))
            pmd.start()
            pmd.wait_for_packets(len(given))
            pmd.wait_for_packets(expected, "TX-packets")
            sums = pmd.stop()
            self.assertEqual(pmd.quit(), 0, f"testpmd's exit code, see {self.log()}")
        out = wait_for_frames(other, expected, 20)
        self.assertEqual(sums["RX-packets"], len(given), f"see {self.log()}")
        for path in (one, other):
            path.unlink(missing_ok=True)
        return out, sums

    def forwards(self, mode: str, make: Callable[[int], bytes], *app: str, right: bool = True,
                 commands: tuple[str, ...] = ()) -> None:
        """Every packet comes out, and is what make(number) says."""
        given = [packet(number, right=right) for number in range(COUNT)]
        out, _ = self.run_mode(mode, given, COUNT, *app, commands=commands)
        self.assertEqual(pcap.difference([make(number) for number in range(COUNT)], out), "", f"see {self.log()}")

    def test_io(self) -> None:
        self.forwards("io", packet)

    def test_noisy(self) -> None:
        self.forwards("noisy", packet)

    def test_mac(self) -> None:
        self.forwards("mac", lambda number: packet(number, to=PEER, source=MAC))

    def test_macswap(self) -> None:
        self.forwards("macswap", lambda number: packet(number, to=SENDER, source=MAC))

    def test_5tswap(self) -> None:
        self.forwards("5tswap", lambda number: packet(number, to=SENDER, source=MAC, swap=True))

    def csum(self, by: str, *app: str) -> None:
        """Checksums that are wrong when they come are right when they leave."""
        self.forwards("csum", lambda number: packet(number, to=PEER, source=MAC), *app, right=False,
                      commands=tuple(f"csum set {what} {by} 0" for what in ("ip", "tcp", "udp")))

    def test_csum_software(self) -> None:
        self.csum("sw")

    def test_csum_offload(self) -> None:
        self.csum("hw", "--tx-offloads=0xe", "--enable-rx-cksum")

    def test_csum_counts_bad_ones(self) -> None:
        given = [packet(number, right=number % 3 != 0) for number in range(COUNT)]
        self.run_mode("csum", given, COUNT, "--enable-rx-cksum")
        text = self.log().read_text()
        bad = [number for number in range(COUNT) if number % 3 == 0]
        ip = sum(number % 2 == 0 for number in bad)
        self.assertRegex(text, rf"Bad-ipcsum: {ip} +Bad-l4csum: {len(bad)} ", f"see {self.log()}")

    # shared_rxq is left out: without queues that ports share, testpmd 22.11 crashes in it, with any driver.
    def test_rxonly(self) -> None:
        out, sums = self.run_mode("rxonly", [packet(number) for number in range(COUNT)], 0)
        self.assertEqual((out, sums["TX-packets"]), ([], 0))

    def generates(self, mode: str) -> None:
        out, sums = self.run_mode(mode, [packet(0)] if mode == "flowgen" else [], 1000)
        self.assertGreaterEqual(len(out), 1000, f"see {self.log()}")
        for frame in out[:1000]:
            self.assertEqual(frame[12:15], b"\x08\x00\x45")
            self.assertEqual(checksum(frame[14:34]), 0, "the IPv4 header's checksum")
            self.assertEqual(frame[23], UDP)
        self.assertGreaterEqual(sums["TX-packets"], 1000)

    def test_txonly(self) -> None:
        self.generates("txonly")

    def test_flowgen(self) -> None:
        self.generates("flowgen")


harness.main(__name__)
