# SPDX-License-Identifier: BSD-3-Clause
"""Counts the TCP frames that the interfaces of a network namespace receive, until it is told to end (SIGTERM).

The last line is 'received N frames, N beyond the MTU, longest N'.
"""
import signal
import socket
import struct
import sys

ETH_P_ALL, SO_RCVBUFFORCE, PACKET_OUTGOING = 3, 33, 4
MTU, HEADERS, IP4, TCP = 1500, 14, 0x0800, 6


def main() -> int:
    def end(*_: object) -> None:
        raise SystemExit

    frames = beyond = longest = 0
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as peer:
        peer.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        signal.signal(signal.SIGTERM, end)
        print("counting", flush=True)
        start = bytearray(64)
        try:
            while True:
                # The length is the frame's, however little of it is wanted.
                length, address = peer.recvfrom_into(start, len(start), socket.MSG_TRUNC)
                if address[2] == PACKET_OUTGOING or struct.unpack_from("!H", start, 12)[0] != IP4 or start[23] != TCP:
                    continue
                frames += 1
                beyond += length > MTU + HEADERS
                longest = max(longest, length)
        except SystemExit:
            pass
    print(f"received {frames} frames, {beyond} beyond the MTU, longest {longest}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
