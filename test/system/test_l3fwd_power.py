#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's example l3fwd-power, unmodified, sleeps on receive interrupts and misses no packet."""
import os
import random
import select
import shlex
import socket
import struct
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from netvsc_tools import harness, machine, testpmd  # noqa: E402
from netvsc_tools.network import tap_name  # noqa: E402
from netvsc_tools.process import Process, run  # noqa: E402

COUNT = 100 if harness.QUICK else 400
SOURCE = machine.BUILD / "dpdk-headers/examples/l3fwd-power"
ALL = 0x0003  # ETH_P_ALL


def packet(number: int) -> bytes:
    """UDP to 2.1.1.9, which l3fwd-power's table sends out of port 1."""
    payload = struct.pack(">I", number) * 5
    udp = struct.pack(">HHHH", 1000, 2000, 8 + len(payload), 0) + payload
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), number, 0, 64, 17, 0, bytes([1, 1, 1, 9]), bytes([2, 1, 1, 9]))
    total = sum(struct.unpack(">10H", ip))
    total = (total & 0xFFFF) + (total >> 16)
    ip = ip[:10] + struct.pack(">H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF) + ip[12:]
    return bytes.fromhex("020000000001" "02000000ffff" "0800") + ip + udp


def cpu_seconds(pid: int) -> float:
    """What the lcore has used that forwards. (The main lcore waits for it without sleeping.)"""
    stats = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    fields = next(stat for stat in stats if "(rte-worker-1)" in stat).rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class L3fwdPower(harness.Case):
    def build(self) -> str:
        if not SOURCE.is_dir():
            self.skipTest("no source of l3fwd-power: the installed DPDK is no package of the distribution")
        program = machine.BUILD / "l3fwd-power"
        flags = shlex.split(run("pkg-config", "--cflags", "--libs", "libdpdk"))
        run("cc", "-O2", "-DALLOW_EXPERIMENTAL_API", "-o", str(program), *map(str, sorted(SOURCE.glob("*.c"))), *flags,
            timeout=120)
        return str(program)

    def open(self, tap: str) -> socket.socket:
        run("ip", "link", "set", tap, "up")
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL))
        self.addCleanup(raw.close)
        raw.bind((tap, ALL))
        return raw

    def arrival(self, raw: socket.socket, number: int, timeout: float) -> bool:
        """Whether the packet of this number comes; what else there is on the network does not matter."""
        payload = packet(number)[42:]
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            if select.select([raw], [], [], left)[0]:
                frame = raw.recv(2048)
                if frame[12:14] == b"\x08\x00" and frame[30:34] == bytes([2, 1, 1, 9]) and frame[42:] == payload:
                    return True
        return False

    def test_sleeps_and_wakes(self) -> None:
        self.need(machine.no_tap())
        program = self.build()
        taps = [tap_name(), tap_name()]  # two queues each: every lcore wants one to send
        cpus = machine.cpus()
        command = [program, "-d", str(machine.plugin()), "--lcores", f"0@{cpus[0]},1@{cpus[-1]}", "--no-pci", "-m", "256",
                   *testpmd.memory_arguments(testpmd.best_memory()), "--file-prefix", testpmd.file_prefix(),
                   *(f"--vdev=netvsp{port},endpoint=tap:{tap},queues=2" for port, tap in enumerate(taps)),
                   "--", "-p", "0x3", "-P", "--config=(0,0,1),(1,0,1)", "--interrupt-only"]
        with Process(command, self.log("l3fwd-power"), tty=True, env=testpmd.sanitizer_env()) as power:
            power.wait_for("entering main interrupt loop|Entering main", 60)
            ends = [self.open(tap) for tap in taps]
            self.assertTrue(any(ends[0].send(packet(0)) and self.arrival(ends[1], 0, 1) for _ in range(20)),
                            f"nothing is forwarded, see {power.log}")
            pause = random.Random(1)
            for number in range(1, COUNT):
                ends[0].send(packet(number))
                self.assertTrue(self.arrival(ends[1], number, 5), f"packet {number} slept through, see {power.log}")
                time.sleep(pause.choice((0, 0.0002, 0.001, 0.003, 0.02)))
            time.sleep(0.3)
            before, began = cpu_seconds(power.popen.pid), time.monotonic()
            time.sleep(2)
            used = (cpu_seconds(power.popen.pid) - before) / (time.monotonic() - began)
            self.assertLess(used, 0.2, f"it does not sleep, see {power.log}")


harness.main(__name__)
