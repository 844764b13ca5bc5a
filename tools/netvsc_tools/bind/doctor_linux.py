# SPDX-License-Identifier: BSD-3-Clause
"""What the driver needs of Linux."""
import ctypes
import mmap
import os
import re
from typing import Iterable

from .doctor import ERROR, OK, WARNING, Check, check_nics
from .linux import Linux
from .linux_move import DEVICES, DRIVERS, USER_DRIVER
from .nic import Nic
from .system import BindError, System

HUGE = "/sys/kernel/mm/hugepages"
SUBCHANNELS = (4, 17)
OVERRIDE = (4, 18)
CAP_SYS_ADMIN = 21
DPDK_PLUGINS = ("usr/lib/*/dpdk/pmds-*", "usr/lib*/dpdk/pmds-*", "usr/local/lib/*/dpdk/pmds-*", "usr/local/lib*/dpdk/pmds-*")


def check_linux(system: System) -> list[Check]:
    linux = Linux(system)
    nics, broken = [], []
    try:
        nics = linux.scan()
    except BindError as error:
        broken = [Check("commands", ERROR, str(error), "apt-get install iproute2, or dnf install iproute")]
    if linux.no_bus():
        bus = Check("VMBus", ERROR, f"{linux.no_bus()}: is this a Hyper-V guest?",
                    "run this in a virtual machine of Hyper-V or Azure; elsewhere, use emulated NICs (README.md)")
    else:
        bus = Check("VMBus", OK, f"{len(system.names(DEVICES))} devices")
    return [bus, *broken, _module(system), *_kernel(system, nics), *_hugepages(system, nics), _hugetlbfs(system),
            _addresses(system), _iommu(system), _lockdown(system), *([] if broken else [check_nics(nics, USER_DRIVER)]),
            *_nodes(system, nics), _plugins(system)]


def _release(system: System) -> str:
    return system.read("/proc/sys/kernel/osrelease")


def _module(system: System) -> Check:
    modules = f"/lib/modules/{_release(system)}"
    name = "driver"
    if system.exists(f"{DRIVERS}/{USER_DRIVER}") or system.exists(f"/sys/module/{USER_DRIVER}"):
        return Check(name, OK, f"{USER_DRIVER} is loaded")
    if f"/{USER_DRIVER}.ko" in system.read(f"{modules}/modules.builtin"):
        return Check(name, OK, f"{USER_DRIVER} is built into the kernel")
    if f"/{USER_DRIVER}.ko" in system.read(f"{modules}/modules.dep"):
        return Check(name, OK, f"{USER_DRIVER} is available, 'netvsc-bind bind' loads it")
    return Check(name, ERROR, f"{USER_DRIVER} is not among the modules of kernel {_release(system)}",
                 "install the package with the kernel's further modules (Ubuntu: apt-get install "
                 f"linux-modules-extra-{_release(system)}), or a kernel with CONFIG_UIO_HV_GENERIC")


def _kernel(system: System, nics: list[Nic]) -> Iterable[Check]:
    """What the kernel's version means, where nothing better than the version tells it."""
    release = _release(system)
    numbers = re.match(r"(\d+)\.(\d+)", release)
    version = (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
    old = []
    if version < SUBCHANNELS:
        old.append("one queue per NIC (4.17 has several)")
    override = any(system.exists(f"{DEVICES}/{nic.guid}/driver_override") for nic in nics) if nics else version >= OVERRIDE
    if not override:
        old.append("no driver_override: NICs are bound through their class, and --persistent cannot be had")
    yield Check("kernel", WARNING if old else OK, "; ".join([release, *old]), "boot a newer kernel" if old else "")
    silent = [nic for nic in nics if not system.exists(f"{DEVICES}/{nic.guid}/monitor_id")]
    if silent:
        unbound = [nic for nic in silent if nic.driver != USER_DRIVER]
        yield Check("monitor", WARNING, f"{', '.join(map(str, silent))}: no monitor id. Kernels before 2024 do not bind such a "
                    "NIC, those before 2025 do not signal its subchannels",
                    f"see whether 'netvsc-bind bind {unbound[0].guid}' works; the table in docs/linux.md names the changes"
                    if unbound else "use one queue, or a newer kernel: the table in docs/linux.md names the changes")


def _pages(system: System, folder: str) -> list[tuple[int, int, int]]:
    """Hugepages of each size: kB, all, free."""
    def number(name: str) -> int:
        text = system.read(name)
        return int(text) if text.isdigit() else 0

    return [(int(match[1]), number(f"{folder}/{name}/nr_hugepages"), number(f"{folder}/{name}/free_hugepages"))
            for name in system.names(folder) if (match := re.fullmatch(r"hugepages-(\d+)kB", name))]


def _hugepages(system: System, nics: list[Nic]) -> Iterable[Check]:
    fix = f"echo 512 > {HUGE}/hugepages-2048kB/nr_hugepages"
    pages = [entry for entry in _pages(system, HUGE) if entry[1] > 0]
    text = ", ".join(f"{all_} of {size} kB, {free} free" for size, all_, free in pages)
    if not pages:
        yield Check("hugepages", ERROR, "none are configured", fix)
        return
    if not any(free for _, _, free in pages):
        yield Check("hugepages", WARNING, f"{text}: others use all of them", "end what uses them, or configure more: " + fix)
    else:
        yield Check("hugepages", OK, text)
    for node in sorted({nic.numa_node for nic in nics if nic.numa_node is not None}):
        folder = f"/sys/devices/system/node/node{node}/hugepages"
        if system.exists(folder) and not any(free for _, _, free in _pages(system, folder)):
            yield Check("hugepages", WARNING, f"none are free on NUMA node {node}, where NICs are",
                        f"echo 512 > {folder}/hugepages-2048kB/nr_hugepages")


def _hugetlbfs(system: System) -> Check:
    mounts = [line.split()[1] for line in system.read("/proc/mounts").splitlines() if line.split()[2:3] == ["hugetlbfs"]]
    if mounts:
        return Check("hugetlbfs", OK, f"mounted at {', '.join(mounts)}")
    return Check("hugetlbfs", WARNING, "not mounted: only --in-memory works",
                 "mkdir -p /dev/hugepages && mount -t hugetlbfs none /dev/hugepages")


def _addresses(system: System) -> Check:
    """Looks a page of this process up, as EAL does with those of packet buffers."""
    name = "physical addresses"
    capabilities = re.search(r"^CapEff:\s*([0-9a-f]+)", system.read("/proc/self/status"), re.MULTILINE)
    if not capabilities or not int(capabilities[1], 16) >> CAP_SYS_ADMIN & 1:
        return Check(name, ERROR, "this process may not see them: it lacks CAP_SYS_ADMIN", "run as root")
    page = ctypes.create_string_buffer(b"used, so that there is a page")
    entry = b""
    try:
        with system.path("/proc/self/pagemap").open("rb", buffering=0) as pagemap:
            pagemap.seek(ctypes.addressof(page) // mmap.PAGESIZE * 8)
            entry = pagemap.read(8)
    except OSError as error:
        return Check(name, ERROR, f"/proc/self/pagemap cannot be read: {error.strerror}", "run as root, outside of a container")
    if int.from_bytes(entry, "little") & ((1 << 55) - 1) == 0:
        return Check(name, ERROR, "/proc/self/pagemap hides them", "run as root of the machine, not of a user namespace")
    return Check(name, OK, "/proc/self/pagemap shows them")


def _iommu(system: System) -> Check:
    if system.names("/sys/class/iommu"):
        return Check("IOMMU", WARNING, "there is one, though VMBus devices are not behind it",
                     "leave IOVA at PA (this driver asks for it), do not give --iova-mode=va")
    return Check("IOMMU", OK, "none, the host takes physical addresses")


def _lockdown(system: System) -> Check:
    text = system.read("/sys/kernel/security/lockdown")
    mode = next(iter(re.findall(r"\[(\w+)\]", text)), "none")
    if mode == "none":
        return Check("lockdown", OK, "none")
    text = f"{mode} (secure boot): only signed modules can be loaded"
    if system.exists(f"{DRIVERS}/{USER_DRIVER}"):
        return Check("lockdown", OK, text)
    return Check("lockdown", WARNING, text, f"take {USER_DRIVER} from the distribution, which signs it")


def _nodes(system: System, nics: list[Nic]) -> Iterable[Check]:
    for nic in nics:
        if nic.driver != USER_DRIVER:
            continue
        if not nic.node or not system.exists(nic.node):
            yield Check("nodes", ERROR, f"{nic} has no node in /dev",
                        f"netvsc-bind unbind {nic.guid} && netvsc-bind bind {nic.guid}")
        elif not os.access(system.path(nic.node), os.R_OK | os.W_OK):
            yield Check("nodes", ERROR, f"{nic.node} may not be read and written by this user", "run as root")
        else:
            yield Check("nodes", OK, f"{nic.node} may be read and written")


def _plugins(system: System) -> Check:
    found = sorted({str(path) for pattern in DPDK_PLUGINS for path in system.root.glob(f"{pattern}/librte_net_netvsc.so*")})
    return Check("DPDK's netvsc", OK, f"{found[0]}, this driver takes its place" if found else "not installed, not needed")
