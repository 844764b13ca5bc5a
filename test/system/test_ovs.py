#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Open vSwitch with DPDK, as the distribution has it, bridges two NICs between two namespaces."""
import contextlib
import os
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Iterator

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from netvsc_tools import harness, jobs, machine, packages, testpmd  # noqa: E402
from netvsc_tools.network import Namespace, tap_name  # noqa: E402
from netvsc_tools.process import Process, run  # noqa: E402

SIZE = (20 if harness.QUICK else 100) * 1000 * 1000


class Switch:
    """An Open vSwitch of its own: database, daemon and command-line tools."""

    def __init__(self, case: harness.Case, root: Path, folder: str) -> None:
        self.root = root
        # ovs-vsctl and its like take these from here.
        os.environ.update({f"OVS_{what}DIR": folder for what in ("RUN", "LOG", "DB", "SYSCONF")})
        run(self.path("usr/bin/ovsdb-tool"), "create", f"{folder}/conf.db",
            self.path("usr/share/openvswitch/vswitch.ovsschema"))
        self.database = f"unix:{folder}/db"
        self.server = Process([self.path("usr/sbin/ovsdb-server"), f"{folder}/conf.db", f"--remote=p{self.database}"],
                              case.log("ovsdb"))
        memory = " ".join(testpmd.memory_arguments(testpmd.best_memory()))
        extra = f"-d {machine.plugin()} --no-pci -m 512 --file-prefix {testpmd.file_prefix()} {memory}"
        self.tell("--no-wait", "--retry", "init", "--", "set", "Open_vSwitch", ".", "other_config:dpdk-init=true",
                  f"other_config:dpdk-extra={extra}", f"other_config:pmd-cpu-mask={1 << machine.cpus()[-1]:x}")
        self.control = f"{folder}/control"
        self.daemon = Process([self.path("usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"), self.database,
                               f"--unixctl={self.control}"], case.log("vswitchd"), env=testpmd.sanitizer_env())
        self.tell("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")

    def path(self, name: str) -> str:
        return str(self.root / name)

    def tell(self, *words: str) -> str:
        """ovs-vsctl; the daemon has done it when this returns."""
        return run(self.path("usr/bin/ovs-vsctl"), f"--db={self.database}", "-t", "30", *words)

    def add(self, name: str, devargs: str) -> None:
        self.tell("add-port", "br0", name, "--", "set", "Interface", name, "type=dpdk", f"options:dpdk-devargs={devargs}")
        error = self.tell("get", "Interface", name, "error").strip()
        if error != "[]":
            self.daemon.fail(f"does not take {devargs}: {error}")

    def bytes(self, name: str, what: str) -> int:
        """Bytes that an interface has received (rx) or sent (tx)."""
        match = re.search(rf"{what} pkts=\d+, bytes=(\d+)", run(self.path("usr/bin/ovs-ofctl"), "dump-ports", "br0", name))
        return int(match[1]) if match else 0

    def queues(self, name: str) -> set[int]:
        """Receive queues of an interface that a thread polls."""
        text = run(self.path("usr/bin/ovs-appctl"), "-t", self.control, "dpif-netdev/pmd-rxq-show")
        return {int(queue) for queue in re.findall(rf"port: {name} +queue-id: +(\d+) +\(enabled\)", text)}


class Ovs(harness.Case):
    @contextlib.contextmanager
    def switch(self) -> Iterator[tuple[Switch, list[Namespace]]]:
        self.need(machine.no_tap(), machine.no_namespaces())
        root, none = packages.unpacked("openvswitch-switch-dpdk", "openvswitch-switch", "openvswitch-common")
        self.need(none)
        self.need(packages.missing_libraries([root / "usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"]))
        with TemporaryDirectory(prefix="netvsc-ovs-") as folder, Namespace() as one, Namespace() as other:
            switch = Switch(self, root, folder)
            for number, space in enumerate((one, other)):
                tap = tap_name()
                switch.add(f"nv{number}", f"vdev:netvsp{number},endpoint=tap:{tap}")
                space.take(tap, f"198.18.0.{number + 1}/24")
            yield switch, [one, other]
            Process.kill_all()

    def test_ping(self) -> None:
        with self.switch() as (switch, spaces):
            sent, received, _ = spaces[0].ping("198.18.0.2", 500)
            self.assertEqual(received, sent, f"see {switch.daemon.log}")

    def test_tcp(self) -> None:
        with self.switch() as (switch, spaces):
            result = jobs.transfer(self.log("transfer"), spaces, SIZE)
            self.assertTrue(result.ok, f"{result.loss} {result.note}, see {switch.daemon.log}")
            self.assertGreater(switch.bytes("nv0", "rx"), SIZE)
            self.assertGreater(switch.bytes("nv1", "tx"), SIZE)

    def test_ports_come_and_go(self) -> None:
        with self.switch() as (switch, spaces):
            for number in range(5):
                switch.tell("del-port", "br0", "nv1")
                tap = tap_name()
                with Namespace() as space:
                    switch.add("nv1", f"vdev:netvsp{number + 2},endpoint=tap:{tap}")
                    space.take(tap, "198.18.0.3/24")
                    sent, received, _ = space.ping("198.18.0.1", 50)
                    self.assertEqual(received, sent, f"see {switch.daemon.log}")

    def test_many_queues_and_mtu(self) -> None:
        with self.switch() as (switch, spaces):
            tap = tap_name()
            switch.add("nv7", f"vdev:netvsp7,endpoint=tap:{tap},queues=4,mtu=9000")
            switch.tell("set", "Interface", "nv7", "options:n_rxq=4", "mtu_request=9000")
            self.assertEqual(switch.tell("get", "Interface", "nv7", "mtu").strip(), "9000")
            self.assertEqual(switch.queues("nv7"), {0, 1, 2, 3})
            with Namespace() as space:
                space.take(tap, "198.18.0.4/24")
                sent, received, _ = space.ping("198.18.0.1", 50)
                self.assertEqual(received, sent, f"see {switch.daemon.log}")


harness.main(__name__)
