# SPDX-License-Identifier: BSD-3-Clause
"""Processes whose output is watched: every wait has a deadline, every process ends with us."""
import atexit
import ctypes
import os
import pty
import re
import signal
import subprocess
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Mapping, NoReturn, Sequence

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class ProcessError(Exception):
    """A process ended, or did not do in time what it should."""


def tail(path: Path, lines: int = 30) -> str:
    """The last lines of a log, for people. A program's usage text is left out."""
    try:
        text = path.read_text(errors="replace")
    except OSError as error:
        return f"    ({error})"
    text = re.sub(r"^Usage: .*?(?=^EAL: )", "(usage)\n", text, flags=re.MULTILINE | re.DOTALL)
    return "\n".join("    " + line for line in text.splitlines()[-lines:])


def end_on_signals() -> None:
    """Makes SIGINT, SIGTERM and SIGHUP end Python in the ordinary way, so that everything is cleaned up."""
    def end(number: int, _: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)


def die_with_parent() -> None:
    """In the child: be killed when the parent is gone, however it went."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def run(*command: str, timeout: float = 60, check: bool = True) -> str:
    """Runs a short command. @return stdout and stderr"""
    try:
        done = subprocess.run(command, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=timeout, preexec_fn=die_with_parent)
    except FileNotFoundError as error:
        raise ProcessError(f"'{command[0]}' is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise ProcessError(f"'{' '.join(command)}' did not end within {timeout:.0f} s") from error
    if check and done.returncode != 0:
        raise ProcessError(f"'{' '.join(command)}' exit {done.returncode}: {done.stdout.strip()}")
    return done.stdout


class Process:
    """A running process; its output goes to a log file and can be waited for."""

    _all: list["Process"] = []

    def __init__(self, command: Sequence[str], log: Path, *, tty: bool = False,
                 env: Mapping[str, str] | None = None) -> None:
        self.name = Path(command[0]).name
        self.log = log
        self.text = ""
        self._changed = threading.Condition()
        self._ended = False
        log.parent.mkdir(parents=True, exist_ok=True)
        self._file = log.open("w", encoding="utf-8")
        self._file.write(f"$ {' '.join(command)}\n")
        self._file.flush()
        if tty:  # a terminal, so that the output of stdio comes line by line
            self._out, inner = pty.openpty()
            self._in = os.dup(self._out)
            stdin = stdout = inner
        else:
            stdin, self._in = os.pipe()
            self._out, stdout = os.pipe()
        try:
            self.popen = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stdout, start_new_session=True,
                                          preexec_fn=die_with_parent, env={**os.environ, **(env or {})})
        except OSError as error:
            raise ProcessError(f"cannot run {command[0]}: {error}") from error
        finally:
            for descriptor in {stdin, stdout}:
                os.close(descriptor)
        Process._all.append(self)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._out, 65536)
            except OSError:  # EIO: the other side of the terminal is closed
                data = b""
            with self._changed:
                if not data:
                    self._ended = True
                else:
                    text = ANSI.sub("", data.decode("utf-8", "replace")).replace("\r", "")
                    self.text += text
                    self._file.write(text)
                    self._file.flush()
                self._changed.notify_all()
            if not data:
                return

    def fail(self, what: str) -> NoReturn:
        raise ProcessError(f"{self.name}: {what}; its last lines ({self.log}):\n{tail(self.log)}")

    def wait_for(self, pattern: str, timeout: float, start: int = 0) -> re.Match[str]:
        """Waits until the output from `start` matches."""
        expression = re.compile(pattern, re.MULTILINE)
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                match = expression.search(self.text, start)
                if match:
                    return match
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    break
                self._changed.wait(left)
        if self._ended:
            self.fail(f"ended (exit {self._code(5)}) before '{pattern}' came")
        self.fail(f"'{pattern}' did not come within {timeout:.0f} s")

    def write(self, text: str) -> None:
        try:
            os.write(self._in, text.encode())
        except OSError as error:
            self.fail(f"takes no input any more: {error}")

    def _code(self, timeout: float) -> int | None:
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def alive(self) -> bool:
        return self.popen.poll() is None

    def wait(self, timeout: float) -> int:
        """Waits for the end. @return the exit code, negative for a signal"""
        code = self._code(timeout)
        if code is None:
            self.fail(f"did not end within {timeout:.0f} s")
        self._thread.join(5)
        return code

    def signal(self, number: int) -> None:
        self.popen.send_signal(number)

    def kill(self) -> None:
        """Ends the process and its children now. Harmless if it ended."""
        if self.popen.poll() is None:
            try:
                os.killpg(self.popen.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.popen.wait()
        self._thread.join(5)
        for descriptor in (self._in, self._out):
            try:
                os.close(descriptor)
            except OSError:
                pass
        self._in = self._out = -1
        self._file.close()
        if self in Process._all:
            Process._all.remove(self)

    @classmethod
    def kill_all(cls) -> None:
        for process in list(cls._all):
            process.kill()

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


atexit.register(Process.kill_all)
