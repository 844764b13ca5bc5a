# SPDX-License-Identifier: BSD-3-Clause
"""The jobs that quickstart shows and the tests repeat: real traffic through the driver."""
import contextlib
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator, Sequence

from . import pcap
from .network import Namespace, tap_name
from .process import Process, ProcessError
from .testpmd import Daemon, Testpmd, socket_path

TRANSFER = Path(__file__).with_name("transfer.py")
SEGMENTS = Path(__file__).with_name("segments.py")
ENDS = ["198.18.0.1/24", "198.18.0.2/24"]
MAC = "02:00:00:00:00:01"


@dataclass
class Result:
    """What a job found."""
    ok: bool
    loss: str = ""
    rate: str = ""
    note: str = ""


@contextlib.contextmanager
def tap_testpmd(log: Path, addresses: Sequence[str], mode: str, commands: Sequence[str] = (),
                app: Sequence[str] = (), nic: str = "", **more: Any) -> Iterator[tuple[Testpmd, list[Namespace]]]:
    """A testpmd that forwards between emulated NICs on TAPs, each TAP in a namespace of its own.

    commands: for testpmd, before it starts to forward.
    nic: more arguments of the emulated NICs, such as ",mtu=9000".
    """
    taps = [tap_name() for _ in addresses]
    with contextlib.ExitStack() as stack:
        spaces = [stack.enter_context(Namespace()) for _ in addresses]
        testpmd = stack.enter_context(Testpmd(
            log, [f"netvsp{i},endpoint=tap:{tap}{nic}" for i, tap in enumerate(taps)], [f"--forward-mode={mode}", *app],
            **more))
        for space, tap, address in zip(spaces, taps, addresses):
            space.take(tap, address)
        for command in commands:
            testpmd.command(command)
        testpmd.start()
        yield testpmd, spaces


def ping(log: Path, count: int, **more: Any) -> Result:
    """Pings from a namespace, answered by testpmd: TAP → emulated host → driver → testpmd, and back."""
    with tap_testpmd(log, ["198.18.0.1/24"], "icmpecho", **more) as (testpmd, spaces):
        sent, received, average = spaces[0].ping("198.18.0.2", count)
        code = testpmd.command("stop") and testpmd.quit()
    return Result(sent == received == count and code == 0, f"{sent - received} of {sent}",
                  f"{average:.3f} ms round trip", f"testpmd exit {code}" if code else "")


def transfer(log: Path, spaces: Sequence[Namespace], size: int, show: Callable[[str], None] = lambda _: None,
             timeout: float = 180) -> Result:
    """A TCP transfer from the first namespace to the second, which has 198.18.0.2."""
    def end(number: int, *arguments: str) -> Process:
        return Process(spaces[number].inside("python3", str(TRANSFER), arguments[0], "198.18.0.2", "5001",
                                             *arguments[1:]), log.with_suffix(f".{arguments[0]}.log"))

    with end(1, "receive") as receiver:
        receiver.wait_for("^listening", 20)
        with end(0, "send", str(size)) as sender:
            position, deadline = 0, time.monotonic() + timeout
            while True:
                line = receiver.wait_for(r"^(moved|done) (\d+) ([\d.]+)( \w+)?\n", 40, position)
                position = line.end()
                moved, seconds = int(line[2]), max(float(line[3]), 1e-3)
                if line[1] == "done":
                    break
                show(f"{moved / 1e6:.0f} of {size / 1e6:.0f} MB, {moved / seconds / 1e6:.0f} MB/s")
                if time.monotonic() > deadline:
                    receiver.fail(f"only {moved} of {size} bytes came within {timeout:.0f} s")
            other = sender.wait_for(r"^done (\d+) [\d.]+ (\w+)", 20)
    equal = (line[4].strip(), moved, int(other[1])) == (other[2], size, size)
    return Result(equal, "SHA-256 equal" if equal else "SHA-256 DIFFERS", f"{moved / seconds / 1e6:.0f} MB/s")


def tcp(log: Path, size: int, show: Callable[[str], None] = lambda _: None, **more: Any) -> Result:
    """A TCP transfer from namespace to namespace, forwarded by testpmd between two ports."""
    with tap_testpmd(log, ENDS, "io", **more) as (testpmd, spaces):
        result = transfer(log, spaces, size, show)
        dropped = testpmd.stop().get("TX-dropped", 0)
        code = testpmd.quit()
    result.ok &= code == 0
    result.note = (f"testpmd exit {code} " if code else "") + (f"{dropped} frames dropped, sent again" if dropped else "")
    return result


def tso(log: Path, size: int, show: Callable[[str], None] = lambda _: None, lro: bool = False, **more: Any) -> Result:
    """The same with all that TCP can leave to others: the sender's kernel hands large frames without checksums to its TAP,
    the host cuts them to the frames that they stand for, testpmd verifies and makes checksums by offload and sends
    large sends of ordinary segments, which the host passes on whole to a TAP of the usual MTU.

    lro: the frames are of the usual size and the host joins them; else they are jumbo frames."""
    commands = ["port stop all"]
    for port in range(2):
        commands += [f"csum set ip hw {port}", f"csum set tcp hw {port}", f"csum mac-swap off {port}",
                     f"tso set 1448 {port}"]
    commands.append("port start all")
    app = ["--enable-rx-cksum"]
    app += ["--enable-lro", "--enable-scatter"] if lro else ["--max-pkt-len=9018", "--mbuf-size=10240"]
    # What hosts join can be longer than what they take for one large send.
    nic = ",lso_max=65495" if lro else ""
    with contextlib.ExitStack() as stack:
        testpmd, spaces = stack.enter_context(tap_testpmd(log, ENDS, "csum", commands, app, nic,
                                                             mbufs=65536 if lro else 16384, **more))
        counters = [stack.enter_context(Process(space.inside("python3", str(SEGMENTS)), log.with_suffix(f".segments{i}.log")))
                    for i, space in enumerate(spaces)]
        for counter in counters:
            counter.wait_for("^counting", 20)
        if not lro:
            spaces[0].set_mtu(9000)
            spaces[1].advertise_mss(8960)
        result = transfer(log, spaces, size, show, timeout=300)
        seen = []
        for counter in counters:
            counter.signal(signal.SIGTERM)
            match = counter.wait_for(r"^received (\d+) frames, (\d+) beyond the MTU, longest (\d+)", 20)
            seen.append([int(number) for number in match.groups()])
        errors = {f"{name} in namespace {i}": value for i, space in enumerate(spaces)
                  for name, value in space.counters("TcpInCsumErrors", "IpInHdrErrors", "TcpInErrs").items() if value}
        code = testpmd.command("stop") and testpmd.quit()
    result.note = f"{seen[1][1]} of {seen[1][0]} frames beyond the MTU, the longest of {seen[1][2]} bytes"
    if errors:
        result.note += f"; {errors}"
    if code:
        result.note += f"; testpmd exit {code}"
    result.ok &= not errors and code == 0 and seen[1][1] > 0
    return result


def wait_for_frames(path: Path, count: int, timeout: float) -> list[bytes]:
    """Reads a capture that is still being written until it holds enough."""
    deadline = time.monotonic() + timeout
    while True:
        frames = pcap.read(path) if path.exists() else []
        if len(frames) >= count or time.monotonic() > deadline:
            return frames
        time.sleep(0.1)


def captures(log: Path, lengths: Sequence[int], *, nic: str = "", app: Sequence[str] = (), daemon: bool = False,
             timeout: float = 30, **more: object) -> Result:
    """A capture goes through testpmd, io forwarding, and must come out as it was, in order.

    nic: more arguments of the emulated NIC, such as "mtu=9000".
    daemon: the host is a daemon, not in testpmd's process.
    """
    one, other = log.with_suffix(".in.pcap"), log.with_suffix(".out.pcap")
    other.unlink(missing_ok=True)
    frames = pcap.random_frames(lengths, MAC)
    pcap.write(one, frames)
    nic = f"endpoint=pcap:{one}:{other},mac={MAC}" + (f",{nic}" if nic else "")
    with contextlib.ExitStack() as stack:
        vdev = f"netvsp0,{nic}"
        if daemon:
            host = stack.enter_context(Daemon(log.with_suffix(".netvsp.log"), socket_path(), [nic]))
            vdev = f"netvsp0,socket={host.socket}"
        began = time.monotonic()
        # testpmd would throw away what came before "start".
        testpmd = stack.enter_context(Testpmd(log, [vdev], ["--forward-mode=io", "--no-flush-rx", *app],
                                              **more))  # type: ignore[arg-type]
        # Without retry, testpmd drops what a full transmit ring does not take.
        testpmd.command("set fwd io retry")
        testpmd.command("set burst tx delay 100 retry 10000")
        testpmd.start()
        while (stats := testpmd.stats()[0])["TX-packets"] < len(frames) and time.monotonic() < began + timeout:
            time.sleep(0.1)
        seconds = time.monotonic() - began
        testpmd.command("stop")
        code = testpmd.quit()
        received = wait_for_frames(other, len(frames), 5)
    difference = pcap.difference(frames, received)
    if difference:
        difference += f" (testpmd: {stats}; {one}, {other})"
    else:
        one.unlink()
        other.unlink()
    return Result(not difference and code == 0, f"{len(frames) - len(received)} of {len(frames)}",
                  f"{len(received) / seconds:.0f} frames/s",
                  difference or (f"testpmd exit {code}" if code else "byte-identical, in order"))


def rate(log: Path, mode: str, seconds: float, **more: object) -> Result:
    """Packet rate with 64-byte frames: the emulated host generates and takes as many as it can."""
    # Forwarding, only so many are on their way that none need be lost; transmitting only, testpmd receives
    # nothing, and a host that sent would see its frames missed.
    endpoint = {"io": "generator:size=64:window=1024", "rxonly": "generator:size=64", "txonly": "null"}[mode]
    with Testpmd(log, [f"netvsp0,endpoint={endpoint}"], [f"--forward-mode={mode}"], **more) as testpmd:  # type: ignore[arg-type]
        testpmd.start()
        time.sleep(0.5)
        before, began = testpmd.stats()[0], time.monotonic()
        time.sleep(seconds)
        after, took = testpmd.stats()[0], time.monotonic() - began
        sums = testpmd.stop()
        code = testpmd.quit()
    moved = {key: after[key] - before[key] for key in after}
    direction = {"io": ["RX", "TX"], "rxonly": ["RX"], "txonly": ["TX"]}[mode]
    count = min(moved[f"{way}-packets"] for way in direction)
    lost = sum(moved.get(key, 0) for key in ("RX-missed", "RX-errors", "RX-nombuf", "TX-errors"))
    # What testpmd made but the ring did not take is no loss in txonly: it makes more than any NIC sends.
    dropped = sums.get("TX-dropped", 0) if mode == "io" else 0
    if count == 0:
        raise ProcessError(f"no packet moved in {seconds:.0f} s: {after}")
    return Result(lost + dropped == 0 and code == 0, f"{lost + dropped} of {count}", f"{count / took / 1e6:.2f} Mpps",
                  f"testpmd exit {code}" if code else "")
