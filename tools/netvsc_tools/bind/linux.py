# SPDX-License-Identifier: BSD-3-Clause
"""Linux: VMBus NICs in sysfs, bound to hv_netvsc (the kernel's) or uio_hv_generic (user space's)."""
from . import interfaces
from .linux_move import DEVICES, KERNEL_DRIVER, USER_DRIVER, Move, node_of, saved
from .nic import NETWORK_CLASS, Nic
from .routes import default_routes, sessions
from .system import System


class Linux:
    user_driver = USER_DRIVER
    kernel_driver = KERNEL_DRIVER

    def __init__(self, system: System) -> None:
        self.system = system

    def no_bus(self) -> str:
        return "" if self.system.exists("/sys/bus/vmbus") else "/sys/bus/vmbus does not exist"

    def scan(self) -> list[Nic]:
        nics = [self._nic(guid) for guid in self.system.names(DEVICES)
                if self.system.read(f"{DEVICES}/{guid}/class_id").strip("{}").lower() == NETWORK_CLASS]
        if any(nic.interface for nic in nics):
            routes, ssh = default_routes(self.system), sessions(self.system)
            for nic in nics:
                below = {name for name in (nic.interface, nic.vf) if name}
                nic.carry(interfaces.dependants(self.system, below), routes, ssh)
        return nics

    def _nic(self, guid: str) -> Nic:
        system, device = self.system, f"{DEVICES}/{guid}"
        interface = next(iter(system.names(f"{device}/net")), "")
        numa_node = system.read(f"{device}/numa_node")
        return Nic(guid, system.link(f"{device}/driver"), interface,
                   mac=interfaces.mac(system, interface) if interface else "",
                   queues=len(system.names(f"{device}/channels")),
                   numa_node=int(numa_node) if numa_node.isdigit() else None,
                   node=node_of(system, guid),
                   vf=interfaces.virtual_function(system, interface) if interface else "",
                   saved=saved(system, guid))

    def users(self, nic: Nic) -> list[str]:
        system = self.system
        found = []
        for process in filter(str.isdigit, system.names("/proc") if nic.node else []):
            folder = f"/proc/{process}/fd"
            if any(system.target(f"{folder}/{entry}") == nic.node for entry in system.names(folder)):
                found.append(f"{system.read(f'/proc/{process}/comm')} (process {process})")
        return found

    def move(self, nic: Nic, driver: str, persistent: bool) -> str:
        return Move(self.system, nic, driver, self._free).run(persistent)

    def _free(self) -> set[str]:
        """NICs without a driver."""
        return {nic.guid for nic in self.scan() if not nic.driver}
