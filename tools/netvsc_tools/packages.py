# SPDX-License-Identifier: BSD-3-Clause
"""Packages of the distribution's that tests use without installing them: nothing is started or configured."""
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Sequence

from . import machine
from .process import ProcessError, run


def unpacked(*names: str, only: Sequence[str] = ()) -> tuple[Path, str]:
    """Downloads packages into the build folder, once, and of a large one only the files whose paths match a pattern.
    @return where their root is; or why there is none"""
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
            if only:
                os.makedirs(f"{work}/root", exist_ok=True)
                run("sh", "-c", 'deb=$1 root=$2; shift 2; dpkg --fsys-tarfile "$deb" | tar -x -C "$root" --wildcards "$@"',
                    "sh", str(package), f"{work}/root", *only, timeout=120)
            else:
                run("dpkg", "-x", str(package), f"{work}/root")
        shutil.move(f"{work}/root", folder)
    return folder, ""


def missing_libraries(programs: Sequence[Path]) -> str:
    """Empty, or which shared libraries of programs are not installed."""
    missing = {line.split()[0] for program in programs for line in run("ldd", str(program)).splitlines()
               if "not found" in line}
    return f"not installed: {', '.join(sorted(missing))}" if missing else ""


def kernel_headers() -> tuple[Path, str]:
    """The folder include/linux of the kernel's own headers, which are not those for programs. @return it; or why not"""
    installed = sorted(Path("/usr/src").glob("linux-headers-*/include/linux/hyperv.h"))
    if installed:
        return installed[-1].parent, ""
    # The package that always exists depends on today's, and that on the one with what all flavours share.
    names: list[str] = []
    try:
        names += [f"linux-headers-{run('dpkg', '--print-architecture').strip()}", "linux-headers-generic"]
        packages = next(text for text in (run("apt-cache", "depends", name, check=False) for name in names) if "Depends:" in text)
        name = ""
        while match := re.search(r"Depends: (linux-headers-\S+)", packages):
            name = match[1]
            packages = run("apt-cache", "depends", name)
    except ProcessError as error:
        return Path(), f"the distribution's packages cannot be asked ({error})"
    except StopIteration:
        return Path(), f"apt knows no {' and no '.join(names)} (its lists may be missing: apt-get update)"
    root, none = unpacked(name, only=["*/include/linux/hyperv.h", "*/include/linux/rndis.h"])
    found = sorted(root.glob("usr/src/*/include/linux/hyperv.h"))
    return (found[-1].parent, none) if found else (root, none or f"{name} has no include/linux/hyperv.h")
