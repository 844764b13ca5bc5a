# SPDX-License-Identifier: BSD-3-Clause
"""Configures and builds, with progress lines."""
import re
import shutil
from pathlib import Path
from typing import Sequence

from . import machine
from .console import say
from .process import Process, ProcessError, tail


def _step(command: Sequence[str], log: Path, what: str, timeout: float) -> str:
    """Runs a build step. Every 10 s it says how far it is. @return the output"""
    with Process(command, log) as process:
        waited = 0
        while process.alive() and waited < timeout:
            try:
                process.wait(10)
            except ProcessError:
                waited += 10
                steps = re.findall(r"^\[(\d+/\d+)\]", process.text, re.MULTILINE)
                say(f"  {what}{' ' + steps[-1] if steps else ''}")
        code = process.wait(1)
    if code != 0:
        errors = [line for line in process.text.splitlines() if re.search(r"\berror:|ERROR:|FAILED:", line)]
        raise ProcessError(f"{what} failed (exit {code}), see {log}:\n"
                           + ("\n".join(f"    {line}" for line in errors[:15]) or tail(log)))
    return process.text


def build(folder: Path, options: Sequence[str] = (), targets: Sequence[str] = (), source: Path = machine.ROOT) -> None:
    """Builds everything, or some targets, in a folder; configures it first if it is not yet."""
    logs = folder / "logs"
    if not (folder / "build.ninja").is_file():
        say(f"configuring {folder.name}/ {' '.join(options)}")
        # A folder whose configuration failed half-way is begun anew.
        for part in ("meson-private", "meson-info", "meson-logs"):
            shutil.rmtree(folder / part, ignore_errors=True)
        _step(["meson", "setup", str(folder), str(source), *options], logs / "setup.log", "configuring", 300)
    say(f"building {folder.name}/")
    text = _step(["meson", "compile", "-C", str(folder), *targets], logs / "build.log", "building", 1800)
    done = re.findall(r"^\[(\d+)/(\d+)\]", text, re.MULTILINE)
    say(f"built, {done[-1][1]} steps" if done else "built, nothing had changed")
