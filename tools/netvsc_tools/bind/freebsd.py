# SPDX-License-Identifier: BSD-3-Clause
"""FreeBSD: VMBus NICs by devinfo and sysctl, bound to hn (the kernel's) or hv_uio (user space's)."""
import re
from typing import Iterable

from .nic import NETWORK_CLASS, Nic, Use
from .sessions import Connection, ssh_sessions
from .system import BindError, System

USER_DRIVER = "hv_uio"
KERNEL_DRIVER = "hn"
FAMILIES = {"Internet:": "IPv4", "Internet6:": "IPv6"}


class Interfaces:
    """What ifconfig says: addresses, and which interface stands on which."""

    def __init__(self, system: System) -> None:
        self.macs: dict[str, str] = {}
        self.owners: dict[str, str] = {}  # address -> interface
        self.below: dict[str, set[str]] = {}
        name = ""
        for line in system.run("ifconfig", "-a").splitlines():
            if begin := re.match(r"(\S+): flags=", line):
                name = begin[1]
            elif match := re.match(r"\s+ether (\S+)", line):
                self.macs[name] = match[1]
            elif match := re.match(r"\s+inet6? ([^\s%/]+)", line):
                self.owners[match[1]] = name
            elif match := re.match(r"\s+(?:member|laggport): (\S+)|\s+vlan: .*parent interface: (\S+)", line):
                self.below.setdefault(name, set()).add(match[1] or match[2])

    def dependants(self, names: set[str]) -> set[str]:
        """The interfaces, and all that stand on them."""
        found, new = set(names), set(names)
        while new:
            new = {upper for upper, below in self.below.items() if below & new} - found
            found |= new
        return found


def default_routes(system: System) -> list[Use]:
    found, family, column = [], "", 0
    for line in system.run("netstat", "-rn").splitlines():
        words = line.split()
        if line in FAMILIES:
            family = FAMILIES[line]
        elif "Netif" in words:
            column = words.index("Netif")
        elif words[:1] == ["default"] and len(words) > column > 0:
            found.append(Use(family, words[column]))
    return found


def _connections(system: System) -> Iterable[Connection]:
    for line in system.run("netstat", "-anW", "-p", "tcp").splitlines():
        words = line.split()
        if len(words) > 5 and words[0].startswith("tcp") and words[5] == "ESTABLISHED":
            local, port = words[3].rsplit(".", 1)
            yield Connection(local.partition("%")[0], int(port), words[4].rsplit(".", 1)[0])


class FreeBsd:
    user_driver = USER_DRIVER
    kernel_driver = KERNEL_DRIVER

    def __init__(self, system: System) -> None:
        self.system = system

    def no_bus(self) -> str:
        guest = self.system.run("sysctl", "-n", "kern.vm_guest", check=False).strip()
        return "" if guest == "hv" else f"kern.vm_guest is '{guest}', not 'hv'"

    def _devices(self) -> dict[str, str]:
        """Names of the NICs ("hn0", "hv_uio0", "unknown") by GUID."""
        pattern = rf"^\s*([^\s<]+)(?:<[^\n]*>)? pnpinfo classid={NETWORK_CLASS} deviceid=([0-9a-f-]+)"
        return {guid.lower(): name for name, guid in
                re.findall(pattern, self.system.run("devinfo", "-v"), re.MULTILINE | re.IGNORECASE)}

    def scan(self) -> list[Nic]:
        devices = self._devices()
        if not devices:
            return []
        text = self.system.run("sysctl", "-i", "dev.hn", "dev.hv_uio", check=False)
        values = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
        interfaces, routes = Interfaces(self.system), default_routes(self.system)
        sessions = [Use(session.peer, interfaces.owners[session.local])
                    for session in ssh_sessions(self.system, _connections(self.system)) if session.local in interfaces.owners]
        nics = []
        for guid, name in sorted(devices.items()):
            driver = name.rstrip("0123456789")
            unit = f"dev.{driver}.{name.removeprefix(driver)}"
            nic = Nic(guid, driver if driver in (USER_DRIVER, KERNEL_DRIVER) else "")
            if driver == KERNEL_DRIVER:
                nic.interface, nic.mac, nic.vf = name, interfaces.macs.get(name, ""), values.get(f"{unit}.vf", "")
                nic.queues = int(values.get(f"{unit}.rx_ring_inuse", 0))
                nic.carry(interfaces.dependants({name, nic.vf} - {""}), routes, sessions)
            elif driver == USER_DRIVER:
                nic.node = f"/dev/{name}"
                nic.queues = 1 + int(values.get(f"{unit}.subchan_cnt", 0))
            domain = values.get(f"{unit}.%domain", "")
            nic.numa_node = int(domain) if domain.isdigit() else None
            nics.append(nic)
        return nics

    def users(self, nic: Nic) -> list[str]:
        if not nic.node or not self.system.exists(nic.node):
            return []
        return [f"process {number}" for number in re.findall(r"\d+", self.system.run("fuser", nic.node, check=False))]

    def move(self, nic: Nic, driver: str, persistent: bool) -> str:
        if persistent:
            raise BindError(f"FreeBSD keeps no driver of a VMBus device over a boot. Put '{USER_DRIVER}' into kld_list of "
                            f"/etc/rc.conf and 'netvsc-bind bind {nic.guid}' into /etc/rc.local, and leave out --persistent")
        if not nic.driver:
            raise BindError(f"{nic} has no driver, so that devctl has no name for it: load one for it, or boot again")
        try:
            if driver == USER_DRIVER:
                self.system.change("kldload", "-n", USER_DRIVER)
                self.system.change("devctl", "set", "driver", "-f", nic.interface, USER_DRIVER)
            else:
                self.system.change("devctl", "clear", "driver", "-f", nic.node.removeprefix("/dev/"))
            return self._result(nic, driver)
        except BindError as error:
            raise BindError(f"{nic}: {driver} does not take it: {error}; {self._roll_back(nic)}") from error

    def _name(self, nic: Nic) -> str:
        return self._devices().get(nic.guid, "")

    def _with(self, nic: Nic, driver: str) -> bool:
        """Whether the driver has the NIC. What failed to attach has its name from the driver, but nothing else."""
        name = self._name(nic)
        if driver == USER_DRIVER:
            return name.startswith(driver) and self.system.exists(f"/dev/{name}")
        return name.startswith(driver) and name in Interfaces(self.system).macs

    def _result(self, nic: Nic, driver: str) -> str:
        if self.system.dry_run:
            return ""
        if not self.system.wait_until(lambda: self._with(nic, driver)):
            raise BindError(f"there is no {'node' if driver == USER_DRIVER else 'interface'} for it, 'dmesg' may say why")
        return f"{driver}, {'/dev/' if driver == USER_DRIVER else 'interface '}{self._name(nic)}"

    def _roll_back(self, nic: Nic) -> str:
        """Gives the NIC back to the driver before. @return what became of that"""
        if self._with(nic, nic.driver):
            return f"it is still with {nic.driver}"
        try:
            if nic.driver == USER_DRIVER:
                self.system.change("devctl", "set", "driver", "-f", self._name(nic), USER_DRIVER)
            else:
                self.system.change("devctl", "clear", "driver", "-f", self._name(nic))
            return f"it is back: {self._result(nic, nic.driver)}"
        except BindError as error:
            return f"{nic.driver} cannot be had back either: {error}"
