# SPDX-License-Identifier: BSD-3-Clause
"""What this machine offers: root, hugepages, TAP, network namespaces, CPUs. Each with a reason if not."""
import atexit
import fcntl
import functools
import os
import stat
import struct
import tempfile
from pathlib import Path
from typing import Callable

from .process import Process, ProcessError, run

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("NETVSC_BUILD", ROOT / "build")).resolve()
LOGS = Path(os.environ.get("NETVSC_LOGS", BUILD / "logs"))
HUGE = Path("/sys/kernel/mm/hugepages/hugepages-2048kB")
PAGES = 320  # 640 MB: one testpmd with -m 512, and its spare
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000


def plugin() -> Path:
    """The driver."""
    return BUILD / "librte_net_netvsc.so"


def cpus() -> list[int]:
    return sorted(os.sched_getaffinity(0))


@functools.cache
def no_root() -> str:
    """Empty, or why what needs root cannot run. So do the following."""
    return "" if os.geteuid() == 0 else "needs root"


@functools.cache
def no_tap() -> str:
    if no_root():
        return no_root()
    try:
        with open("/dev/net/tun", "r+b", buffering=0) as tun:
            fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", f"nvprobe{os.getpid() % 10000}".encode(), IFF_TAP | IFF_NO_PI))
    except OSError as error:
        return f"no TAP interface can be made here (/dev/net/tun: {error.strerror})"
    return ""


@functools.cache
def no_namespaces() -> str:
    if no_root():
        return no_root()
    name = f"nvprobe-{os.getpid()}"
    try:
        run("ip", "netns", "add", name)
        run("nsenter", f"--net=/run/netns/{name}", "--", "true")
    except ProcessError as error:
        return f"no network namespace can be made here ({str(error).splitlines()[0]})"
    finally:
        if Path(f"/run/netns/{name}").exists():
            run("ip", "netns", "del", name, check=False)
    return ""


def _at_end(give_back: Callable[[], object]) -> None:
    """Gives something back at the end, after the processes that use it."""
    atexit.register(lambda: (Process.kill_all(), give_back()))


def runtime_folder() -> None:
    """Gives EAL a folder of its own where it would take /tmp/dpdk, which may be another user's."""
    if os.geteuid() == 0 or "XDG_RUNTIME_DIR" in os.environ:
        return
    folder = tempfile.TemporaryDirectory(prefix="netvsc-")
    os.environ["XDG_RUNTIME_DIR"] = folder.name
    _at_end(folder.cleanup)


def _number(name: str) -> int:
    return int((HUGE / name).read_text())


@functools.cache
def no_hugepages() -> str:
    """Reserves hugepages if there are too few, until this process ends."""
    if no_root():
        return no_root()
    try:
        before, free = _number("nr_hugepages"), _number("free_hugepages")
        if free >= PAGES:
            return ""
        (HUGE / "nr_hugepages").write_text(str(before + PAGES - free))
        _at_end(lambda: (HUGE / "nr_hugepages").write_text(str(before)))
        if _number("free_hugepages") >= PAGES:
            return ""
        return f"only {_number('free_hugepages')} of {PAGES} hugepages of 2 MB could be reserved"
    except OSError as error:
        return f"no hugepages can be reserved here ({error})"


@functools.cache
def hugetlbfs() -> tuple[str, str]:
    """Where hugepages can be had as files, as EAL does without --in-memory. @return folder, or why not"""
    if no_hugepages():
        return "", no_hugepages()
    for line in Path("/proc/mounts").read_text().splitlines():
        _, where, kind, flags = line.split()[:4]
        if kind == "hugetlbfs" and os.path.isdir(where) and "pagesize=2M" in flags:
            return where, ""
    folder = tempfile.mkdtemp(prefix="netvsc-huge-", dir="/run")
    try:
        run("mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "none", folder)
    except ProcessError as error:
        os.rmdir(folder)
        return "", f"no hugetlbfs can be mounted here ({error})"
    _at_end(lambda: (run("umount", folder, check=False), os.rmdir(folder)))
    return folder, ""


@functools.cache
def bad_place(path: Path | None = None) -> str:
    """EAL takes no plugin from where everybody could have put it. path: of which (the driver)"""
    path = path or plugin()
    for folder in [path, *path.parents]:
        try:
            if folder.stat().st_mode & stat.S_IWOTH:
                return (f"DPDK refuses plugins below a world-writable folder, and {folder} is one: "
                        "move the project elsewhere, such as into your home")
        except OSError:
            continue
    return ""
