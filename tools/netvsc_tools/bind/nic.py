# SPDX-License-Identifier: BSD-3-Clause
"""A VMBus NIC, and how people name it."""
from dataclasses import dataclass, field
from typing import Protocol, Sequence

from .system import BindError

NETWORK_CLASS = "f8615163-df3e-46c5-913f-f2d2f965ed0e"
NONE = "no VMBus NIC: is this a Hyper-V guest?"


@dataclass(frozen=True)
class Use:
    """What would be cut off: a default route ("IPv4", "IPv6") or an ssh session (the peer's address)."""
    what: str
    interface: str


@dataclass
class Nic:
    guid: str
    driver: str = ""
    interface: str = ""
    mac: str = ""
    queues: int = 0
    numa_node: int | None = None
    node: str = ""  # in /dev, where it is user space's
    vf: str = ""  # interface of the virtual function that stands behind the NIC
    saved: bool = False  # bound again at the next boot
    default_route: list[Use] = field(default_factory=list)
    ssh: list[Use] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.interface} ({self.guid})" if self.interface else self.guid

    def uses(self) -> list[str]:
        """What would be cut off, for people."""
        def over(use: Use) -> str:
            return f" over {use.interface}" if use.interface != self.interface else ""

        return [*(f"default route {use.what}{over(use)}" for use in self.default_route),
                *(f"ssh from {use.what}{over(use)}" for use in self.ssh)]

    def carry(self, interfaces: set[str], routes: Sequence[Use], sessions: Sequence[Use]) -> None:
        """Takes note of what goes over interfaces that depend on this NIC."""
        self.default_route = [use for use in routes if use.interface in interfaces]
        self.ssh = [use for use in sessions if use.interface in interfaces]


class Platform(Protocol):
    """What an operating system must offer."""
    user_driver: str
    kernel_driver: str

    def no_bus(self) -> str:
        """Empty, or why there can be no VMBus NIC here."""

    def scan(self) -> list[Nic]:
        """All VMBus NICs."""

    def users(self, nic: Nic) -> list[str]:
        """Processes that have the NIC's node open."""

    def move(self, nic: Nic, driver: str, persistent: bool) -> str:
        """Gives the NIC to a driver. Gives it back to the one before, and raises, if that fails.
        @return what there is now, for people"""


def _plain(guid: str) -> str:
    return guid.strip("{}").lower()


def find(nics: Sequence[Nic], name: str) -> Nic:
    """The NIC of this interface, this GUID, or the only one whose GUID begins so."""
    if not nics:
        raise BindError(NONE)
    exact = [nic for nic in nics if name == nic.interface or _plain(name) == nic.guid]
    found = exact or [nic for nic in nics if _plain(name) and nic.guid.startswith(_plain(name))]
    if len(found) == 1:
        return found[0]
    if found:
        raise BindError(f"'{name}' may be any of {', '.join(map(str, found))}: give more of the GUID")
    vf = [nic for nic in nics if name and name == nic.vf]
    if vf:
        raise BindError(f"{name} is the virtual function of {vf[0]}: name that one, its virtual function goes with it")
    raise BindError(f"no VMBus NIC is called '{name}'; there are {', '.join(map(str, nics))}")
