# SPDX-License-Identifier: BSD-3-Clause
"""Drives the distribution's unmodified dpdk-testpmd, and the netvsp daemon."""
import atexit
import itertools
import json
import os
import re
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Sequence

from . import machine
from .process import Process, ProcessError

PROMPT = r"testpmd> "
_numbers = itertools.count()

MEMORY_MODES = ("files", "in-memory", "no-huge")


def best_memory() -> str:
    """The memory mode for where it does not matter."""
    return "no-huge" if machine.no_hugepages() else "in-memory"


def no_memory(mode: str) -> str:
    """Empty, or why testpmd cannot have this memory here."""
    return {"files": lambda: machine.hugetlbfs()[1], "in-memory": machine.no_hugepages, "no-huge": lambda: ""}[mode]()


def memory_arguments(mode: str) -> list[str]:
    """EAL arguments: hugepages in files, hugepages without files, or ordinary pages."""
    return {"files": lambda: ["--huge-dir", machine.hugetlbfs()[0]], "in-memory": lambda: ["--in-memory"],
            "no-huge": lambda: ["--no-huge"]}[mode]()


def sanitizer_env() -> dict[str, str]:
    """Unsanitized programs that load a sanitized plugin need the sanitizer's library first."""
    preload = os.environ.get("NETVSC_PRELOAD")
    return {"LD_PRELOAD": preload} if preload else {}


def file_prefix() -> str:
    """A name of its own for each EAL process."""
    return f"netvsc-{os.getpid()}-{next(_numbers)}"


def forget(prefix: str) -> None:
    """Removes what an EAL process leaves behind under its name."""
    runtime = Path("/var/run/dpdk") if os.geteuid() == 0 else Path(os.environ.get("XDG_RUNTIME_DIR", "/tmp")) / "dpdk"
    shutil.rmtree(runtime / prefix, ignore_errors=True)


@dataclass
class UioGuest:
    """A guest with real devices, so to speak, instead of vdevs: by tools/uio-host."""
    ours: bool = True     #: with this project's driver, not with DPDK's own
    kernel: str = "current"  #: tools/uio-host --help has the generations
    nic: str = ""         #: more arguments of its NICs

    def around(self, command: Sequence[str], nics: Sequence[str], report: Path) -> list[str]:
        named = [part for nic in nics for part in ("--nic", nic + self.nic)]
        return [str(machine.ROOT / "tools/uio-host"), "--kernel", self.kernel, "--report", str(report), *named, "--", *command]

    def env(self) -> dict[str, str]:
        """DPDK's driver needs help with this testpmd, see the library's source."""
        preload = [os.environ.get("NETVSC_PRELOAD", ""), "" if self.ours else str(machine.BUILD / "test/c-driver/libc_driver_help.so")]
        return {"LD_PRELOAD": " ".join(filter(None, preload))} if any(preload) else {}


class Testpmd(Process):
    """A dpdk-testpmd with its prompt."""

    __test__ = False

    def __init__(self, log: Path, vdevs: Sequence[str], app: Sequence[str] = (), *, eal: Sequence[str] = (),
                 memory: str = "", program: str = "dpdk-testpmd", mbufs: int = 32768, timeout: float = 60,
                 primary: "Testpmd | None" = None, guest: UioGuest | None = None) -> None:
        """@param primary: whose secondary process this one is; vdevs and memory are then the primary's
        @param guest: the NICs of the vdevs are those of this guest"""
        self.primary = primary
        self.prefix = primary.prefix if primary else file_prefix()
        self.memory = primary.memory if primary else memory or best_memory()
        cpus = machine.cpus()
        first = 2 if primary else 0  # what a process keeps for each lcore must not be another's
        lcores = [f"{first + i}@{cpus[i % len(cpus)]}" for i in range(2)]
        if primary:
            eal = ["--proc-type=secondary", *eal]
        self.report = log.with_suffix(".report.json")
        nics = []
        if guest:
            nics = [vdev.partition(",")[2] for vdev in vdevs if vdev.startswith("netvsp")]
            vdevs = [vdev for vdev in vdevs if not vdev.startswith("netvsp")]
            eal = ["--iova-mode=pa", *eal]
        plugin = ["-d", str(machine.plugin())] if not guest or guest.ours else []
        command = [program, *plugin, "--lcores", ",".join(lcores), "--no-pci", "-m", "512",
                   "--file-prefix", self.prefix, *memory_arguments(self.memory), *eal,
                   *(f"--vdev={vdev}" for vdev in vdevs), "--", "-i", f"--total-num-mbufs={mbufs}", *app]
        if guest:
            command = guest.around(command, nics, self.report)
        super().__init__(command, log, tty=True, env=guest.env() if guest else sanitizer_env())
        self._position = 0
        try:
            self._position = self.wait_for(PROMPT, timeout).end()
        except ProcessError:
            self.kill()
            raise

    def command(self, text: str, timeout: float = 30) -> str:
        """Types a command. @return what it printed"""
        begin = self._position
        self.write(text + "\n")
        match = self.wait_for(PROMPT, timeout, begin)
        self._position = match.end()
        return self.text[begin:match.start()]

    def start(self) -> None:
        """`start`, forwarding begins."""
        if "Not all ports were started" in self.command("start"):
            self.fail("cannot start its ports")

    def stats(self) -> list[dict[str, int]]:
        """`show port stats all`: a dictionary per port, such as {"RX-packets": 7, ...}."""
        text = self.command("show port stats all")
        ports = re.split(r"NIC statistics for port \d+", text)[1:]
        if not ports:
            self.fail("shows no port statistics")
        return [{key: int(value) for key, value in re.findall(r"([RT]X-\w+): +(\d+)", port)} for port in ports]

    def wait_for_packets(self, count: int, *keys: str, timeout: float = 15) -> None:
        """Waits until port 0 has moved that many (RX-packets, or the counters named)."""
        deadline = time.monotonic() + timeout
        while min((stats := self.stats()[0])[key] for key in keys or ("RX-packets",)) < count:
            if time.monotonic() > deadline:
                self.fail(f"{count} packets did not come within {timeout:.0f} s: {stats}")
            time.sleep(0.1)

    def stop(self) -> dict[str, int]:
        """`stop`. @return the sums over all ports, such as {"TX-dropped": 0, ...}"""
        text = self.command("stop")
        sums = text.split("Accumulated forward statistics", 1)
        return {key: int(value) for key, value in re.findall(r"([RT]X-\w+): +(\d+)", sums[-1])}

    def host_counters(self) -> list[dict[str, Any]]:
        """Of a guest that has ended: what its host counted, for each NIC."""
        counters: list[dict[str, Any]] = json.loads(self.report.read_text())["nics"]
        return counters

    def quit(self, timeout: float = 30) -> int:
        """`quit`. @return the exit code"""
        self.write("quit\n")
        return self.wait(timeout)

    def kill(self) -> None:
        super().kill()
        if self.primary:
            return
        if self.memory == "files":
            for path in Path(machine.hugetlbfs()[0]).glob(f"{self.prefix}map_*"):
                path.unlink(missing_ok=True)
        forget(self.prefix)


def socket_path() -> Path:
    """Where a daemon may listen; short, as socket paths must be."""
    folder = Path(tempfile.mkdtemp(prefix="netvsp-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder / "socket"


class Daemon(Process):
    """A netvsp daemon that listens."""

    def __init__(self, log: Path, socket: Path, nics: Sequence[str], *options: str, timeout: float = 20) -> None:
        arguments = [part for nic in nics for part in ("--nic", nic)]
        self.socket = socket
        super().__init__([str(machine.BUILD / "netvsp"), f"--socket={socket}", *arguments, *options], log)
        try:
            self.wait_for("netvsp: listening at", timeout)
        except ProcessError:
            self.kill()
            raise

    def kill(self) -> None:
        super().kill()
        self.socket.unlink(missing_ok=True)
