#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""tools/netvsc-bind on a folder that looks like Linux on Hyper-V, with a thread for the kernel."""
import os
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from bind_case import DEFAULT, ETH0, ETH1, ETH2, MAC0, MAC1, MAC2, UIO, LinuxCase  # noqa: E402
from fake_linux import CLASS, DRIVERCTL  # noqa: E402
from netvsc_tools import harness, machine  # noqa: E402


class List(LinuxCase):
    def test_text(self) -> None:
        lines = self.run_tool().splitlines()
        self.assertEqual(lines[0].split()[:8], ["INTERFACE", "GUID", "DRIVER", "MAC", "QUEUES", "NUMA", "NODE", "VF"])
        self.assertEqual(lines[2].split(), ["eth0", ETH0, "hv_netvsc", MAC0, "4", "0", "-", "-", "default", "route", "IPv4"])
        self.assertEqual(lines[3].split(), ["eth1", ETH1, "hv_netvsc", MAC1, "4", "0", "-", "-", "-"])

    def test_json(self) -> None:
        self.kernel.add_nic(ETH2, "eth2", MAC2, driver="")
        nics = self.nics()
        self.assertEqual(list(nics), [ETH0, ETH1, ETH2])
        self.assertEqual(nics[ETH0]["default_route"], [{"what": "IPv4", "interface": "eth0"}])
        self.assertEqual(nics[ETH1], {"guid": ETH1, "driver": "hv_netvsc", "interface": "eth1", "mac": MAC1, "queues": 4,
                                      "numa_node": 0, "node": "", "vf": "", "saved": False, "default_route": [], "ssh": []})
        self.assertEqual((nics[ETH2]["driver"], nics[ETH2]["interface"]), ("", ""))

    def test_other_classes(self) -> None:
        self.kernel.file(f"sys/bus/vmbus/devices/{ETH1}/class_id", "{ba6163d9-04a1-4d29-b605-72e2ffb1dc7f}\n")
        self.assertEqual(list(self.nics()), [ETH0])

    def test_no_nic(self) -> None:
        self.root = self.root / "empty"
        self.assertEqual(self.run_tool(), "no VMBus NIC: is this a Hyper-V guest? (/sys/bus/vmbus does not exist)\n")
        self.assertEqual(self.run_tool("--json"), "[]\n")
        self.assertIn("is this a Hyper-V guest?", self.run_tool("bind", "eth1", code=1))

    def test_no_ip(self) -> None:
        (self.root / "bin/ip").unlink()
        self.env["PATH"] = f"{self.root}/bin"
        self.assertIn("'ip' is not installed", self.run_tool("list", code=1))

    def test_wrong_usage(self) -> None:
        for arguments in (["bind"], ["nosuch"], ["--nosuch"], ["bind", "eth1", "--timeout", "x"]):
            self.assertIn("usage: netvsc-bind", self.run_tool(*arguments, code=2))
        self.assertIn("exit: 0", self.run_tool("bind", "--help"))

    def test_program(self) -> None:
        """The program itself, on this machine."""
        for argument, code, said in (("--help", 0, "exit: 0"), ("bind", 2, "usage: netvsc-bind bind"), ("", 0, "GUID")):
            done = subprocess.run([machine.ROOT / "tools/netvsc-bind", *filter(None, [argument])], text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=60)
            self.assertEqual(done.returncode, code, done.stdout)
            if argument or Path("/sys/bus/vmbus").exists():
                self.assertIn(said, done.stdout)
            else:
                self.assertIn("no VMBus NIC: is this a Hyper-V guest?", done.stdout)


class InUse(LinuxCase):
    """What goes over a NIC by whatever way."""

    def refused(self, name: str, *because: str) -> None:
        text = self.run_tool("bind", name, code=1)
        for reason in (*because, "--force"):
            self.assertIn(reason, text)
        self.assertEqual(self.kernel.log, [])

    def test_default_route(self) -> None:
        self.refused("eth0", "default route IPv4", f"eth0 ({ETH0})")
        self.assertIn("/dev/uio0", self.run_tool("bind", "eth0", "--force"))
        self.assertEqual(self.kernel.driver(ETH0), UIO)

    def test_nothing_is_done_if_one_is_refused(self) -> None:
        self.run_tool("bind", "eth1", "eth0", code=1)
        self.assertEqual(self.kernel.log, [])

    def test_ipv6(self) -> None:
        self.kernel.routes(v6=[{"dst": "default", "gateway": "fe80::1", "dev": "eth0", "metric": 1024}])
        self.refused("eth0", "default route IPv6")

    def test_several_hops(self) -> None:
        self.kernel.routes(v4=[{"dst": "default", "nexthops": [{"gateway": "10.0.1.1", "dev": "eth1"},
                                                               {"gateway": "10.0.0.1", "dev": "eth0"}]}])
        self.refused("eth0", "default route IPv4")
        self.refused("eth1", "default route IPv4")

    def test_lower_priority(self) -> None:
        """Another default route, of a higher metric or in a table of its own, is not the one in use."""
        self.kernel.routes(v4=[{**DEFAULT, "dev": "eth0", "metric": 100}, {**DEFAULT, "dev": "eth1", "metric": 200},
                               {**DEFAULT, "dev": "eth1", "table": "101"},
                               {"type": "blackhole", "dst": "default", "metric": 9}])
        self.assertEqual(self.nics()[ETH1]["default_route"], [])
        self.refused("eth0", "default route IPv4")

    def test_only_in_another_table(self) -> None:
        self.kernel.routes(v4=[{**DEFAULT, "dev": "eth0", "table": "mgmt"}])
        self.refused("eth0", "default route IPv4")

    def test_bridge(self) -> None:
        self.kernel.add_interface("br0", MAC0, "eth0")
        self.kernel.routes(v4=[{**DEFAULT, "dev": "br0"}])
        self.refused("eth0", "default route IPv4 over br0")

    def test_vlan_on_bond(self) -> None:
        self.kernel.add_interface("bond0", MAC0, "eth0")
        self.kernel.add_interface("bond0.7", MAC0, "bond0")
        self.kernel.routes(v4=[{**DEFAULT, "dev": "bond0.7"}])
        self.refused("eth0", "default route IPv4 over bond0.7")

    def test_open_vswitch(self) -> None:
        """Nothing links the switch's own port, which has the route, with the switch."""
        self.kernel.add_interface("ovs-system", MAC2, "eth0")
        self.kernel.add_interface("br-ex", MAC0)
        self.kernel.routes(v4=[{**DEFAULT, "dev": "br-ex"}])
        self.refused("eth0", "default route IPv4 over br-ex")
        self.assertEqual(self.nics()[ETH1]["default_route"], [])

    def test_vf_paired(self) -> None:
        self.kernel.add_interface("enP1s1", MAC0, pci=True)
        (self.kernel.net / "eth0/lower_enP1s1").symlink_to("../enP1s1")
        (self.kernel.net / "enP1s1/upper_eth0").symlink_to("../eth0")
        (self.kernel.net / "enP1s1/master").symlink_to("../eth0")
        self.assertEqual([nic["vf"] for nic in self.nics().values()], ["enP1s1", ""])
        self.kernel.routes(v4=[{**DEFAULT, "dev": "enP1s1"}])
        self.refused("eth0", "default route IPv4 over enP1s1")
        self.assertIn(f"enP1s1 is the virtual function of eth0 ({ETH0})", self.run_tool("bind", "enP1s1", code=1))

    def test_vf_by_address(self) -> None:
        """Kernels before transparent virtual functions; the bridge has that address, too, and is none."""
        self.kernel.add_interface("enP1s1", MAC0, pci=True)
        self.kernel.add_interface("br0", MAC0, "enP1s1")
        self.kernel.routes(v4=[{**DEFAULT, "dev": "br0"}])
        self.assertEqual(self.nics()[ETH0]["vf"], "enP1s1")
        self.refused("eth0", "default route IPv4 over br0")

    def connection(self, local: str, state: str = "01", name: str = "tcp") -> None:
        """A line of /proc/net/tcp, with 192.0.2.9 at the other end."""
        peer = "0000000000000000FFFF0000090200C0" if name == "tcp6" else "090200C0"
        self.kernel.file(f"proc/net/{name}", "  sl  local_address rem_address   st tx_queue ...\n"
                         f"   0: {local} {peer}:C350 {state} 00000000:00000000 02:000A5E21 00000000     0        0 12345 4\n")

    def test_ssh(self) -> None:
        self.kernel.routes()
        self.connection("0400000A:0016")
        self.refused("eth0", "ssh from 192.0.2.9")
        self.assertEqual(self.nics()[ETH0]["ssh"], [{"what": "192.0.2.9", "interface": "eth0"}])
        self.assertEqual(self.nics()[ETH1]["ssh"], [])

    def test_ssh_mapped(self) -> None:
        """sshd listens at IPv6, a client comes by IPv4."""
        self.kernel.routes()
        self.connection("0000000000000000FFFF00000400000A:0016", name="tcp6")
        self.refused("eth0", "ssh from 192.0.2.9")

    def test_ssh_another_port(self) -> None:
        self.kernel.routes()
        self.connection("0400000A:08AE")
        self.assertEqual(self.nics()[ETH0]["ssh"], [])
        self.kernel.file("etc/ssh/sshd_config.d/port.conf", "#Port 1\nPort 2222\n")
        self.refused("eth0", "ssh from 192.0.2.9")

    def test_other_connections(self) -> None:
        for local, state in (("0400000A:01BB", "01"), ("0400000A:0016", "06"), ("0100007F:0016", "01")):
            self.connection(local, state)
            self.assertEqual(self.nics()[ETH0]["ssh"], [], local)

    def test_ssh_of_the_caller(self) -> None:
        self.kernel.routes()
        self.env["SSH_CONNECTION"] = "192.0.2.9 50000 10.0.0.4 2222"
        self.refused("eth0", "ssh from 192.0.2.9")
        self.env["SSH_CONNECTION"] = "UNKNOWN 65535 UNKNOWN 65535"
        self.assertEqual(self.nics()[ETH0]["ssh"], [])

    def test_ssh_through_sudo(self) -> None:
        """sudo takes SSH_CONNECTION away; a process above has it."""
        self.kernel.routes()
        self.kernel.file(f"proc/{os.getppid()}/stat", f"{os.getppid()} (a ) name) S 4711 1 1 0\n")
        self.kernel.file("proc/4711/environ", "HOME=/root\0SSH_CONNECTION=192.0.2.9 50000 10.0.0.4 2222\0TERM=x\0")
        self.refused("eth0", "ssh from 192.0.2.9")

    def test_used_by_a_process(self) -> None:
        self.run_tool("bind", "eth1")
        self.kernel.file("proc/4711/comm", "dpdk-testpmd\n")
        (self.root / "proc/4711/fd").mkdir()
        (self.root / "proc/4711/fd/9").symlink_to("/dev/uio0")
        self.assertIn("dpdk-testpmd (process 4711)", self.run_tool("unbind", ETH1, code=1))
        self.run_tool("unbind", ETH1, "--force")
        self.assertEqual(self.kernel.driver(ETH1), "hv_netvsc")


class Names(LinuxCase):
    def test_forms(self) -> None:
        for name in ("eth1", ETH1, ETH1.upper(), f"{{{ETH1}}}", "000d3af1"):
            self.assertIn("would write", self.run_tool("bind", name, "--dry-run"))
        self.assertEqual(self.kernel.log, [])

    def test_unknown(self) -> None:
        self.assertIn(f"no VMBus NIC is called 'eth7'; there are eth0 ({ETH0})", self.run_tool("bind", "eth7", code=1))
        self.assertIn("no VMBus NIC is called ''", self.run_tool("bind", "", code=1))

    def test_ambiguous(self) -> None:
        text = self.run_tool("bind", "000d3af", code=1)
        self.assertIn("may be any of", text)
        self.assertIn(ETH1, text)

    def test_twice(self) -> None:
        self.assertEqual(self.run_tool("bind", "eth1", ETH1).count("/dev/uio0"), 1)


class Move(LinuxCase):
    def test_there_and_back(self) -> None:
        self.assertEqual(self.run_tool("bind", "eth1"), f"eth1 ({ETH1}): uio_hv_generic, /dev/uio0\n")
        self.assertEqual(self.kernel.driver(ETH1), UIO)
        self.assertEqual(self.kernel.log, [("modprobe.request", UIO), ("drivers/hv_netvsc/unbind", ETH1),
                                           (f"drivers/{UIO}/bind", ETH1)])
        self.assertEqual(self.kernel.read(f"sys/bus/vmbus/devices/{ETH1}/driver_override"), UIO)
        self.assertEqual(self.nics()[ETH1]["node"], "/dev/uio0")
        self.assertIn(f"{ETH1} is with {UIO} already", self.run_tool("bind", ETH1))

        self.assertEqual(self.run_tool("unbind", ETH1), f"{ETH1}: hv_netvsc, interface eth1\n")
        self.assertEqual(self.kernel.driver(ETH1), "hv_netvsc")
        self.assertEqual(self.kernel.read(f"sys/bus/vmbus/devices/{ETH1}/driver_override"), "")
        self.assertIn("is with hv_netvsc already", self.run_tool("unbind", "eth1"))

    def test_several(self) -> None:
        self.kernel.add_nic(ETH2, "eth2", MAC2, driver="")
        self.assertIn(f"{ETH2}: uio_hv_generic, /dev/uio1", self.run_tool("bind", "eth1", ETH2))

    def test_dry_run(self) -> None:
        self.assertEqual(self.run_tool("bind", "eth1", "--dry-run").splitlines(), [
            f"would run modprobe {UIO}",
            f"would write '{UIO}' to /sys/bus/vmbus/devices/{ETH1}/driver_override",
            f"would write '{ETH1}' to /sys/bus/vmbus/drivers/hv_netvsc/unbind",
            f"would write '{ETH1}' to /sys/bus/vmbus/drivers/{UIO}/bind"])
        self.assertEqual(self.kernel.log, [])

    def test_no_module(self) -> None:
        (self.root / "lib/modules" / UIO).unlink()
        text = self.run_tool("bind", "eth1", code=1)
        self.assertIn("cannot be loaded", text)
        self.assertIn("netvsc-bind doctor", text)
        self.assertEqual(self.kernel.driver(ETH1), "hv_netvsc")

    def rolled_back(self, *said: str) -> None:
        text = self.run_tool("bind", "eth1", code=1, timeout="0.3")
        for part in (*said, "it is with hv_netvsc again"):
            self.assertIn(part, text)
        self.assertEqual(self.kernel.driver(ETH1), "hv_netvsc")
        if self.override:
            self.assertEqual(self.kernel.read(f"sys/bus/vmbus/devices/{ETH1}/driver_override"), "")

    def test_probe_fails(self) -> None:
        self.kernel.refuses = {UIO}
        self.rolled_back("the kernel did not bind it")

    def test_no_node(self) -> None:
        self.kernel.no_node = True
        self.rolled_back("/dev/uio0 does not appear")

    def test_write_fails(self) -> None:
        self.kernel.add_driver(UIO)
        (self.kernel.bus / "drivers" / UIO / "bind").unlink()
        self.rolled_back(f"drivers/{UIO}/bind", "No such file")

    def test_neither_driver_takes_it(self) -> None:
        self.kernel.refuses = {UIO, "hv_netvsc"}
        text = self.run_tool("bind", "eth1", code=1, timeout="0.3")
        self.assertIn("cannot be had back either", text)
        self.assertIn(f"its driver is now none, try 'netvsc-bind unbind {ETH1}'", text)

    def test_unbind_fails(self) -> None:
        self.run_tool("bind", "eth1")
        self.kernel.refuses = {"hv_netvsc"}
        self.assertIn(f"it is with {UIO} again", self.run_tool("unbind", ETH1, code=1, timeout="0.3"))
        self.assertEqual(self.kernel.driver(ETH1), UIO)


class OldKernel(Move):
    """Without driver_override: drivers know classes only."""

    override = False

    def test_there_and_back(self) -> None:
        self.kernel.add_nic(ETH2, "eth2", MAC2, driver="")
        self.assertIn("/dev/uio", self.run_tool("bind", "eth1"))
        self.assertEqual([self.kernel.driver(guid) for guid in (ETH0, ETH1, ETH2)], ["hv_netvsc", UIO, ""])
        self.assertIn((f"drivers/{UIO}/new_id", CLASS), self.kernel.log)
        self.assertEqual(self.kernel.classes, set(), "it takes no further NICs")
        self.run_tool("unbind", ETH1)
        self.assertEqual(self.kernel.driver(ETH1), "hv_netvsc")

    def test_dry_run(self) -> None:
        self.assertEqual(self.run_tool("bind", "eth1", "--dry-run").splitlines(), [
            f"would run modprobe {UIO}",
            f"would write '{CLASS}' to /sys/bus/vmbus/drivers/{UIO}/new_id",
            f"would write '{ETH1}' to /sys/bus/vmbus/drivers/hv_netvsc/unbind",
            f"would write '{ETH1}' to /sys/bus/vmbus/drivers/{UIO}/bind",
            f"would write '{CLASS}' to /sys/bus/vmbus/drivers/{UIO}/remove_id"])


class Disturbed(LinuxCase):
    def test_signals(self) -> None:
        """A signal while a NIC is between two drivers, as when the session over it ends."""
        self.kernel.refuses = {UIO}
        numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
        before = [signal.getsignal(number) for number in numbers]
        sent = []

        def disturb() -> None:
            for number in numbers:
                os.kill(os.getpid(), number)
                sent.append(number)

        self.kernel.refused = disturb
        self.assertIn("it is with hv_netvsc again", self.run_tool("bind", "eth1", code=1, timeout="0.3"))
        self.assertEqual(sent, [*numbers])
        self.assertEqual([signal.getsignal(number) for number in numbers], before)


class Persistent(LinuxCase):
    """With driverctl, which only kernels with driver_override can have."""

    def setUp(self) -> None:
        super().setUp()
        self.kernel.command("driverctl", DRIVERCTL)
        self.saved = self.root / f"etc/driverctl.d/vmbus-{ETH1}"

    def test_one_fails(self) -> None:
        """The others are bound all the same."""
        self.kernel.add_nic(ETH2, "eth2", MAC2)
        (self.kernel.bus / "devices" / ETH1 / "driver_override").unlink()
        (self.kernel.bus / "devices" / ETH1 / "driver_override").mkdir()
        text = self.run_tool("bind", "eth1", "eth2", code=1, timeout="0.3")
        self.assertIn("cannot be had back either", text)
        self.assertEqual(self.kernel.driver(ETH2), UIO)

    def test_there_and_back(self) -> None:
        self.assertIn("/dev/uio0", self.run_tool("bind", "eth1", "--persistent"))
        self.assertEqual(self.kernel.read("driverctl.log"), f"-b vmbus set-override {ETH1} {UIO}")
        self.assertTrue(self.saved.exists())
        self.assertTrue(self.nics()[ETH1]["saved"])
        self.assertIn(f"is with {UIO} already", self.run_tool("bind", ETH1, "--persistent"))
        self.assertIn("interface eth1", self.run_tool("unbind", ETH1, "--persistent"))
        self.assertFalse(self.saved.exists())
        self.assertEqual(self.kernel.driver(ETH1), "hv_netvsc")

    def test_saved_later(self) -> None:
        self.run_tool("bind", "eth1")
        self.run_tool("bind", ETH1, "--persistent")
        self.assertTrue(self.saved.exists())
        self.assertEqual(self.kernel.driver(ETH1), UIO)

    def test_unbound_for_now(self) -> None:
        self.run_tool("bind", "eth1", "--persistent")
        self.assertIn("bound again at the next boot", self.run_tool("unbind", ETH1))
        self.assertTrue(self.saved.exists())
        self.run_tool("unbind", "eth1", "--persistent")
        self.assertFalse(self.saved.exists())

    def test_rolled_back(self) -> None:
        self.kernel.no_node = True
        self.assertIn("it is with hv_netvsc again", self.run_tool("bind", "eth1", "--persistent", code=1, timeout="0.3"))
        self.assertFalse(self.saved.exists())
        self.assertEqual(self.kernel.driver(ETH1), "hv_netvsc")

    def test_dry_run(self) -> None:
        self.assertEqual(self.run_tool("bind", "eth1", "--persistent", "--dry-run").splitlines(),
                         [f"would run modprobe {UIO}", f"would run driverctl -b vmbus set-override {ETH1} {UIO}"])

    def test_no_driverctl(self) -> None:
        (self.root / "bin/driverctl").unlink()
        self.assertIn("apt-get install driverctl", self.run_tool("bind", "eth1", "--persistent", code=1))
        self.assertEqual(self.kernel.log, [])

    def test_no_override(self) -> None:
        (self.kernel.bus / "devices" / ETH1 / "driver_override").unlink()
        self.assertIn("boot a newer kernel", self.run_tool("bind", "eth1", "--persistent", code=1))
        self.assertEqual(self.kernel.log, [])


harness.main(__name__)
