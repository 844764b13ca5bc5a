# SPDX-License-Identifier: BSD-3-Clause
"""Programs of the distribution's that tests use without installing them: nothing is started or configured."""
import os
import shutil
import tempfile
from pathlib import Path
from typing import Sequence

from . import machine
from .process import ProcessError, run


def unpacked(*names: str) -> tuple[Path, str]:
    """Downloads packages into the build folder, once. @return where their root is; or why there is none"""
    folder = machine.BUILD / "packages" / "+".join(names)
    if folder.is_dir():
        return folder, ""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        there = os.getcwd()
        try:
            os.chdir(work)  # apt-get download knows no other way
            run("apt-get", "download", "-q", *names, timeout=120)
        except ProcessError as error:
            return folder, f"cannot download {' '.join(names)} ({error})"
        finally:
            os.chdir(there)
        for package in Path(work).glob("*.deb"):
            run("dpkg", "-x", str(package), f"{work}/root")
        shutil.move(f"{work}/root", folder)
    return folder, ""


def missing_libraries(programs: Sequence[Path]) -> str:
    """Empty, or which shared libraries of programs are not installed."""
    missing = {line.split()[0] for program in programs for line in run("ldd", str(program)).splitlines()
               if "not found" in line}
    return f"not installed: {', '.join(sorted(missing))}" if missing else ""
