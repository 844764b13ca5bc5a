# SPDX-License-Identifier: BSD-3-Clause
"""What goes over which interface of Linux: default routes, ssh sessions."""
import ipaddress
import json
import sys
from typing import Any, Iterable

from .nic import Use
from .sessions import Connection, ssh_sessions
from .system import BindError, System

ESTABLISHED = "01"


def _ip(system: System, *arguments: str) -> list[dict[str, Any]]:
    text = system.run("ip", "-j", *arguments)
    try:
        return [entry for entry in json.loads(text or "[]") if entry]
    except ValueError as error:
        raise BindError(f"'ip -j {' '.join(arguments)}' gives no JSON: install iproute2 of 2018 or newer") from error


def default_routes(system: System) -> list[Use]:
    """The default routes in use: those of the lowest metric in the main table, in any table where that has none."""
    found: list[Use] = []
    for option, family in (("-4", "IPv4"), ("-6", "IPv6")):
        routes = [route for route in _ip(system, option, "route", "show", "table", "all", "default")
                  if route.get("dst") == "default" and route.get("type", "unicast") == "unicast"]
        main = [route for route in routes if route.get("table", "main") == "main"]
        lowest = min((route.get("metric", 0) for route in main), default=None)
        for route in [route for route in main if route.get("metric", 0) == lowest] if main else routes:
            hops = route.get("nexthops") or [route]
            found += [Use(family, hop["dev"]) for hop in hops if "dev" in hop]
    return list(dict.fromkeys(found))


def _address(text: str) -> str:
    """An address as the kernel prints it: 32-bit words in this machine's order."""
    data = bytes.fromhex(text)
    if sys.byteorder == "little":
        data = b"".join(data[i:i + 4][::-1] for i in range(0, len(data), 4))
    return str(ipaddress.ip_address(data))


def _plain(address: str) -> str:
    """IPv4 without the IPv6 around it, no zone."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:  # sshd says UNKNOWN for what is no IP connection
        return address
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


def _connections(system: System) -> Iterable[Connection]:
    for name in ("tcp", "tcp6"):
        for line in system.read(f"/proc/net/{name}").splitlines()[1:]:
            _, local, peer, state = line.split()[:4]
            if state == ESTABLISHED:
                address, port = local.split(":")
                yield Connection(_address(address), int(port, 16), _address(peer.split(":")[0]))


def sessions(system: System) -> list[Use]:
    """The ssh sessions, with the interface that has their local address."""
    owners: dict[str, list[str]] = {}
    for interface in _ip(system, "address"):
        for address in interface.get("addr_info", []):
            if "local" in address:
                owners.setdefault(_plain(address["local"]), []).append(interface["ifname"])
    return list(dict.fromkeys(Use(_plain(session.peer), owner)
                              for session in ssh_sessions(system, _connections(system))
                              for owner in owners.get(_plain(session.local), [])))
