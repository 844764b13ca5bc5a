# SPDX-License-Identifier: BSD-3-Clause
"""Network namespaces with one TAP interface each, and sockets for raw frames."""
import atexit
import contextlib
import itertools
import os
import re
import socket
import struct
import time
from typing import Sequence

from .process import ProcessError, run

ETH_P_ALL, SO_RCVBUFFORCE, PACKET_OUTGOING = 3, 33, 4
SOL_PACKET, PACKET_AUXDATA, TP_STATUS_VLAN_VALID = 263, 8, 0x10
_numbers = itertools.count()


def tap_name() -> str:
    """A name for a TAP that nobody else uses (at most 15 characters)."""
    return f"nv{os.getpid()}t{next(_numbers)}"


class RawSocket:
    """The kernel's end of a TAP: frames as they are, those of the kernel's own left out."""

    def __init__(self, interface: str) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        self._socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self._socket.bind((interface, 0))

    def send(self, frame: bytes) -> None:
        self._socket.send(frame)

    def receive(self, count: int, timeout: float) -> list[bytes]:
        """At most so many frames, within so many seconds."""
        frames: list[bytes] = []
        deadline = time.monotonic() + timeout
        while len(frames) < count and (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            with contextlib.suppress(TimeoutError):
                frame, more, _, address = self._socket.recvmsg(65536, 256)
                if address[2] != PACKET_OUTGOING:
                    frames.append(self._with_tag(frame, more))
        return frames

    @staticmethod
    def _with_tag(frame: bytes, more: Sequence[tuple[int, int, bytes]]) -> bytes:
        """The kernel takes VLAN tags out of frames that it receives, and tells of them beside (tpacket_auxdata)."""
        for level, kind, data in more:
            if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
                status, tag = struct.unpack_from("I12xH", data)
                if status & TP_STATUS_VLAN_VALID:
                    return frame[:12] + struct.pack(">HH", 0x8100, tag) + frame[12:]
        return frame

    def __enter__(self) -> "RawSocket":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


class Namespace:
    """A network namespace, deleted at the end."""

    _all: list["Namespace"] = []

    def __init__(self) -> None:
        self.name = f"netvsc-{os.getpid()}-{next(_numbers)}"
        self.interface = ""
        run("ip", "netns", "add", self.name)
        Namespace._all.append(self)

    def take(self, interface: str, address: str) -> None:
        """Moves an interface in, gives it an address and brings it up."""
        self.interface = interface
        run("ip", "link", "set", interface, "netns", self.name)
        run(*self.inside("ip", "link", "set", "lo", "up"))
        run(*self.inside("ip", "address", "add", address, "dev", interface))
        run(*self.inside("ip", "link", "set", interface, "up"))

    def inside(self, *command: str) -> list[str]:
        """The command, to be run in the namespace. (`ip netns exec` would want to mount, which a chroot does not allow.)"""
        return ["nsenter", f"--net=/run/netns/{self.name}", "--", *command]

    def ping(self, address: str, count: int, timeout: int = 60) -> tuple[int, int, float]:
        """Pings as fast as answers come. @return sent, received, average round trip in ms"""
        text = run(*self.inside("ping", "-q", "-f", "-c", str(count), "-w", str(timeout), address),
                   timeout=timeout + 10, check=False)
        counts = re.search(r"(\d+) packets transmitted, (\d+) received", text)
        if not counts:
            raise ProcessError(f"ping: {text.strip()}")
        times = re.search(r"= [\d.]+/([\d.]+)/", text)
        return int(counts[1]), int(counts[2]), float(times[1]) if times else 0.0

    def set_mtu(self, mtu: int) -> None:
        run(*self.inside("ip", "link", "set", self.interface, "mtu", str(mtu)))

    def advertise_mss(self, mss: int) -> None:
        """Has TCP tell its peers that it takes segments of this size, whatever the interface's MTU."""
        for route in run(*self.inside("ip", "route", "show", "dev", self.interface)).splitlines():
            run(*self.inside("ip", "route", "change", *route.split(), "dev", self.interface, "advmss", str(mss)))

    def counters(self, *names: str) -> dict[str, int]:
        """Counters of the namespace's network stack, by nstat's names."""
        text = run(*self.inside("nstat", "-asz", *names))
        return {name: int(value) for name, value in re.findall(r"^(\w+) +(\d+)", text, re.MULTILINE)}

    def delete(self) -> None:
        run("ip", "netns", "del", self.name, check=False)
        if self in Namespace._all:
            Namespace._all.remove(self)

    @classmethod
    def delete_all(cls) -> None:
        for namespace in list(cls._all):
            namespace.delete()

    def __enter__(self) -> "Namespace":
        return self

    def __exit__(self, *_: object) -> None:
        self.delete()


atexit.register(Namespace.delete_all)
