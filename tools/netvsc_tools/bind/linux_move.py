# SPDX-License-Identifier: BSD-3-Clause
"""Linux: gives a NIC from one driver to another, and back if that fails."""
import errno
from typing import Callable

from .nic import NETWORK_CLASS, Nic
from .system import BindError, System

DEVICES = "/sys/bus/vmbus/devices"
DRIVERS = "/sys/bus/vmbus/drivers"
USER_DRIVER = "uio_hv_generic"
KERNEL_DRIVER = "hv_netvsc"
ENOTSUPP = 524  # the kernel's own, unknown to the C library

# Newer kernels answer a write to "bind" with the error of the driver's probe; older ones with ENODEV.
ADVICE = {
    errno.ENOMEM: "the kernel has no 4 MiB in one piece: bind early after boot, or write 1 to /proc/sys/vm/compact_memory",
    ENOTSUPP: "this kernel's uio_hv_generic wants a monitor id, which this NIC does not have: a newer kernel is needed",
    errno.EACCES: "this needs root",
    errno.EPERM: "this needs root",
}


def node_of(system: System, guid: str) -> str:
    """The node in /dev, if the NIC is user space's."""
    return next((f"/dev/{name}" for name in system.names(f"{DEVICES}/{guid}/uio")), "")


def saved(system: System, guid: str) -> bool:
    """Whether driverctl binds the NIC at every boot."""
    return system.exists(f"/etc/driverctl.d/vmbus-{guid}")


class Move:
    """One NIC on its way. free: which NICs have no driver."""

    def __init__(self, system: System, nic: Nic, driver: str, free: Callable[[], set[str]]) -> None:
        self.system = system
        self.nic = nic
        self.driver = driver
        self.free = free
        self.device = f"{DEVICES}/{nic.guid}"
        self.override = "" if (text := system.read(f"{self.device}/driver_override")) == "(null)" else text

    def run(self, persistent: bool) -> str:
        if persistent:
            self._check_driverctl()
        self._load()
        try:
            if persistent:
                self._by_driverctl()
            elif self._has_override():
                self._by_override()
            else:
                self._by_class(self.driver)
            self._verify(self.driver)
        except (OSError, BindError) as error:
            raise BindError(f"{self.nic}: {self.driver} does not take it: {_text(error)}; {self._roll_back(persistent)}"
                            ) from error
        return f"{self.driver}, {self._result()}" if not self.system.dry_run else ""

    def _result(self) -> str:
        if self.driver == USER_DRIVER:
            return node_of(self.system, self.nic.guid)
        return "interface " + " ".join(self.system.names(f"{self.device}/net"))

    def _has_override(self) -> bool:
        return self.system.exists(f"{self.device}/driver_override")

    def _driver_of(self, guid: str) -> str:
        return self.system.link(f"{DEVICES}/{guid}/driver")

    def _current(self) -> str:
        return self._driver_of(self.nic.guid)

    def _check_driverctl(self) -> None:
        if not self._has_override():
            raise BindError(f"{self.nic}: this kernel has no driver_override for VMBus devices, so that nothing can bind one "
                            "NIC at every boot: boot a newer kernel, or leave out --persistent")
        if not self.system.has("driverctl"):
            raise BindError("--persistent needs driverctl, which binds NICs at every boot: install it with 'apt-get install "
                            "driverctl' or 'dnf install driverctl', or leave out --persistent")

    def _load(self) -> None:
        if self.system.exists(f"{DRIVERS}/{self.driver}"):
            return
        try:
            self.system.change("modprobe", self.driver)
        except BindError as error:
            raise BindError(f"the driver {self.driver} cannot be loaded: {error}; 'netvsc-bind doctor' says more") from error
        if not self.system.wait_until(lambda: self.system.exists(f"{DRIVERS}/{self.driver}")):
            raise BindError(f"{DRIVERS}/{self.driver} does not exist though {self.driver} is loaded")

    def _unbind(self, guid: str) -> None:
        current = self._driver_of(guid)
        if not current:
            return
        self.system.write_file(f"{DRIVERS}/{current}/unbind", guid)
        if not self.system.wait_until(lambda: self._driver_of(guid) != current):
            raise BindError(f"{current} does not let {guid} go")

    def _by_driverctl(self) -> None:
        bind = self.driver == USER_DRIVER
        self._driverctl(*(["set-override", self.nic.guid, self.driver] if bind else ["unset-override", self.nic.guid]))

    def _driverctl(self, *action: str) -> None:
        self.system.change("driverctl", "-b", "vmbus", *action)

    def _set_override(self, driver: str) -> None:
        # The kernel takes an empty line for none.
        self.system.write_file(f"{self.device}/driver_override", f"{driver}\n")

    def _by_override(self) -> None:
        self._set_override(self.driver if self.driver == USER_DRIVER else "")
        self._rebind(self.driver)

    def _rebind(self, driver: str) -> None:
        """driver: none where it is empty"""
        if self._current() != driver:
            self._unbind(self.nic.guid)
        if self._current() != driver and driver:
            self.system.write_file(f"{DRIVERS}/{driver}/bind", self.nic.guid)

    def _by_class(self, driver: str) -> None:
        """Where drivers know classes only: the user driver has the class for as long as it takes to bind this NIC."""
        others = self.free() - {self.nic.guid}
        added = driver == USER_DRIVER and self._new_id()
        try:
            self._rebind(driver)
            self._verify(driver)
        finally:
            if added:
                self._forget_class(others)

    def _forget_class(self, others: set[str]) -> None:
        """Takes the class from the user driver, and other NICs that it took though nobody asked for that."""
        self.system.write_file(f"{DRIVERS}/{USER_DRIVER}/remove_id", NETWORK_CLASS)
        for guid in sorted(others):
            if self._driver_of(guid) == USER_DRIVER:
                self._unbind(guid)

    def _new_id(self) -> bool:
        """@return false if the driver has had the class before"""
        try:
            self.system.write_file(f"{DRIVERS}/{USER_DRIVER}/new_id", NETWORK_CLASS)
        except FileExistsError:
            return False
        return True

    def _verify(self, driver: str) -> None:
        if not self.system.wait_until(lambda: self._current() == driver):
            raise BindError("the kernel did not bind it, 'dmesg' may say why")
        if driver == USER_DRIVER:
            if not self.system.wait_until(lambda: node_of(self.system, self.nic.guid) != ""):
                raise BindError("there is no node for it")
            node = node_of(self.system, self.nic.guid)
            if not self.system.wait_until(lambda: self.system.exists(node)):
                raise BindError(f"{node} does not appear: is /dev a devtmpfs, or udev running?")
        elif driver == KERNEL_DRIVER and not self.system.wait_until(lambda: self.system.names(f"{self.device}/net") != []):
            raise BindError("there is no network interface for it, 'dmesg' may say why")

    def _roll_back(self, persistent: bool) -> str:
        """Gives the NIC back to the driver before. @return what became of that"""
        before = self.nic.driver
        try:
            if persistent:
                self._undo_driverctl()
            if self._has_override():
                self._set_override(self.override)
                self._rebind(before)
            else:
                self._by_class(before)
            self._verify(before)
        except (OSError, BindError) as error:
            return (f"{before or 'the state before'} cannot be had back either: {_text(error)}; its driver is now "
                    f"{self._current() or 'none'}, try 'netvsc-bind unbind {self.nic.guid}'")
        return f"it is with {before} again" if before else "it has no driver, as before"

    def _undo_driverctl(self) -> None:
        """What driverctl saved must be as before."""
        try:
            self._driverctl(*(["set-override", self.nic.guid, self.override] if self.nic.saved
                              else ["unset-override", self.nic.guid]))
        except BindError:
            pass  # the steps by hand follow, and say what is wrong


def _text(error: Exception) -> str:
    if isinstance(error, OSError):
        advice = ADVICE.get(error.errno or 0, "'dmesg' may say more")
        return f"{error.filename or 'the kernel'}: {error.strerror} ({advice})"
    return str(error)
