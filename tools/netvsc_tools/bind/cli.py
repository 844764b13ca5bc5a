# SPDX-License-Identifier: BSD-3-Clause
"""Command line of tools/netvsc-bind."""
import argparse
import contextlib
import json
import os
import signal
import sys
from dataclasses import asdict
from typing import Iterator, Sequence

from ..console import complain, table
from .doctor import show
from .doctor_freebsd import check_freebsd
from .doctor_linux import check_linux
from .freebsd import FreeBsd
from .linux import Linux
from .nic import NONE, Nic, Platform, find
from .system import BindError, System

ABOUT = """\
Gives Hyper-V's synthetic network adapters (VMBus NICs) to DPDK, and back to the kernel.

  netvsc-bind [list] [--json]     which NICs there are, who has them, and what goes over them
  netvsc-bind bind NIC...         gives NICs to user space: uio_hv_generic on Linux, hv_uio on FreeBSD
  netvsc-bind unbind NIC...       gives them back to the kernel: hv_netvsc, hn
  netvsc-bind doctor [--json]     checks what the driver needs, and names the command for what is missing

A NIC is named by its interface, or by its instance GUID or the beginning of it, with or without braces.
A NIC that carries the default route or an ssh session is refused, so is one that a process uses, unless --force is given.
'netvsc-bind COMMAND --help' lists the options of a command."""
EXITS = "exit: 0 well (doctor: no error), 1 failed or refused, 2 wrong usage"


def parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    tests = common.add_argument_group("for tests")
    tests.add_argument("--root", metavar="DIR", default="/", help="take /sys, /proc, /dev, /etc and so on from DIR")
    tests.add_argument("--system", choices=["linux", "freebsd"], default="freebsd" if "freebsd" in sys.platform else "linux",
                       help="which system is there; its commands are those of the PATH")
    as_json = argparse.ArgumentParser(add_help=False)
    as_json.add_argument("--json", action="store_true", help="for programs")
    change = argparse.ArgumentParser(add_help=False)
    change.add_argument("names", metavar="NIC", nargs="+", help="interface, or GUID or its beginning")
    change.add_argument("--force", action="store_true", help="also a NIC that is in use")
    change.add_argument("--persistent", action="store_true", help="at every boot, too: by driverctl, on Linux")
    change.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    change.add_argument("--timeout", metavar="S", type=float, default=10, help="how long the kernel may take (default 10 s)")

    top = argparse.ArgumentParser(prog="netvsc-bind", description=ABOUT, epilog=EXITS,
                                  formatter_class=argparse.RawDescriptionHelpFormatter, usage="netvsc-bind [COMMAND] [options]")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, parents, text in (("list", [as_json, common], "lists the NICs"),
                                ("bind", [change, common], "gives NICs to user space"),
                                ("unbind", [change, common], "gives NICs back to the kernel"),
                                ("doctor", [as_json, common], "checks what the driver needs")):
        commands.add_parser(name, parents=parents, help=text, description=f"netvsc-bind {name} {text}.", epilog=EXITS,
                            prog=f"netvsc-bind {name}")
    return top


def _list(platform: Platform, as_json: bool) -> int:
    nics = platform.scan()
    if as_json:
        print(json.dumps([asdict(nic) for nic in nics], indent=2))
    elif not nics:
        print(NONE + (f" ({platform.no_bus()})" if platform.no_bus() else ""))
    else:
        head = ["INTERFACE", "GUID", "DRIVER", "MAC", "QUEUES", "NUMA", "NODE", "VF", "IN USE BY"]
        print(table(head, [[cell or "-" for cell in (nic.interface, nic.guid, nic.driver, nic.mac, str(nic.queues or ""),
                                                     "" if nic.numa_node is None else str(nic.numa_node), nic.node, nic.vf,
                                                     "; ".join(nic.uses()))] for nic in nics]))
    return 0


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Lets no signal leave a NIC between two drivers: what is done has a deadline, and is undone if it fails. A hang-up
    comes by itself where the NIC carried the session."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_unused(platform: Platform, nic: Nic) -> None:
    uses = [*nic.uses(), *platform.users(nic)]
    if uses:
        raise BindError(f"{nic} is in use: {'; '.join(uses)}. It would be cut off: --force does it all the same")


def _move(platform: Platform, driver: str, options: argparse.Namespace) -> int:
    if options.root == "/" and os.geteuid() != 0 and not options.dry_run:
        raise BindError(f"this needs root: run 'sudo {' '.join(sys.argv)}'")
    nics = platform.scan()
    chosen = {nic.guid: nic for nic in (find(nics, name) for name in options.names)}.values()
    wanted = driver == platform.user_driver
    moves = [nic for nic in chosen if nic.driver != driver or options.persistent and nic.saved != wanted]
    if not options.force:
        for nic in moves:
            _check_unused(platform, nic)
    failed = False
    for nic in chosen:
        if nic not in moves:
            print(f"{nic} is with {driver} already")
            continue
        try:
            with _undisturbed():
                result = platform.move(nic, driver, options.persistent)
        except BindError as error:
            complain(f"netvsc-bind: {error}")
            failed = True
            continue
        if result:
            print(f"{nic}: {result}")
        if nic.saved and not wanted and not options.persistent:
            print(f"{nic} will be bound again at the next boot: unbind it with --persistent to change that")
    return 1 if failed else 0


def main(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0].startswith("-") and arguments[0] not in ("-h", "--help"):
        arguments = ["list", *arguments]
    options = parser().parse_args(arguments)
    system = System(options.root, getattr(options, "timeout", 0), getattr(options, "dry_run", False))
    linux = options.system == "linux"
    platform: Platform = Linux(system)
    if not linux:
        platform = FreeBsd(system)
    try:
        if options.command == "list":
            return _list(platform, options.json)
        if options.command == "doctor":
            return show(check_linux(system) if linux else check_freebsd(system), options.json)
        return _move(platform, platform.user_driver if options.command == "bind" else platform.kernel_driver, options)
    except BindError as error:
        complain(f"netvsc-bind: {error}")
        return 1
