# SPDX-License-Identifier: BSD-3-Clause
"""FreeBSD's commands for devices and networks, over a folder: devctl moves a NIC from driver to driver."""
from pathlib import Path

CLASS = "f8615163-df3e-46c5-913f-f2d2f965ed0e"

# The file "devices" has a line "NAME GUID" for each NIC.
COMMANDS = {
    "devinfo": rf"""
echo "  vmbus0"
while read -r name guid; do echo "      $name<Hyper-V Network Interface> pnpinfo classid={CLASS} deviceid=$guid at "; done < "$FAKE/devices"
echo "      storvsc0<Hyper-V SCSI> pnpinfo classid=ba6163d9-04a1-4d29-b605-72e2ffb1dc7f deviceid=f8b3781a-1e82-4818-a1c3-63d806ec15bb at "
""",
    "devctl": r"""
echo "$@" >> "$FAKE/devctl.log"
name=$4
case "$1 $2 $3" in
"set driver -f")
	sed -i "s/^$name /hv_uio0 /" "$FAKE/devices"
	if [ -e "$FAKE/attach-fails" ]; then echo "devctl: Failed to set $name driver to $5: Device not configured" >&2; exit 1; fi
	: > "$FAKE/dev/hv_uio0" ;;
"clear driver -f")
	sed -i "s/^$name /hn1 /" "$FAKE/devices"
	rm -f "$FAKE/dev/$name" ;;
*) exit 64 ;;
esac
""",
    "ifconfig": r"""
while read -r name _; do [ ! -e "$FAKE/if/$name" ] || cat "$FAKE/if/$name"; done < "$FAKE/devices"
cat "$FAKE/if/other"
""",
    "netstat": r"""
case "$1" in
-rn) cat "$FAKE/routes" ;;
-anW) cat "$FAKE/connections" ;;
esac
""",
    "sysctl": r"""
case "$1" in
-n) sed -n "s/^$2: //p" "$FAKE/sysctl" ;;
-i) grep '^dev\.' "$FAKE/sysctl" ;;
esac
""",
    "kldload": r"""
printf "%s\n" "$*" >> "$FAKE/kldload.log"
[ -e "$FAKE/boot/modules/$2.ko" ] || { echo "kldload: can't load $2: No such file or directory" >&2; exit 1; }
: > "$FAKE/loaded/$2"
""",
    "kldstat": r"""
[ -e "$FAKE/loaded/$3" ]
""",
    "fuser": r"""
cat "$FAKE/users" 2>/dev/null
""",
}

ROUTES = """Routing tables

Internet:
Destination        Gateway            Flags     Netif Expire
{v4}10.0.0.0/24        link#1             U           hn0
127.0.0.1          link#2             UH          lo0

Internet6:
Destination                       Gateway                       Flags     Netif Expire
{v6}::1                               link#2                        UHS         lo0
"""
CONNECTIONS = """Active Internet connections (including servers)
Proto Recv-Q Send-Q Local Address          Foreign Address        (state)
{lines}tcp4       0      0 *.22                   *.*                    LISTEN
"""


class FakeFreeBsd:
    def __init__(self, root: Path, *guids: str) -> None:
        """The GUIDs of hn0, hn1 and so on."""
        self.root = root
        for folder in ("bin", "dev", "if", "loaded", "boot/modules", "etc"):
            (root / folder).mkdir(parents=True)
        for name, text in COMMANDS.items():
            self.file(f"bin/{name}", f"#!/bin/sh{text}")
            (root / "bin" / name).chmod(0o755)
        self.file("devices", "".join(f"hn{i} {guid}\n" for i, guid in enumerate(guids)))
        self.file("sysctl", "kern.vm_guest: hv\n"
                  + "".join(f"dev.hn.{i}.rx_ring_inuse: 4\ndev.hn.{i}.vf: \n" for i in range(len(guids))))
        self.file("if/other", "lo0: flags=8049<UP> metric 0\n\tinet 127.0.0.1 netmask 0xff000000\n")
        for i in range(len(guids)):
            self.file(f"if/hn{i}", f"hn{i}: flags=8843<UP,BROADCAST> metric 0 mtu 1500\n\tether 00:15:5d:00:00:0{i}\n"
                      f"\tinet 10.0.{i}.4 netmask 0xffffff00 broadcast 10.0.{i}.255\n"
                      f"\tinet6 fe80::{i}%hn{i} prefixlen 64 scopeid 0x1\n")
        self.routes()
        self.connections()

    def file(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)

    def read(self, name: str) -> str:
        return (self.root / name).read_text().strip()

    def routes(self, v4: str = "", v6: str = "") -> None:
        """The interfaces that default routes name."""
        self.file("routes", ROUTES.format(v4=f"default            10.0.0.1           UGS         {v4}\n" if v4 else "",
                                          v6=f"default            fe80::1%{v6}       UGS         {v6}\n" if v6 else ""))

    def connections(self, *local: str) -> None:
        """Local addresses and ports of established connections."""
        self.file("connections", CONNECTIONS.format(
            lines="".join(f"tcp4       0     36 {address}     192.0.2.9.50000        ESTABLISHED\n" for address in local)))

    def installed(self, module: str) -> None:
        self.file(f"boot/modules/{module}.ko", "")
