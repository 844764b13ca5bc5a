# SPDX-License-Identifier: BSD-3-Clause
"""A folder that looks like Linux on Hyper-V, and a thread that does there what the kernel does: a GUID written into a
driver's bind or unbind moves the driver link, the uio node and the network interface. Only what sysfs shows is there."""
import json
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Callable

CLASS = "f8615163-df3e-46c5-913f-f2d2f965ed0e"
RELEASE = "6.12.1-azure"

# driverctl's steps, in the fake's folder. The kernel there takes a moment for each.
DRIVERCTL = r"""#!/bin/sh
echo "$@" >> "$FAKE/driverctl.log"
device=$FAKE/sys/bus/vmbus/devices/$4
until_() { i=0; until eval "$1"; do i=$((i + 1)); [ $i -lt 50 ] || exit 1; sleep 0.01; done; }
if [ -L "$device/driver" ]; then echo "$4" > "$device/driver/unbind"; until_ '[ ! -L "$device/driver" ]'; fi
echo "$5" > "$device/driver_override"
echo "$4" > "$FAKE/sys/bus/vmbus/drivers_probe"
until_ '[ -L "$device/driver" ]'
mkdir -p "$FAKE/etc/driverctl.d"
if [ "$3" = set-override ]; then echo "$5" > "$FAKE/etc/driverctl.d/vmbus-$4"; else rm -f "$FAKE/etc/driverctl.d/vmbus-$4"; fi
"""
IP = r"""#!/bin/sh
case "$*" in
*address*) cat "$FAKE/addresses" ;;
*-4*) cat "$FAKE/routes4" ;;
*-6*) cat "$FAKE/routes6" ;;
esac
"""
MODPROBE = r"""#!/bin/sh
if [ ! -e "$FAKE/lib/modules/$1" ]; then echo "modprobe: FATAL: Module $1 not found" >&2; exit 1; fi
echo "$1" > "$FAKE/modprobe.request"
"""


class FakeLinux:
    def __init__(self, root: Path, override: bool = True) -> None:
        self.root = root
        self.override = override  # whether this kernel has driver_override
        self.refuses: set[str] = set()  # drivers whose probe fails
        self.refused: Callable[[], None] = lambda: None  # called when one does
        self.no_node = False  # /dev/uioN does not appear
        self.log: list[tuple[str, str]] = []  # what was written where
        self.bus = root / "sys/bus/vmbus"
        self.net = root / "sys/class/net"
        self.classes: set[str] = set()  # that uio_hv_generic has by new_id
        self._interfaces: dict[str, tuple[str, str]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        for folder in ("sys/class/net", "sys/bus/vmbus/devices", "sys/bus/vmbus/drivers", "dev", "etc", "bin", "lib/modules",
                       "proc/net", "proc/sys/kernel"):
            (root / folder).mkdir(parents=True)
        self.file("proc/sys/kernel/osrelease", RELEASE)
        self.file("sys/bus/vmbus/drivers_probe", "")
        self.file("addresses", "[]")
        self.routes()
        self.add_driver("hv_netvsc")
        self.add_module("uio_hv_generic")
        for name, text in (("ip", IP), ("modprobe", MODPROBE)):
            self.command(name, text)

    def file(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def command(self, name: str, text: str) -> None:
        self.file(f"bin/{name}", text)
        (self.root / "bin" / name).chmod(0o755)

    def add_module(self, name: str) -> None:
        self.file(f"lib/modules/{name}", "")
        self.file(f"lib/modules/{RELEASE}/modules.dep", f"kernel/drivers/{name}.ko.zst:\n")

    def add_driver(self, name: str) -> None:
        for entry in ("new_id", "remove_id", "unbind", "bind"):
            self.file(f"new/{entry}", "")
        (self.root / "new").rename(self.bus / "drivers" / name)  # all at once

    def add_interface(self, name: str, mac: str, *lower: str, pci: bool = False) -> None:
        """lower: interfaces that this one stands on"""
        folder = self.net / name
        folder.mkdir()
        (folder / "address").write_text(mac + "\n")
        (folder / "type").write_text("1\n")
        if pci:
            (folder / "device").mkdir()
            (folder / "device/subsystem").symlink_to("../../../../bus/pci")
        for other in lower:
            (folder / f"lower_{other}").symlink_to(self.net / other)
            (self.net / other / f"upper_{name}").symlink_to(folder)
            if name.startswith(("br", "bond", "ovs")) and "." not in name:
                (self.net / other / "master").symlink_to(folder)

    def add_nic(self, guid: str, interface: str, mac: str, driver: str = "hv_netvsc", queues: int = 4) -> None:
        device = self.bus / "devices" / guid
        for channel in range(queues):
            (device / "channels" / str(20 + channel)).mkdir(parents=True)
        (device / "class_id").write_text(f"{{{CLASS}}}\n")
        (device / "device_id").write_text(f"{{{guid}}}\n")
        (device / "numa_node").write_text("0\n")
        (device / "monitor_id").write_text("7\n")
        if self.override:
            (device / "driver_override").write_text("(null)\n")
        self._interfaces[guid] = (interface, mac)
        if driver:
            self._attach(guid, driver)

    def routes(self, v4: object = (), v6: object = ()) -> None:
        """Default routes, as `ip -j` prints them."""
        self.file("routes4", json.dumps(v4))
        self.file("routes6", json.dumps(v6))

    def addresses(self, **interfaces: str) -> None:
        self.file("addresses", json.dumps([{"ifname": name, "addr_info": [{"local": address}]}
                                           for name, address in interfaces.items()]))

    def driver(self, guid: str) -> str:
        link = self.bus / "devices" / guid / "driver"
        return os.path.basename(os.readlink(link)) if link.is_symlink() else ""

    def read(self, name: str) -> str:
        return (self.root / name).read_text().strip()

    # What the kernel does

    def _attach(self, guid: str, driver: str) -> None:
        device = self.bus / "devices" / guid
        if self.driver(guid):
            return
        if driver in self.refuses:
            self.refused()
            return
        (device / "driver").symlink_to(f"../../drivers/{driver}")
        if driver == "hv_netvsc":
            name, mac = self._interfaces[guid]
            (device / "net" / name).mkdir(parents=True)
            self.add_interface(name, mac)
            (self.net / name / "device").mkdir()
            (self.net / name / "device/subsystem").symlink_to("../../../../bus/vmbus")
        else:
            number = sum(1 for _ in (self.root / "dev").glob("uio*"))
            (device / f"uio/uio{number}").mkdir(parents=True)
            if not self.no_node:
                self.file(f"dev/uio{number}", "")

    def _detach(self, guid: str) -> None:
        device = self.bus / "devices" / guid
        for node in (device / "uio").glob("*"):
            (self.root / "dev" / node.name).unlink(missing_ok=True)
        for interface in (device / "net").glob("*"):
            shutil.rmtree(self.net / interface.name)
        for folder in ("uio", "net"):
            shutil.rmtree(device / folder, ignore_errors=True)
        (device / "driver").unlink()

    def _matches(self, guid: str, driver: str) -> bool:
        path = self.bus / "devices" / guid / "driver_override"
        override = path.read_text().strip() if path.exists() else ""
        if override not in ("", "(null)"):
            return override == driver
        return driver == "hv_netvsc" or CLASS in self.classes

    def _guids(self) -> list[str]:
        return sorted(path.name for path in (self.bus / "devices").iterdir())

    def _written(self, path: Path) -> str:
        """What was written into a file since the last time."""
        try:
            text = path.read_text().strip()
        except FileNotFoundError:
            return ""
        if text:
            path.write_text("")
            self.log.append((str(path.relative_to(self.bus)) if self.bus in path.parents else path.name, text))
        return text

    def _step(self) -> None:
        module = self._written(self.root / "modprobe.request")
        if module:
            self.add_driver(module)
        # What is written first comes first: a class before a NIC, and a NIC leaves one driver before it gets another.
        if self._written(self.bus / "drivers" / "uio_hv_generic/new_id"):
            self.classes.add(CLASS)
            for guid in self._guids():
                self._attach(guid, "uio_hv_generic")
        for folder in (self.bus / "drivers").iterdir():
            if self._written(folder / "remove_id"):
                self.classes.discard(CLASS)
            guid = self._written(folder / "unbind")
            if guid and self.driver(guid) == folder.name:
                self._detach(guid)
            guid = self._written(folder / "bind")
            if guid and self._matches(guid, folder.name):
                self._attach(guid, folder.name)
        guid = self._written(self.bus / "drivers_probe")
        if guid:
            for folder in (self.bus / "drivers").iterdir():
                if self._matches(guid, folder.name):
                    self._attach(guid, folder.name)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._step()
            time.sleep(0.001)

    def __enter__(self) -> "FakeLinux":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
