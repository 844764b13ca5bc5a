# SPDX-License-Identifier: BSD-3-Clause
"""Frames of TCP and UDP over IPv4 and IPv6, all by their number."""
import struct

MAC = bytes.fromhex("020000000001")
PEER = bytes.fromhex("020000000000")  # testpmd's peer of port 0
SENDER = bytes.fromhex("02000000ffff")
TCP, UDP = 6, 17


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(number: int, *, right: bool = True, to: bytes = MAC, source: bytes = SENDER, swap: bool = False,
           seed: str = "") -> bytes:
    """A TCP or UDP packet over IPv4 or IPv6, all by its number. swap: its addresses and ports, too.

    right: with right checksums; with wrong ones otherwise.
    seed: instead of the TCP or UDP checksum the sum of the pseudo header, for a NIC to complete: "checksum", or "large"
        for a large send.
    """
    v6, protocol = number % 2 == 1, TCP if number % 4 < 2 else UDP
    payload = bytes((number + i) % 256 for i in range(20 + number * 11 % 1300))
    ports = [1000 + number, 2000]
    hosts = [bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])]
    if v6:
        hosts = [bytes([0xFD]) + bytes(14) + bytes([host]) for host in (1, 2)]
    if swap:
        ports.reverse()
        hosts.reverse()
    if protocol == TCP:
        l4, at = struct.pack(">HHIIBBHHH", *ports, number, 7, 5 << 4, 0x10, 5000, 0, 0) + payload, 16
    else:
        l4, at = struct.pack(">HHHH", *ports, 8 + len(payload), 0) + payload, 6
    pseudo = hosts[0] + hosts[1] + (struct.pack(">IHBB", len(l4), 0, 0, protocol) if v6
                                    else struct.pack(">BBH", 0, protocol, len(l4)))
    value = checksum(pseudo + l4) or 0xFFFF
    if seed:
        value = ~checksum(pseudo if seed == "checksum" else hosts[0] + hosts[1] + bytes([0, protocol])) & 0xFFFF
    l4 = l4[:at] + struct.pack(">H", value if right or seed else value ^ 0x1234) + l4[at + 2:]
    if v6:
        ip = struct.pack(">IHBB", 6 << 28, len(l4), protocol, 64) + hosts[0] + hosts[1]
    else:
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(l4), number, 0, 64, protocol, 0) + hosts[0] + hosts[1]
        value = checksum(ip)
        ip = ip[:10] + struct.pack(">H", value if right else value ^ 0x4321) + ip[12:]
    return to + source + struct.pack(">H", 0x86DD if v6 else 0x0800) + ip + l4


def tagged(frame: bytes, tag: int) -> bytes:
    """The frame with a VLAN tag."""
    return frame[:12] + struct.pack(">HH", 0x8100, tag) + frame[12:]
