# SPDX-License-Identifier: BSD-3-Clause
"""Capture files (classic pcap, Ethernet)."""
import random
import struct
from pathlib import Path
from typing import Iterable

MAGIC, MAGIC_NS = 0xA1B2C3D4, 0xA1B23C4D


def write(path: Path, frames: Iterable[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", MAGIC, 2, 4, 0, 0, 262144, 1))
        for number, frame in enumerate(frames):
            file.write(struct.pack("<IIII", number // 1000000, number % 1000000, len(frame), len(frame)) + frame)


def read(path: Path) -> list[bytes]:
    """The frames; a last one that is not complete yet is left out."""
    data = path.read_bytes()
    if len(data) < 24:
        return []
    order = "<" if struct.unpack("<I", data[:4])[0] in (MAGIC, MAGIC_NS) else ">"
    frames: list[bytes] = []
    position = 24
    while position + 16 <= len(data):
        kept, length = struct.unpack(order + "II", data[position + 8:position + 16])
        if kept != length:
            raise ValueError(f"{path}: frame {len(frames)} is cut, {kept} of {length} bytes")
        if position + 16 + kept > len(data):
            break
        frames.append(data[position + 16:position + 16 + kept])
        position += 16 + kept
    return frames


def random_frames(lengths: Iterable[int], mac: str, seed: int = 1) -> list[bytes]:
    """Numbered frames to `mac` with random payload. Ethertype 0x88b5 is for local experiments."""
    source = random.Random(seed)
    head = bytes.fromhex(mac.replace(":", "")) + bytes.fromhex("02000000ffff88b5")
    return [head + struct.pack(">I", number) + source.randbytes(length - 18)
            for number, length in enumerate(lengths)]


def difference(sent: list[bytes], received: list[bytes]) -> str:
    """Empty, or in what way `received` is not exactly `sent`."""
    if sent == received:
        return ""
    for number, (one, other) in enumerate(zip(sent, received)):
        if one != other:
            where = received.index(one) if one in received else None
            if where is not None:
                return f"frame {number} of {len(sent)} came as number {where}"
            byte = next((i for i, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
            return f"frame {number} of {len(sent)}: {len(one)} bytes sent, {len(other)} received, differ at byte {byte}"
    return f"{len(received)} frames received, {len(sent)} sent"
