# SPDX-License-Identifier: BSD-3-Clause
"""Runs one test program and counts its cases from what it prints in GoogleTest's form."""
import atexit
import re
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Mapping

from .process import Process, ProcessError

BEGIN = re.compile(r"\[ RUN      \] (\S+)")
END = re.compile(r"\[ +(OK|FAILED|SKIPPED) +\] ([^\s,]+)(?:, where .*)? \((\d+) ms\)")
DID_NOT_RUN = "did not run"
SKIPPED = 77  # exit code of a program that skips itself


@dataclass
class Outcome:
    """How a case went: passed, failed or skipped."""
    name: str
    status: str
    seconds: float = 0
    reason: str = ""
    log: Path | None = None


@dataclass
class Program:
    """A test program."""
    name: str
    command: list[str]
    env: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 300       # for the whole program
    silence: float = 120       # for no line of output
    cases: list[str] = field(default_factory=list)     # to run; empty = it is one test by itself
    select: Callable[[list[str]], list[str]] | None = None  # arguments that run only these cases


def describe(code: int | None) -> str:
    """An exit code for people."""
    if code is None:
        return "timed out"
    try:
        return f"crashed ({signal.Signals(-code).name})" if code < 0 else f"exit {code}"
    except ValueError:
        return f"exit {code}"


class Reader:
    """Follows the output of a program."""

    def __init__(self, log: Path, done: Callable[[Outcome], None]) -> None:
        self.log, self.done = log, done
        self.current = ""
        self.lines: list[str] = []
        self.seen: set[str] = set()
        self.failed = False

    def feed(self, line: str) -> None:
        if begin := BEGIN.search(line):
            self.current, self.lines = begin[1], []
        elif (end := END.search(line)) and end[2] == self.current:
            status = {"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped"}[end[1]]
            reason = {"skipped": self.reason, "failed": self.first_line, "passed": str}[status]()
            self.finish(status, int(end[3]) / 1000, reason)
        elif self.current:
            self.lines.append(line)

    def reason(self) -> str:
        """What a skipped case said."""
        text = "\n".join(self.lines)
        where = text.find("Skipped")
        return " ".join(text[where + len("Skipped"):].lstrip(": \n").split()) if where >= 0 else ""

    def first_line(self) -> str:
        """Where a failed case failed."""
        return next((line.strip()[:160] for line in self.lines if line.strip()), "")

    def finish(self, status: str, seconds: float, reason: str) -> None:
        self.failed |= status == "failed"
        self.seen.add(self.current)
        self.done(Outcome(self.current, status, seconds, reason, self.log))
        self.current = ""


def run_once(program: Program, arguments: list[str], reader: Reader, log: Path) -> int | None:
    """Runs the program to its end. @return its exit code, None if it took too long"""
    with Process([*program.command, *arguments], log, env=program.env) as process:
        position, deadline = 0, time.monotonic() + program.timeout
        changed = time.monotonic()
        while True:
            alive = process.alive()
            if not alive:
                process.wait(5)
            end = process.text.rfind("\n") + 1 if alive else len(process.text)
            if end > position:
                changed = time.monotonic()
                for line in process.text[position:end].splitlines():
                    reader.feed(line)
                position = end
            if not alive:
                return process.popen.returncode
            if time.monotonic() > min(deadline, changed + program.silence):
                return None
            time.sleep(0.02)


def run_program(program: Program, folder: Path, done: Callable[[Outcome], None]) -> None:
    """Runs a program; done() is called for every case. After a crash the cases left are run again."""
    log = folder / f"{program.name}.log"
    left = list(program.cases)
    for attempt in range(20):
        log = folder / (f"{program.name}.{attempt}.log" if attempt else f"{program.name}.log")
        reader = Reader(log, done)
        arguments = program.select(left) if program.select and left else []
        began = time.monotonic()
        try:
            code = run_once(program, arguments, reader, log)
        except ProcessError as error:
            done(Outcome(program.name, "failed", 0, str(error), log))
            return
        broken = bool(reader.current)
        if broken:
            reader.finish("failed", time.monotonic() - began, describe(code))
        if not program.cases and not reader.seen:
            status = "passed" if code == 0 else "skipped" if code == SKIPPED else "failed"
            done(Outcome(program.name, status, time.monotonic() - began, "" if code == 0 else describe(code), log))
            return
        if code != 0 and not reader.failed:  # it failed outside of its cases, as with a leak found at the end
            done(Outcome(f"{program.name} (outside of its cases)", "failed", 0, describe(code), log))
        left = [case for case in left if case not in reader.seen]
        if not left or not program.select:
            return
        if not broken and not reader.seen:
            break
    for case in left:
        done(Outcome(case, "failed", 0, DID_NOT_RUN, log))


def gtest_cases(command: list[str], env: Mapping[str, str]) -> list[str]:
    """The cases of a GoogleTest program; none if it is no such program."""
    try:
        text = subprocess.run([*command, "--gtest_list_tests"], text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=30, env=env).stdout
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return []
    cases: list[str] = []
    suite = ""
    for line in text.splitlines():
        name = line.split("#")[0].rstrip()
        if re.fullmatch(r"[\w/]+\.", name):
            suite = name
        elif suite and re.fullmatch(r"  [\w/]+", name):
            cases.append(suite + name.strip())
    return cases


def gtest_select(cases: list[str]) -> list[str]:
    """Arguments that run only these cases, however many they are."""
    with tempfile.NamedTemporaryFile("w", prefix="netvsc-", suffix=".flags", delete=False) as file:
        file.write(f"--gtest_filter={':'.join(cases)}\n")
    atexit.register(Path(file.name).unlink, missing_ok=True)
    return [f"--gtest_flagfile={file.name}"]
