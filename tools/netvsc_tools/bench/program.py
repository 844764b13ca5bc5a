# SPDX-License-Identifier: BSD-3-Clause
"""The program bench/pmd: one process measures some cases with one driver. Processes can take turns."""
import json
import random
import re
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Sequence

from .. import machine
from ..console import say
from ..process import Process, ProcessError, run
from ..runner import describe
from ..testpmd import file_prefix, forget
from . import callgrind
from .instrument import LOGS, WrongUsage, chosen

UIO_HOST = machine.ROOT / "tools/uio-host"
# It stops all threads but one; without fairness a thread that spins keeps those from running that it waits for.
VALGRIND = ["valgrind", "--tool=callgrind", "--fair-sched=yes", "--instr-atstart=yes", "--collect-atstart=no"]
TURN, END = 120, 900  # seconds that a process may need for its next sample, and under valgrind for everything


@dataclass(frozen=True)
class Subject:
    """A driver, and how it meets its host."""
    name: str
    plugin: Path | None     #: None = the one that DPDK has loaded by itself
    uio: bool = True        #: devices of the emulated kernel, else vdevs
    handicap: int = 0       #: instructions that the program wastes for each frame


def driver(name: str, plugin: Path, uio: bool = True) -> Subject:
    """A plugin that EAL will take."""
    if not plugin.is_file():
        raise WrongUsage(f"{name}: there is no {plugin}")
    if machine.bad_place(plugin.resolve()):
        raise ProcessError(machine.bad_place(plugin.resolve()))
    return Subject(name, plugin.resolve(), uio)


@dataclass
class Measured:
    """What came of one case in one process; or why nothing came."""
    cycles: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)
    frames: int = 0
    queue_bytes: int = 0  #: of DPDK's heap for each queue, where there are several
    instructions: float = 0
    unsupported: str = ""
    error: str = ""


@dataclass(frozen=True)
class Effort:
    """How much a process measures of each case. Short samples let processes take turns quickly."""
    samples: int
    steps: int


FULL, QUICK, COUNTING = Effort(40, 16), Effort(15, 8), Effort(1, 128)


def no_uio() -> str:
    """Empty, or why no devices of the emulated kernel can be used here."""
    return machine.no_hugepages()


def _memory(uio: bool, counting: bool) -> str:
    """EAL's arguments. It sets aside addresses for each size of hugepages, which in memory are all that the kernel
    knows: more than valgrind has. The emulated kernel knows pages by their addresses: no legacy memory, which moves."""
    if no_uio():
        if uio:
            raise ProcessError(f"devices of the emulated kernel need hugepages: {no_uio()}")
        return "-m 256 --no-huge"
    if not counting:
        return "-m 64 --in-memory"
    folder, none = machine.hugetlbfs()
    if none:
        raise ProcessError(f"valgrind needs hugepages as files: {none}")
    return f"-m 64 --huge-unlink --huge-dir {folder}"


class Run(Process):
    """A process that measures."""

    def __init__(self, build: Path, subject: Subject, group: str, cases: Sequence[str], effort: Effort, log: Path,
                 before: Sequence[str] = (), paced: bool = False) -> None:
        self.cases = list(cases)
        self.prefix = file_prefix()
        self._position = 0
        self._hung = ""
        command = [*([str(UIO_HOST), "--"] if subject.uio else []), *before, str(build / "bench/pmd"), "--group", group,
                   "--samples", str(effort.samples), "--steps", str(effort.steps),
                   "--eal", f"--file-prefix {self.prefix} {_memory(subject.uio, bool(before))}",
                   *(["--plugin", str(subject.plugin)] if subject.plugin else []), *(["--paced"] if paced else []),
                   *(["--handicap", str(subject.handicap)] if subject.handicap else []),
                   *(part for case in cases for part in ("--case", case))]
        super().__init__(command, log, env={"NETVSC_BUILD": str(build)})

    def kill(self) -> None:
        super().kill()
        forget(self.prefix)

    def ready(self) -> bool:
        """Waits until the next sample can be taken. @return false: there is none, the process has ended"""
        try:
            self._position = self.wait_for("^pmd: ready$", TURN, self._position).end()
        except ProcessError:
            if self.alive():
                self._hung = f"nothing came for {TURN} s, "
                self.kill()
            return False
        return True

    def at(self) -> str:
        """The case that it is at."""
        return [case for case in re.findall(r"^pmd: (\S+)$", self.text, re.M) if case in self.cases][-1]

    def results(self) -> dict[str, Measured]:
        """Of a process that has ended."""
        code = self.wait(TURN)
        measured: dict[str, Measured] = {}
        for line in re.findall(r"^\{.*$", self.text, re.M):
            try:
                found: dict[str, Any] = json.loads(line)
                found.pop("frames_per_packet", None)
                case = found.pop("case")
                measured[case] = Measured(**found)
            except (ValueError, KeyError, TypeError) as error:
                self.fail(f"printed what is no result ({error}): {line[:200]}")
        for case in self.cases:
            measured.setdefault(case, Measured(error=f"no result: {self._hung}{describe(code)}, see {self.log}"))
        if code != 0 and not any(result.error for result in measured.values()):
            self.fail(f"{describe(code)} after its last case")
        return measured


class Program:
    """bench/pmd of a build."""

    def __init__(self, build: Path) -> None:
        self.build = build
        path = build / "bench/pmd"
        if not path.is_file():
            raise ProcessError(f"{path} is not built")
        told = re.search(r"--group NAME +which cases: (.+?)\n +--", run(str(path), "--help"), re.S)
        if not told:
            raise ProcessError(f"{path} --help tells no groups")
        #: all cases, by the group of those that share a process
        self.every = {group: run(str(path), "--group", group, "--list").split()
                      for group in re.findall(r"\w+", told[1].replace("(default)", ""))}

    def groups(self, patterns: Sequence[str]) -> dict[str, list[str]]:
        """The cases that match; groups without are left out."""
        found = {group: chosen(cases, patterns) for group, cases in self.every.items()}
        return {group: cases for group, cases in found.items() if cases}

    def measure(self, jobs: Sequence[tuple[Subject, Sequence[str]]], group: str,
                effort: Effort) -> list[dict[str, Measured]]:
        """Cycles per frame of each subject's cases: a process for each subject. They take turns sample by sample, in an
        order that chance decides, so that what disturbs the machine disturbs all of them alike."""
        order = self.every[group]
        runs: dict[int, Run] = {}
        waiting: list[Run] = []
        try:
            for i in random.sample(range(len(jobs)), len(jobs)):
                subject, cases = jobs[i]
                runs[i] = Run(self.build, subject, group, cases, effort, LOGS / f"pmd-{group}-{i}.log", paced=True)
                if runs[i].ready():
                    waiting.append(runs[i])
            told = time.monotonic()
            while waiting:
                places = {process: order.index(process.at()) for process in waiting}
                turn = [process for process in waiting if places[process] == min(places.values())]
                for process in random.sample(turn, len(turn)):
                    process.write("\n")
                    if not process.ready():
                        waiting.remove(process)
                if time.monotonic() > told + 10:
                    told = time.monotonic()
                    say(f"  {order[min(places.values())]}")
            return [runs[i].results() for i in range(len(jobs))]
        finally:
            for process in runs.values():
                process.kill()

    def count(self, subject: Subject, group: str, cases: Sequence[str]) -> dict[str, Measured]:
        """Instructions per frame of each case; its cycles mean nothing."""
        if not shutil.which(VALGRIND[0]):
            raise ProcessError("valgrind is not installed: it counts instructions (tools/setup installs it)")
        with tempfile.TemporaryDirectory(prefix="netvsc-callgrind-") as folder:
            before = [*VALGRIND, f"--callgrind-out-file={folder}/callgrind.out"]
            with Run(self.build, subject, group, cases, COUNTING, LOGS / f"callgrind-{group}.log", before) as process:
                deadline = time.monotonic() + END
                while process.alive() and time.monotonic() < deadline:
                    try:
                        process.wait(10)
                    except ProcessError:
                        say(f"  {subject.name}, {group}, under valgrind")
                measured = process.results()
            counted = callgrind.counts(Path(folder))
        for case, result in measured.items():
            if result.error or result.unsupported:
                continue
            if not counted.get(case):
                result.error = "callgrind counted nothing: was the build configured before valgrind was installed?"
            else:
                result.instructions = counted[case] / result.frames
        return measured
