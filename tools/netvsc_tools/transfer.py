# SPDX-License-Identifier: BSD-3-Clause
"""One end of a TCP transfer of random data; prints what it moved and the SHA-256 of it.

usage: transfer.py receive ADDRESS PORT
       transfer.py send ADDRESS PORT BYTES
The last line is 'done BYTES SECONDS SHA256'.
"""
import hashlib
import os
import socket
import sys
import time

CHUNK = 256 * 1024


def progress(moved: int, began: float, last: float) -> float:
    """Prints a line a second."""
    now = time.monotonic()
    if now - last < 1:
        return last
    print(f"moved {moved} {now - began:.3f}", flush=True)
    return now


def main() -> int:
    if len(sys.argv) not in (4, 5) or sys.argv[1] not in ("send", "receive"):
        print(__doc__, file=sys.stderr)
        return 2
    address, digest, moved = (sys.argv[2], int(sys.argv[3])), hashlib.sha256(), 0
    if sys.argv[1] == "send":
        total = int(sys.argv[4])
        with socket.create_connection(address, timeout=30) as peer:
            began = last = time.monotonic()
            while moved < total:
                data = os.urandom(min(CHUNK, total - moved))
                peer.sendall(data)
                digest.update(data)
                moved += len(data)
                last = progress(moved, began, last)
            peer.shutdown(socket.SHUT_WR)
            peer.recv(1)  # until the receiver has everything
    else:
        with socket.create_server(address) as server:
            print("listening", flush=True)
            server.settimeout(60)
            peer, _ = server.accept()
        with peer:
            peer.settimeout(30)
            began = last = time.monotonic()
            while data := peer.recv(CHUNK):
                digest.update(data)
                moved += len(data)
                last = progress(moved, began, last)
    print(f"done {moved} {time.monotonic() - began:.3f} {digest.hexdigest()}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
