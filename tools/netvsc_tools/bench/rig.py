# SPDX-License-Identifier: BSD-3-Clause
"""A driver under the distribution's dpdk-testpmd, beside what it is measured with: an emulated host, or vhost.

There are two CPUs: on one is the host, or vhost, and on the other the lcore that forwards. Other threads sleep.
"""
import json
import os
import re
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Sequence

from .. import machine
from ..console import say
from ..process import ProcessError
from ..testpmd import Daemon, Testpmd, UioGuest, no_memory, socket_path
from .instrument import WrongUsage
from .surroundings import plugin_of

# What DPDK's driver is best off with: later kernels leave interrupts to it, and it never turns them off.
KERNEL = "masks"
FIRST_NIC = "4e565350-0000-4000-8000-000000000000"  # of tools/uio-host
DESCRIPTORS = 1024  # of each queue, as is usual in measurements; drivers' defaults differ
MEMORY = ["-m", "128"]  # of each of two testpmds: hugepages are made sure of for one with more


@dataclass(frozen=True)
class Subject:
    """A driver, and how it meets its host."""
    name: str
    about: str
    uio: bool = False       #: devices of the emulated kernel
    ours: bool = True
    emulated: bool = True   #: the host is this project's
    counts_missed: bool = False     #: among its received frames are those that it threw away
    args: str = ""          #: devargs

    def missing(self) -> str:
        """Empty, or why it cannot be measured here."""
        return no_memory("in-memory") if self.uio or not self.emulated else ""


SUBJECTS = {subject.name: subject for subject in (
    Subject("ours", "this driver, on devices of tools/uio-host", uio=True),
    Subject("ours-external", "the same, with rx_extmbuf_enable=1", uio=True, args="rx_extmbuf_enable=1"),
    Subject("c", "the driver that DPDK has, on the same devices", uio=True, ours=False, counts_missed=True),
    Subject("ours-vdev", "this driver, as a vdev"),
    Subject("virtio", "DPDK's virtio-user, opposite its vhost", ours=False, emulated=False))}


def use_build(build: Path) -> None:
    """All programs and plugins are those of this build from now on."""
    machine.BUILD = build
    os.environ["NETVSC_BUILD"] = str(build)  # for tools/uio-host
    for path in (machine.plugin(), build / "netvsp"):
        if not path.exists():
            raise ProcessError(f"{path} is not built")
    if machine.bad_place(plugin_of(build)):
        raise ProcessError(machine.bad_place(plugin_of(build)))


def subjects_of(names: Sequence[str], defaults: Sequence[str]) -> list[Subject]:
    """The drivers that are named, without those that cannot be here."""
    for name in names:
        if name not in defaults:
            raise WrongUsage(f"--subject {name}: known are {', '.join(defaults)}")
    if len(machine.cpus()) < 2:
        raise ProcessError("driver and host need a CPU each, and there is only one")
    subjects = []
    for name in dict.fromkeys(names or defaults):
        if reason := SUBJECTS[name].missing():
            say(f"left out: {name} ({reason})")
        else:
            subjects.append(SUBJECTS[name])
    if not subjects:
        raise ProcessError("no driver can be measured here")
    return subjects


@dataclass(frozen=True)
class Thread:
    """A thread, whose use of a CPU is looked at."""
    pid: int
    tid: int

    def name(self) -> str:
        return Path(f"/proc/{self.pid}/task/{self.tid}/comm").read_text().strip()

    def waited(self) -> float:
        """Seconds for which it could have run, but something else did."""
        try:
            return int(Path(f"/proc/{self.pid}/task/{self.tid}/schedstat").read_text().split()[1]) / 1e9
        except (OSError, IndexError):  # a kernel that does not count that
            return 0.0

    def pin(self, cpu: int) -> None:
        os.sched_setaffinity(self.tid, {cpu})


def find_thread(pid: int, name: str) -> Thread:
    """The thread with such a name, other than a process's first, of a process or those that it began."""
    pids = [pid]
    for found in pids:
        for task in Path(f"/proc/{found}/task").iterdir():
            pids += map(int, (task / "children").read_text().split())
            thread = Thread(found, int(task.name))
            if thread.tid != found and re.search(name, thread.name()):
                return thread
    raise ProcessError(f"process {pid} has no thread named {name}")


@dataclass(frozen=True)
class Sample:
    """What testpmd has counted since it forwards."""
    time: float
    rx: int = 0
    missed: int = 0
    tx: int = 0
    refused: int = 0    #: frames that were to be sent and were not
    cycles: int = 0     #: in which it had frames
    hertz: float = 0

    def since(self, before: "Sample") -> "Sample":
        return Sample(self.time - before.time, self.rx - before.rx, self.missed - before.missed, self.tx - before.tx,
                      self.refused - before.refused, self.cycles - before.cycles, self.hertz)


def parse_forwarding(text: str, now: float) -> Sample:
    """What `show fwd stats all` tells, of the one port that there is."""
    counted = dict(re.findall(r"([RT]X-\w+): +(\d+)", text.partition("+++")[0]))
    cycles = re.search(r"CPU cycles/packet=\S+ \((?:total|busy) cycles=(\d+) .*\) at (\d+) MHz", text)
    names = ("RX-packets", "RX-dropped", "TX-packets", "TX-dropped")
    try:
        rx, missed, tx, refused = (int(counted[name]) for name in names)
        return Sample(now, rx, missed, tx, refused, int(cycles[1]) if cycles else 0,
                      int(cycles[2]) * 1e6 if cycles else 0)
    except KeyError as error:
        raise ProcessError(f"testpmd tells no {error} of its forwarding: {text.strip()[:500]}") from error


def arguments(mode: str, commands: Sequence[str]) -> list[str]:
    """Testpmd's own. commands: what is to be done before it starts its port."""
    return [f"--forward-mode={mode}", "--no-flush-rx", f"--rxd={DESCRIPTORS}", f"--txd={DESCRIPTORS}",
            *(["--disable-device-start"] if commands else [])]


def forwarding(testpmd: Testpmd) -> Sample:
    text = testpmd.command("show fwd stats all")
    return parse_forwarding(text, time.monotonic())


@dataclass
class Totals:
    """All that was counted until the ports were stopped."""
    driver: dict[str, int]                                  #: `show port stats`
    missed_early: int = 0                                   #: RX-missed, before the port was stopped
    host: dict[str, Any] = field(default_factory=dict)      #: the emulated host's report of the NIC
    peer: dict[str, int] = field(default_factory=dict)      #: of vhost


class Rig:
    """Opens, and closes at the end of a `with`."""

    testpmd: Testpmd
    threads: list[Thread]

    def __init__(self, log: Path, mode: str) -> None:
        self.log, self.mode = log, mode
        self.cpus = machine.cpus()[:2]

    def configure(self, commands: Sequence[str]) -> None:
        """Of the stopped port, which starts then; without any it has started already."""
        for command in [*commands, "port start all"] if commands else []:
            self.testpmd.command(command)

    def start(self) -> None:
        """Traffic begins, and goes on when this is done."""
        self.testpmd.command("set record-core-cycles on")
        self.testpmd.start()

    def moving(self, timeout: float = 10) -> None:
        """Waits until frames move. Those that came while the port was started may be lost, as a host sees after 1 s."""
        deadline = time.monotonic() + timeout
        while (now := forwarding(self.testpmd)).rx + now.tx == 0:
            if time.monotonic() > deadline:
                self.testpmd.fail(f"no frame moved within {timeout:.0f} s")
            time.sleep(0.05)

    def watch(self, seconds: float) -> tuple[Sample, Sample, float]:
        """Looks on for that time. @return what testpmd did, what vhost did, and how long a thread had no CPU"""
        waited = [thread.waited() for thread in self.threads]
        before = self.samples()
        time.sleep(seconds)
        after = self.samples()
        driver, peer = (late.since(early) for early, late in zip(before, after))
        return driver, peer, max(thread.waited() - then for thread, then in zip(self.threads, waited))

    def samples(self) -> tuple[Sample, Sample]:
        now = forwarding(self.testpmd)
        return now, Sample(now.time)

    def stop(self) -> Totals:
        """Ends everything in an orderly way, so that all is counted."""
        raise NotImplementedError

    def close(self) -> None:
        self.testpmd.kill()

    def _stop_testpmd(self, testpmd: Testpmd) -> tuple[int, dict[str, int]]:
        """@return frames missed until now, and the counters after the port was stopped"""
        testpmd.command("stop")
        missed = testpmd.stats()[0]["RX-missed"]
        testpmd.command("port stop all")
        counters = testpmd.stats()[0]
        return missed, counters

    def _quit(self, testpmd: Testpmd) -> None:
        if code := testpmd.quit():
            raise ProcessError(f"testpmd ended with exit {code}, see {testpmd.log}")

    def __enter__(self) -> "Rig":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class NetvscRig(Rig):
    """A netvsc driver, whose host is in a thread of testpmd's process, or for a vdev in a process of its own."""

    def __init__(self, subject: Subject, log: Path, mode: str, endpoint: str, *, nic: str = "", app: Sequence[str] = (),
                 commands: Sequence[str] = ()) -> None:
        """nic: more arguments of the NIC; commands: for testpmd, before its port is started."""
        super().__init__(log, mode)
        self.daemon: Daemon | None = None
        vdev, guest, eal = f"netvsp0,endpoint={endpoint}{nic}", None, []
        if subject.uio:
            guest = UioGuest(ours=subject.ours, kernel=KERNEL, nic="" if "monitor=" in nic else ",monitor=1")
            eal = ["-a", f"{FIRST_NIC},{subject.args}"] if subject.args else []
        else:
            self.daemon = Daemon(log.with_suffix(".netvsp.log"), socket_path(), [f"endpoint={endpoint}{nic}"], "--json",
                                 f"--cpu={self.cpus[0]}")
            vdev = f"netvsp0,socket={self.daemon.socket}"
        app = [*arguments(mode, commands), *app]
        try:
            self.testpmd = Testpmd(log, [vdev], app, eal=eal, guest=guest)
            self.configure(commands)
            host = find_thread((self.daemon or self.testpmd).popen.pid, "^netvsp$")
            host.pin(self.cpus[0])
            self.threads = [host, find_thread(self.testpmd.popen.pid, "worker")]
        except BaseException:
            self.close()
            raise

    def stop(self) -> Totals:
        missed, counters = self._stop_testpmd(self.testpmd)
        self._quit(self.testpmd)
        return Totals(counters, missed, self._host())

    def _host(self) -> dict[str, Any]:
        if not self.daemon:
            return self.testpmd.host_counters()[0]
        self.daemon.signal(signal.SIGTERM)
        self.daemon.wait(20)
        counters: dict[str, Any] = json.loads(re.findall(r"^\{.*", self.daemon.text, re.M)[-1])["nics"][0]
        return counters

    def close(self) -> None:
        if hasattr(self, "testpmd"):
            self.testpmd.kill()
        if self.daemon:
            self.daemon.kill()


class VirtioRig(Rig):
    """virtio-user in one testpmd, which is measured, and in another one vhost, in the emulated host's place."""

    PEER = {"rxonly": "txonly", "txonly": "rxonly"}

    def __init__(self, log: Path, mode: str, size: int, *, bursts: int, commands: Sequence[str] = ()) -> None:
        super().__init__(log, mode)
        self.bursts = bursts
        path = socket_path()
        # As files, so that vhost gets few pieces of memory: it takes eight.
        eal = [*MEMORY, "--single-file-segments"]
        other = self.PEER.get(mode, "io")
        self.peer = Testpmd(log.with_suffix(".vhost.log"), [f"net_vhost0,iface={path},queues=1"],
                            [f"--forward-mode={other}", f"--txpkts={size}"], eal=eal, memory="in-memory", mbufs=16384)
        try:
            app = [*arguments(mode, commands), f"--txpkts={size}"]
            vdev = f"net_virtio_user0,path={path},queue_size={DESCRIPTORS}"
            self.testpmd = Testpmd(log, [vdev], app, eal=eal, memory="in-memory", mbufs=16384)
            self.configure(commands)
            vhost = find_thread(self.peer.popen.pid, "worker")
            vhost.pin(self.cpus[0])
            self.threads = [vhost, find_thread(self.testpmd.popen.pid, "worker")]
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        super().start()
        self.peer.command("set record-core-cycles on")
        self.peer.command("start" if self.mode in self.PEER else f"start tx_first {self.bursts}")

    def samples(self) -> tuple[Sample, Sample]:
        return forwarding(self.testpmd), forwarding(self.peer)

    def stop(self) -> Totals:
        """First who sends, then who receives, so that nothing stays between them."""
        first, last = (self.peer, self.testpmd) if self.mode == "rxonly" else (self.testpmd, self.peer)
        first.command("stop")
        time.sleep(0.1)
        last.command("stop")
        missed, counters = self._stop_testpmd(self.testpmd)
        peer = self.peer.stats()[0]
        self._quit(self.testpmd)
        self._quit(self.peer)
        return Totals(counters, missed, peer=peer)

    def close(self) -> None:
        if hasattr(self, "testpmd"):
            self.testpmd.kill()
        self.peer.kill()
