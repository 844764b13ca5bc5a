# SPDX-License-Identifier: BSD-3-Clause
"""Which network interfaces of Linux depend on which: virtual functions below a NIC; bridges, bonds, VLANs on top."""
from .system import System

NET = "/sys/class/net"
OVS = "ovs-system"
ETHERNET = "1"


def _linked(system: System, name: str, kind: str) -> list[str]:
    """Interfaces that the kernel links with this one. kind: upper or lower"""
    return [entry.removeprefix(f"{kind}_") for entry in system.names(f"{NET}/{name}") if entry.startswith(f"{kind}_")]


def mac(system: System, name: str) -> str:
    return system.read(f"{NET}/{name}/address")


def _bus(system: System, name: str) -> str:
    return system.link(f"{NET}/{name}/device/subsystem")


def virtual_function(system: System, name: str) -> str:
    """The virtual function that the kernel paired with a NIC, or that has its address and is not another NIC's."""
    paired = [lower for lower in _linked(system, name, "lower") if _bus(system, lower) == "pci"]
    alike = [other for other in system.names(NET) if _bus(system, other) == "pci" and mac(system, other) == mac(system, name)
             and _bus(system, system.link(f"{NET}/{other}/master")) != "vmbus"]
    return next(iter(paired + alike), "")


def dependants(system: System, names: set[str]) -> set[str]:
    """The interfaces, and all that stand on them."""
    found, new = set(names), set(names)
    while new:
        new = {upper for name in new for upper in _linked(system, name, "upper")} - found
        found |= new
    if OVS in found:
        found |= _switch_ports(system)
    return found


def _switch_ports(system: System) -> set[str]:
    """What may be a port of Open vSwitch in the kernel's name, such as br0: nothing in sysfs links it with the switch."""
    return {name for name in system.names(NET)
            if system.read(f"{NET}/{name}/type") == ETHERNET and not _linked(system, name, "lower")
            and not any(system.exists(f"{NET}/{name}/{entry}") for entry in ("device", "tun_flags", "bridge", "bonding"))}
