# SPDX-License-Identifier: BSD-3-Clause
"""The system that is looked at and changed: this machine, or a folder that looks like one."""
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Callable


class BindError(Exception):
    """Something cannot be done. The text says what is wrong and what to do."""


class System:
    """Files below a root, and commands of the PATH. Where a dry run would change something, it says so instead."""

    def __init__(self, root: str = "/", timeout: float = 10, dry_run: bool = False) -> None:
        self.root = Path(root)
        self.timeout = timeout
        self.dry_run = dry_run

    def path(self, name: str) -> Path:
        """Where a file of the system is. name: its absolute path there."""
        return self.root / name.lstrip("/")

    def exists(self, name: str) -> bool:
        return self.path(name).exists()

    def read(self, name: str) -> str:
        """The text of a file without blanks around it; empty where it cannot be read."""
        try:
            return self.path(name).read_text(errors="replace").strip()
        except OSError:
            return ""

    def names(self, name: str) -> list[str]:
        """What is in a folder, sorted; nothing where it cannot be read."""
        try:
            return sorted(os.listdir(self.path(name)))
        except OSError:
            return []

    def target(self, name: str) -> str:
        """What a link points to; empty if it is none."""
        try:
            return os.readlink(self.path(name))
        except OSError:
            return ""

    def link(self, name: str) -> str:
        """The last part of what a link points to."""
        return os.path.basename(self.target(name))

    def has(self, command: str) -> bool:
        """Whether a command is in the PATH."""
        return shutil.which(command) is not None

    def write_file(self, name: str, text: str) -> None:
        """Writes a file that exists, in one go: one write is one command to the kernel."""
        if self.dry_run:
            print(f"would write '{text.strip()}' to {name}")
            return
        # For writing only: sysfs lets nobody open its write-only files for reading as well.
        descriptor = os.open(self.path(name), os.O_WRONLY | os.O_TRUNC)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)

    def run(self, *command: str, check: bool = True) -> str:
        """Runs a command that only looks. @return its output"""
        try:
            done = subprocess.run(command, text=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        except FileNotFoundError as error:
            raise BindError(f"'{command[0]}' is not installed, or not in the PATH") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BindError(f"'{' '.join(command)}' cannot be run: {error}") from error
        if check and done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            raise BindError(f"'{' '.join(command)}' failed (exit {done.returncode}){': ' if said else ''}{said}")
        return done.stdout

    def change(self, *command: str) -> None:
        """Runs a command that changes something."""
        if self.dry_run:
            print(f"would run {' '.join(command)}")
        else:
            self.run(*command)

    def wait_until(self, condition: Callable[[], bool]) -> bool:
        """Waits for what the kernel and its helpers do. @return whether it came in time; true in a dry run"""
        deadline = time.monotonic() + self.timeout
        while not self.dry_run and not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True
