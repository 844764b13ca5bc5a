# SPDX-License-Identifier: BSD-3-Clause
"""What the driver needs of FreeBSD."""
import os
from typing import Iterable

from .doctor import ERROR, OK, Check, check_nics
from .freebsd import USER_DRIVER, FreeBsd
from .nic import Nic
from .system import BindError, System

MODULES = ("/boot/kernel", "/boot/modules")


def check_freebsd(system: System) -> list[Check]:
    freebsd = FreeBsd(system)
    nics = freebsd.scan()
    reason = freebsd.no_bus()
    return [Check("VMBus", ERROR, f"{reason}: is this a Hyper-V guest?", "run this in a virtual machine of Hyper-V or Azure")
            if reason else Check("VMBus", OK, "this is a Hyper-V guest"),
            _driver(system), _contigmem(system), check_nics(nics, USER_DRIVER), *_nodes(system, nics)]


def _loaded(system: System, module: str) -> bool:
    try:
        system.run("kldstat", "-q", "-n", module)
    except BindError:
        return False
    return True


def _available(system: System, module: str) -> bool:
    return any(system.exists(f"{folder}/{module}.ko") for folder in MODULES)


def _driver(system: System) -> Check:
    if _loaded(system, USER_DRIVER):
        return Check("driver", OK, f"{USER_DRIVER} is loaded")
    if _available(system, USER_DRIVER):
        return Check("driver", OK, f"{USER_DRIVER} is available, 'netvsc-bind bind' loads it")
    return Check("driver", ERROR, f"there is no {USER_DRIVER}.ko in {' or '.join(MODULES)}, and no release of FreeBSD has it",
                 f"make -C kernel/freebsd/{USER_DRIVER} SYSDIR=/usr/src/sys all install")


def _contigmem(system: System) -> Check:
    settings = "hw.contigmem.num_buffers and hw.contigmem.buffer_size in /boot/loader.conf say how much memory"
    if not _loaded(system, "contigmem"):
        if _available(system, "contigmem"):
            return Check("memory", ERROR, "contigmem is not loaded", f"kldload contigmem; {settings}")
        return Check("memory", ERROR, "contigmem is not installed", f"pkg install dpdk && kldload contigmem; {settings}")
    buffers = system.run("sysctl", "-n", "hw.contigmem.num_buffers", check=False).strip()
    size = system.run("sysctl", "-n", "hw.contigmem.buffer_size", check=False).strip()
    return Check("memory", OK, f"contigmem has {buffers} buffers of {size} bytes")


def _nodes(system: System, nics: list[Nic]) -> Iterable[Check]:
    for nic in nics:
        if nic.driver == USER_DRIVER:
            usable = os.access(system.path(nic.node), os.R_OK | os.W_OK)
            yield Check("nodes", OK if usable else ERROR,
                        f"{nic.node} may {'' if usable else 'not '}be read and written", "" if usable else "run as root")
