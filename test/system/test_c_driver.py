#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's own netvsc driver, as the distribution packages it, on the emulated host: an independent judge of the host.

What it cannot do, and where it is wrong, is in docs/c-driver.md.
"""
import re
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from netvsc_tools import frames, harness, jobs, machine, pcap  # noqa: E402
from netvsc_tools.network import RawSocket, tap_name  # noqa: E402
from netvsc_tools.process import run  # noqa: E402
from netvsc_tools.testpmd import Testpmd, UioGuest, no_memory  # noqa: E402

# Without a monitor id DPDK 22.11 finds no device at all: its bus's scan fails.
GUEST = UioGuest(ours=False, nic=",monitor=1")
COUNT = 500 if harness.QUICK else 2000
SIZE = 10_000_000 if harness.QUICK else 100_000_000
MAC = "02:00:00:00:00:01"
OFFLOADS = ["csum set ip hw 0", "csum set tcp hw 0", "csum set udp hw 0"]


class CDriver(harness.Case):
    def setUp(self) -> None:
        super().setUp()
        self.need(no_memory("in-memory"))

    def accepted(self, pmd: Testpmd) -> list[dict[str, Any]]:
        """The host found nothing wrong. @return its counters"""
        counters = pmd.host_counters()
        for nic in counters:
            wrong = {key: nic[key] for key in ("protocol_errors", "tx_errors", "tx_csum_undone", "tx_not_enabled", "tx_unseeded") if nic[key]}
            self.assertEqual(wrong, {}, f"{nic['last_error']}, see {pmd.log}")
        return counters

    def generated(self, queues: int) -> None:
        """Frames of many flows go round; after a stop and a start again."""
        nic = f"netvsp0,endpoint=generator:size=700:flows=64:rate=20000,queues={queues}"
        app = ["--forward-mode=io", "--no-flush-rx", f"--rxq={queues}", f"--txq={queues}"]
        with Testpmd(self.log(), [nic], app, guest=GUEST) as pmd:
            info = pmd.command("show port info 0")
            self.assertIn("Driver name: net_netvsc", info)
            self.assertIn("Link speed: 40 Gbps", info)
            for _ in range(2):
                pmd.start()
                time.sleep(2)
                text = pmd.command("stop")
                each = [int(n) for n in re.findall(r"Queue= *\d+ -> .*\n +RX-packets: +(\d+)", text)] or \
                    [int(re.findall(r"RX-packets: +(\d+)", text)[0])]
                self.assertEqual(len(each), queues)
                self.assertGreater(min(each), 20000 / queues / 4, f"frames of each queue: {each}")
                pmd.command("port stop all")
                pmd.command("port start all")
            self.assertEqual(pmd.quit(), 0, f"testpmd's exit code, see {pmd.log}")
        host = self.accepted(pmd)[0]
        self.assertEqual((host["corrupted"], host["reordered"], host["foreign"]), (0, 0, 0))
        self.assertGreater(host["verified"], 20000)
        self.assertEqual(host["nvsp_version"], 0x60001)

    def test_one_queue(self) -> None:
        self.generated(1)

    def test_four_queues(self) -> None:
        self.generated(4)

    def frames_of(self, size: int) -> dict[str, Any]:
        """Frames of this size go round for a while, at an MTU of 1900. @return the host's counters"""
        with Testpmd(self.log(), [f"netvsp0,endpoint=generator:size={size}:rate=5000,mtu=9000"],
                     ["--forward-mode=io", "--no-flush-rx", "--disable-device-start"], guest=GUEST) as pmd:
            pmd.command("port config mtu 0 1900")
            pmd.command("port start 0")
            self.assertIn("MTU: 1900", pmd.command("show port info 0"))
            pmd.start()
            time.sleep(1)
            pmd.command("stop")
            self.assertEqual(pmd.quit(), 0, f"testpmd's exit code, see {pmd.log}")
        return self.accepted(pmd)[0]

    def test_mtu(self) -> None:
        """The longest frames of the usual MTU. It takes a larger one, but does not tell the host: longer ones do not come."""
        host = self.frames_of(1514)
        self.assertGreater(host["verified"], 1000)
        self.assertEqual(host["endpoint_sent_bytes"], 1514 * host["endpoint_sent_frames"])
        self.assertEqual(self.frames_of(1600)["endpoint_sent_frames"], 0)

    def test_ping(self) -> None:
        self.need(machine.no_tap(), machine.no_namespaces())
        result = jobs.ping(self.log(), COUNT, guest=GUEST)
        self.assertTrue(result.ok, f"lost {result.loss} {result.note}, see {self.log()}")

    def test_tcp(self) -> None:
        self.need(machine.no_tap(), machine.no_namespaces())
        result = jobs.tcp(self.log(), SIZE, guest=GUEST)
        self.assertTrue(result.ok, f"{result.loss} {result.note}, see {self.log()}")

    def wire(self, mode: str, given: list[bytes], app: list[str], commands: list[str]) -> tuple[list[bytes], dict[str, Any]]:
        """Frames that come from the network go back to it, changed by testpmd and by the host's offloads. @return them, and
        the host's counters"""
        self.need(machine.no_tap())
        tap = tap_name()
        with Testpmd(self.log(), [f"netvsp0,endpoint=tap:{tap},mac={MAC}"], [f"--forward-mode={mode}", *app], guest=GUEST) as pmd:
            for command in ["port stop all", *commands, "port start all"]:
                pmd.command(command)
            with RawSocket(tap) as network:
                pmd.start()
                for frame in given:
                    network.send(frame)
                got = network.receive(len(given), 10)
            pmd.command("stop")
            self.assertEqual(pmd.quit(), 0, f"testpmd's exit code, see {pmd.log}")
        return got, self.accepted(pmd)[0]

    def same(self, got: list[bytes], wanted: list[bytes]) -> None:
        self.assertEqual(pcap.difference(wanted, got), "", f"see {self.log()}")

    def test_checksums(self) -> None:
        """IPv4's is made by the host, those of TCP and UDP left to the TAP's kernel, with the pseudo header's sum."""
        got, host = self.wire("csum", [frames.packet(n, right=False, seed="checksum") for n in range(100)],
                              ["--tx-offloads=0xe"], OFFLOADS)
        self.same(got, [frames.packet(n, to=frames.PEER, source=frames.MAC, seed="checksum") for n in range(100)])
        self.assertEqual(host["tx_csum"], 100)

    def test_tso(self) -> None:
        """The TAP takes large sends as such: what is in them, and how many there were."""
        numbers = [n for n in range(400) if n % 4 < 2 and len(frames.packet(n)) > 800]
        got, host = self.wire("csum", [frames.packet(n, seed="large") for n in numbers], ["--tx-offloads=0x2e"],
                              [*OFFLOADS, "tso set 500 0"])
        self.assertEqual(len(got), len(numbers))
        for number, frame in zip(numbers, got):
            payload = 54 if number % 2 == 0 else 74
            self.assertEqual(frame[payload:].hex(), frames.packet(number)[payload:].hex(), f"see {self.log()}")
        self.assertEqual(host["tx_lso"], len(numbers))
        self.assertEqual(host["endpoint_sent_large"], len(numbers))

    def test_vlan(self) -> None:
        """Tags are taken out, and put in again."""
        numbers = range(1, 101)
        got, host = self.wire("mac", [frames.tagged(frames.packet(n), 0x6000 | n) for n in numbers],
                              ["--enable-hw-vlan-strip", "--tx-offloads=0x1"], ["tx_vlan set 0 77"])
        self.same(got, [frames.tagged(frames.packet(n, to=frames.PEER, source=frames.MAC), 77) for n in numbers])
        self.assertEqual((host["rx_vlan"], host["tx_vlan"]), (100, 100))

    def test_vf(self) -> None:
        """The VF's driver is DPDK's net_af_packet, whose interface comes and goes at the host."""
        self.need(machine.no_tap())
        interface = tap_name()
        run("ip", "tuntap", "add", "mode", "tap", "name", interface)
        self.addCleanup(run, "ip", "link", "del", interface, check=False)
        mac = "00:15:5d:0a:0b:0c"
        run("ip", "link", "set", interface, "address", mac)
        nic = f"netvsp0,endpoint=generator:size=200:flows=8:rate=5000:dst={mac},mac={mac},vf={interface}"
        app = ["--forward-mode=io", "--no-flush-rx", "--disable-device-start"]
        with Testpmd(self.log(), [nic, f"net_af_packet0,iface={interface}"], app, guest=GUEST) as pmd:
            # It looks for the VF once a second, and wants a port that nobody has started.
            pmd.wait_for("found matching VF port 1", 10)
            pmd.command("set portlist 0")
            pmd.command("port start 0")
            pmd.start()

            def by_vf(wanted: bool) -> bool:
                def counts() -> list[int]:
                    text = pmd.command("show port xstats 0")
                    return [int(n) for name in ("rx_good_packets", "vf_rx_good_packets")
                            for n in re.findall(rf"^{name}: (\d+)", text, re.M)] + [0]

                before = counts()
                time.sleep(0.5)
                moved, by_vf, *_ = [after - then for after, then in zip(counts(), before)]
                return moved > 100 and (by_vf > 100) == wanted

            self.eventually("frames by the VF", lambda: by_vf(True))
            run("ip", "link", "set", interface, "down")
            self.eventually("frames by the NIC", lambda: by_vf(False))
            pmd.command("stop")
            self.assertEqual(pmd.quit(), 0, f"testpmd's exit code, see {pmd.log}")
        self.accepted(pmd)


harness.main(__name__)
