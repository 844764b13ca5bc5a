#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""tools/netvsc-bind with FreeBSD's commands, or what looks like them."""
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from bind_case import ETH0, ETH1, ToolCase  # noqa: E402
from fake_freebsd import FakeFreeBsd  # noqa: E402
from netvsc_tools import harness  # noqa: E402


class FreeBsd(ToolCase):
    """hn0 has the default route, hn1 is spare."""

    system = "freebsd"

    def setUp(self) -> None:
        super().setUp()
        self.machine = FakeFreeBsd(self.root, ETH0, ETH1)
        self.machine.installed("hv_uio")
        self.machine.routes(v4="hn0")

    def devices(self) -> list[str]:
        return self.machine.read("devices").splitlines()

    def checks(self, code: int = 0) -> dict[str, dict[str, str]]:
        return {check["subject"]: check for check in json.loads(self.run_tool("doctor", "--json", code=code))}

    def test_list(self) -> None:
        self.assertEqual(self.run_tool().splitlines()[2].split(),
                         ["hn0", ETH0, "hn", "00:15:5d:00:00:00", "4", "-", "-", "-", "default", "route", "IPv4"])
        self.assertEqual(self.nics()[ETH1], {
            "guid": ETH1, "driver": "hn", "interface": "hn1", "mac": "00:15:5d:00:00:01", "queues": 4, "numa_node": None,
            "node": "", "vf": "", "saved": False, "default_route": [], "ssh": []})

    def test_no_nic(self) -> None:
        self.machine.file("devices", "")
        self.machine.file("sysctl", "kern.vm_guest: none\n")
        self.assertIn("is this a Hyper-V guest? (kern.vm_guest is 'none', not 'hv')", self.run_tool())

    def test_there_and_back(self) -> None:
        self.assertEqual(self.run_tool("bind", "hn1"), f"hn1 ({ETH1}): hv_uio, /dev/hv_uio0\n")
        self.assertEqual(self.machine.read("kldload.log"), "-n hv_uio")
        self.assertEqual(self.machine.read("devctl.log"), "set driver -f hn1 hv_uio")
        self.assertEqual(self.nics()[ETH1]["node"], "/dev/hv_uio0")
        self.assertIn("is with hv_uio already", self.run_tool("bind", ETH1))
        self.assertEqual(self.run_tool("unbind", ETH1), f"{ETH1}: hn, interface hn1\n")
        self.assertEqual(self.devices(), [f"hn0 {ETH0}", f"hn1 {ETH1}"])

    def test_dry_run(self) -> None:
        self.assertEqual(self.run_tool("bind", "hn1", "--dry-run").splitlines(),
                         ["would run kldload -n hv_uio", "would run devctl set driver -f hn1 hv_uio"])
        self.assertEqual(self.devices(), [f"hn0 {ETH0}", f"hn1 {ETH1}"])

    def test_rolled_back(self) -> None:
        self.machine.file("attach-fails", "")
        text = self.run_tool("bind", "hn1", code=1)
        self.assertIn("Device not configured", text)
        self.assertIn("it is back: hn, interface hn1", text)
        self.assertEqual(self.devices(), [f"hn0 {ETH0}", f"hn1 {ETH1}"])

    def test_no_module(self) -> None:
        (self.root / "boot/modules/hv_uio.ko").unlink()
        text = self.run_tool("bind", "hn1", code=1)
        self.assertIn("can't load hv_uio", text)
        self.assertIn("it is still with hn", text)

    def test_persistent(self) -> None:
        self.assertIn("/etc/rc.local", self.run_tool("bind", "hn1", "--persistent", code=1))

    def refused(self, *because: str) -> None:
        text = self.run_tool("bind", "hn0", code=1)
        for reason in (*because, "--force"):
            self.assertIn(reason, text)
        self.assertFalse((self.root / "devctl.log").exists())

    def test_default_route(self) -> None:
        self.refused("default route IPv4")
        self.machine.routes(v6="hn0")
        self.refused("default route IPv6")
        self.run_tool("bind", "hn0", "--force")
        self.assertEqual(self.devices()[0], f"hv_uio0 {ETH0}")

    def test_on_top(self) -> None:
        """Bridges, VLANs and aggregates."""
        lines = self.machine.read("if/other")
        for name, line in (("bridge0", "member: hn0 flags=143<LEARNING>"), ("lagg0", "laggport: hn0 flags=1c<ACTIVE>"),
                           ("vlan7", "vlan: 7 vlanproto: 802.1q vlanpcp: 0 parent interface: hn0")):
            self.machine.file("if/other", f"{lines}\n{name}: flags=8843<UP> metric 0\n\t{line}\n")
            self.machine.routes(v4=name)
            self.refused(f"default route IPv4 over {name}")

    def test_virtual_function(self) -> None:
        self.machine.file("sysctl", self.machine.read("sysctl").replace("dev.hn.0.vf: ", "dev.hn.0.vf: mce0") + "\n")
        self.machine.routes(v4="mce0")
        self.assertEqual(self.nics()[ETH0]["vf"], "mce0")
        self.refused("default route IPv4 over mce0")

    def test_ssh(self) -> None:
        self.machine.routes()
        self.machine.connections("10.0.1.4.443", "10.0.0.4.22")
        self.assertEqual(self.nics()[ETH1]["ssh"], [])
        self.refused("ssh from 192.0.2.9")
        self.machine.connections()
        self.env["SSH_CONNECTION"] = "192.0.2.8 50000 10.0.0.4 2222"
        self.refused("ssh from 192.0.2.8")

    def test_used_by_a_process(self) -> None:
        self.run_tool("bind", "hn1")
        self.machine.file("users", " 4711\n")
        self.assertIn("process 4711", self.run_tool("unbind", ETH1, code=1))
        self.run_tool("unbind", ETH1, "--force")

    def test_doctor(self) -> None:
        checks = self.checks(1)
        self.assertEqual({name: check["state"] for name, check in checks.items()},
                         {"VMBus": "ok", "driver": "ok", "memory": "error", "NICs": "warning"})
        self.assertIn("pkg install dpdk", checks["memory"]["fix"])
        self.assertEqual(checks["NICs"]["fix"], "netvsc-bind bind hn1")
        self.machine.file("loaded/contigmem", "")
        self.machine.file("sysctl", self.machine.read("sysctl")
                          + "\nhw.contigmem.num_buffers: 8\nhw.contigmem.buffer_size: 134217728\n")
        self.run_tool("bind", "hn1")
        checks = self.checks()
        self.assertEqual({check["state"] for check in checks.values()}, {"ok"})
        self.assertIn("8 buffers of 134217728 bytes", checks["memory"]["text"])
        self.assertIn("/dev/hv_uio0", checks["nodes"]["text"])

    def test_doctor_without_driver(self) -> None:
        (self.root / "boot/modules/hv_uio.ko").unlink()
        self.machine.file("sysctl", "kern.vm_guest: none\n")
        checks = self.checks(1)
        self.assertEqual((checks["driver"]["state"], checks["VMBus"]["state"]), ("error", "error"))
        self.assertIn("no release of FreeBSD has it", checks["driver"]["text"])


harness.main(__name__)
