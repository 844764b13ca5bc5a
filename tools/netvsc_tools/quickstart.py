# SPDX-License-Identifier: BSD-3-Clause
"""Builds, then shows the driver at work with real traffic. See tools/quickstart."""
import argparse
import sys
import time
from pathlib import Path
from typing import Callable

from . import jobs, machine, process
from .build import build
from .console import complain, elapsed, say, table
from .process import ProcessError

LOGS = machine.BUILD / "quickstart"


def logged(name: str) -> Path:
    return LOGS / f"{name}.log"


def plan(options: argparse.Namespace) -> list[tuple[str, str, Callable[[], jobs.Result]]]:
    """The parts: what they show, why they are left out (empty = they are not), how they run."""
    no_taps = machine.no_tap() or machine.no_namespaces()
    frames = [60 + 16 * (i % 91) for i in range(2000)]
    return [
        ("ping: namespace, TAP, host, driver, testpmd", no_taps, lambda: jobs.ping(logged("ping"), 500)),
        (f"TCP {options.megabytes} MB: namespace to namespace", no_taps,
         lambda: jobs.tcp(logged("tcp"), options.megabytes * 1000000, lambda text: say(f"  {text}"))),
        ("capture file through testpmd", "" if no_taps else "-", lambda: jobs.captures(logged("pcap"), frames)),
        ("64-byte frames, io forwarding", "", lambda: jobs.rate(logged("rate-io"), "io", options.seconds)),
        ("64-byte frames, receive only", "", lambda: jobs.rate(logged("rate-rx"), "rxonly", options.seconds)),
        ("64-byte frames, transmit only", "", lambda: jobs.rate(logged("rate-tx"), "txonly", options.seconds)),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/quickstart", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3, help="of each rate measurement (3)")
    parser.add_argument("--megabytes", type=int, default=100, help="of the TCP transfer (100)")
    options = parser.parse_args()
    process.end_on_signals()
    machine.runtime_folder()

    try:
        build(machine.BUILD, ["--buildtype=release"], ["plugin-link", "netvsp-link"])
    except ProcessError as error:
        complain(str(error))
        return 1
    if machine.bad_place():
        complain(machine.bad_place())
        return 1
    if machine.no_hugepages():
        say(f"without hugepages, slower: {machine.no_hugepages()}")

    rows: list[list[str]] = []
    failed = False
    for name, reason, job in plan(options):
        if reason:
            if reason != "-":
                say(f"left out: {name} ({reason})")
                rows.append([name, "left out", "", "", "", reason])
            continue
        say(name)
        began = time.monotonic()
        try:
            result = job()
        except ProcessError as error:
            complain(str(error))
            result = jobs.Result(False, note=str(error).splitlines()[0].split("; its last")[0][:70])
        else:
            if not result.ok:
                newest = max(LOGS.glob("*.log"), key=lambda path: path.stat().st_mtime)
                complain(f"failed: {result.note or result.loss}; last lines of {newest}:\n{process.tail(newest)}")
        failed |= not result.ok
        rows.append([name, "ok" if result.ok else "FAILED", result.loss, result.rate,
                     f"{time.monotonic() - began:.1f} s", result.note])

    print("\n" + table(["what ran", "result", "loss", "rate", "time", ""], rows))
    print("\nOne machine, an emulated host: rates are for comparison with this project only, not with Azure.\n"
          f"testpmd's output: {LOGS}/   total: {elapsed():.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
