# SPDX-License-Identifier: BSD-3-Clause
"""Which ssh sessions there are: that of whoever calls, and those of others."""
import os
import re
from typing import Iterable, NamedTuple

from .system import System


class Connection(NamedTuple):
    """An established TCP connection."""
    local: str
    port: int
    peer: str


def _calls(system: System) -> Iterable[str]:
    """SSH_CONNECTION here and in the processes that led here: sudo takes the variable away."""
    yield os.environ.get("SSH_CONNECTION", "")
    process = os.getppid()
    while process > 1:
        for variable in system.read(f"/proc/{process}/environ").split("\0"):
            if variable.startswith("SSH_CONNECTION="):
                yield variable.partition("=")[2]
        # The parent is the second field after the name, which may have blanks and brackets in it.
        fields = system.read(f"/proc/{process}/stat").rpartition(")")[2].split()
        process = int(fields[1]) if len(fields) > 1 else 0


def _configured_ports(system: System) -> set[int]:
    """Ports that sshd listens at, as far as its configuration says so."""
    folder = "/etc/ssh/sshd_config.d"
    files = ["/etc/ssh/sshd_config", *(f"{folder}/{name}" for name in system.names(folder) if name.endswith(".conf"))]
    return {22, *(int(port) for file in files
                  for port in re.findall(r"^\s*Port[\s=]+(\d+)", system.read(file), re.MULTILINE | re.IGNORECASE))}


def ssh_sessions(system: System, connections: Iterable[Connection]) -> list[Connection]:
    """The sessions among the connections, and the caller's own."""
    calls = [call.split() for call in _calls(system)]
    own = [Connection(call[2], int(call[3]), call[0]) for call in calls if len(call) == 4 and call[3].isdigit()]
    ports = _configured_ports(system) | {connection.port for connection in own}
    return list(dict.fromkeys([*own, *(connection for connection in connections if connection.port in ports)]))
