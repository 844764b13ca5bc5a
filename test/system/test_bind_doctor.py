#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""netvsc-bind doctor on a folder that looks like Linux: each fault is found, and a fix is named."""
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from bind_case import ETH0, ETH1, UIO, LinuxCase  # noqa: E402
from fake_linux import RELEASE  # noqa: E402
from netvsc_tools import harness  # noqa: E402

HUGE = "sys/kernel/mm/hugepages/hugepages-2048kB"
NODE0 = "sys/devices/system/node/node0/hugepages/hugepages-2048kB"
CAPABLE = "Name:\tpython3\nCapEff:\t000001ffffffffff\n"


class Doctor(LinuxCase):
    """A machine where all is well, from which something is taken."""

    def setUp(self) -> None:
        super().setUp()
        for folder in (HUGE, NODE0):
            self.kernel.file(f"{folder}/nr_hugepages", "512\n")
            self.kernel.file(f"{folder}/free_hugepages", "500\n")
        self.kernel.file("proc/mounts", "proc /proc proc rw 0 0\nhugetlbfs /dev/hugepages hugetlbfs rw 0 0\n")
        self.kernel.file("proc/self/status", CAPABLE)
        self.pagemap(shown=True)

    def pagemap(self, shown: bool) -> None:
        """What /proc/self/pagemap is to the tool: a page frame for each page, or zeros."""
        path = self.root / "proc/self/pagemap"
        path.unlink(missing_ok=True)
        if shown and os.geteuid() == 0:
            path.symlink_to("/proc/self/pagemap")
        else:
            path.touch()
            os.truncate(path, 1 << 39)  # a hole: 8 bytes for each page of 47 bits of address space

    def checks(self, code: int = 0) -> dict[str, dict[str, str]]:
        return {check["subject"]: check for check in json.loads(self.run_tool("doctor", "--json", code=code))}

    def found(self, subject: str, state: str, text: str, fix: str) -> None:
        if subject != "physical addresses" and os.geteuid() != 0:
            code = 1  # that one is an error without root
        else:
            code = 1 if state == "error" else 0
        check = self.checks(code)[subject]
        self.assertEqual(check["state"], state, check)
        self.assertIn(text, check["text"])
        self.assertIn(fix, check["fix"])

    def test_all_is_well(self) -> None:
        self.need("" if os.geteuid() == 0 else "physical addresses need root")
        self.run_tool("bind", "eth1")
        self.assertEqual({check["state"] for check in self.checks().values()}, {"ok"})
        text = self.run_tool("doctor")
        self.assertIn(f"1 of 2 bound to {UIO}", text)
        self.assertIn("/dev/uio0 may be read and written", text)
        self.assertNotIn("fix:", text)

    def test_no_vmbus(self) -> None:
        (self.kernel.bus / "devices").rename(self.root / "gone")
        self.found("NICs", "error", "no VMBus NIC", "attach a network adapter")

    def test_no_ip(self) -> None:
        self.kernel.command("ip", "#!/bin/sh\nexit 1\n")
        self.found("commands", "error", "'ip -j -4 route", "iproute2")

    def test_module_missing(self) -> None:
        self.kernel.file(f"lib/modules/{RELEASE}/modules.dep", "kernel/drivers/other.ko:\n")
        self.found("driver", "error", RELEASE, f"linux-modules-extra-{RELEASE}")
        self.kernel.file(f"lib/modules/{RELEASE}/modules.builtin", f"kernel/drivers/uio/{UIO}.ko\n")
        self.assertIn("built into", self.checks(0 if os.geteuid() == 0 else 1)["driver"]["text"])

    def test_old_kernel(self) -> None:
        self.kernel.file("proc/sys/kernel/osrelease", "4.15.0-22-generic\n")
        for guid in (ETH0, ETH1):
            (self.kernel.bus / "devices" / guid / "driver_override").unlink()
        self.kernel.file("lib/modules/4.15.0-22-generic/modules.dep", f"kernel/drivers/uio/{UIO}.ko:\n")
        self.found("kernel", "warning", "one queue per NIC", "newer kernel")
        self.found("kernel", "warning", "no driver_override", "newer kernel")

    def test_no_monitor(self) -> None:
        (self.kernel.bus / "devices" / ETH1 / "monitor_id").unlink()
        self.found("monitor", "warning", f"eth1 ({ETH1}): no monitor id", f"netvsc-bind bind {ETH1}")

    def test_hugepages(self) -> None:
        self.kernel.file(f"{HUGE}/free_hugepages", "0\n")
        self.found("hugepages", "warning", "others use all of them", "end what uses them")
        self.kernel.file(f"{HUGE}/nr_hugepages", "0\n")
        self.found("hugepages", "error", "none are configured", f"echo 512 > /{HUGE}/nr_hugepages")

    def test_hugepages_of_the_node(self) -> None:
        self.kernel.file(f"{NODE0}/free_hugepages", "0\n")
        self.found("hugepages", "warning", "NUMA node 0", f"echo 512 > /{NODE0}/nr_hugepages")

    def test_hugetlbfs(self) -> None:
        self.kernel.file("proc/mounts", "proc /proc proc rw 0 0\n")
        self.found("hugetlbfs", "warning", "not mounted", "mount -t hugetlbfs")

    def test_addresses(self) -> None:
        subject = "physical addresses"
        self.pagemap(shown=False)
        self.found(subject, "error", "hides them", "user namespace")
        self.kernel.file("proc/self/status", "CapEff:\t0000000000000000\n")
        self.found(subject, "error", "CAP_SYS_ADMIN", "run as root")
        self.kernel.file("proc/self/status", CAPABLE)
        (self.root / "proc/self/pagemap").unlink()
        self.found(subject, "error", "cannot be read", "run as root")

    def test_iommu(self) -> None:
        self.kernel.file("sys/class/iommu/dmar0", "")
        self.found("IOMMU", "warning", "not behind it", "--iova-mode=va")

    def test_lockdown(self) -> None:
        self.kernel.file("sys/kernel/security/lockdown", "none [integrity] confidentiality\n")
        self.found("lockdown", "warning", "integrity", "from the distribution")
        self.kernel.add_driver(UIO)
        self.found("lockdown", "ok", "integrity", "")

    def test_nothing_bound(self) -> None:
        self.found("NICs", "warning", "none of 2", "netvsc-bind bind eth1")
        self.kernel.routes(v4=[{"dst": "default", "nexthops": [{"dev": "eth0"}, {"dev": "eth1"}]}])
        self.found("NICs", "warning", "each carries", "attach another")

    def test_node_missing(self) -> None:
        self.run_tool("bind", "eth1")
        (self.root / "dev/uio0").unlink()
        self.found("nodes", "error", ETH1, f"netvsc-bind bind {ETH1}")

    def test_plugins_of_dpdk(self) -> None:
        self.assertIn("not installed", self.checks(0 if os.geteuid() == 0 else 1)["DPDK's netvsc"]["text"])
        self.kernel.file("usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_net_netvsc.so.23.0", "")
        self.found("DPDK's netvsc", "ok", "this driver takes its place", "")


harness.main(__name__)
