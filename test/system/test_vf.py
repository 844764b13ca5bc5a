#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A virtual function with drivers that are not ours: DPDK's net_af_packet, on a TAP of the host's."""
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from netvsc_tools import harness, machine  # noqa: E402
from netvsc_tools.network import tap_name  # noqa: E402
from netvsc_tools.process import run  # noqa: E402
from netvsc_tools.testpmd import Daemon, Testpmd, no_memory, socket_path  # noqa: E402

MAC = "00:15:5d:0a:0b:0c"


class Vf(harness.Case):
    def setUp(self) -> None:
        super().setUp()
        self.need(machine.no_tap())
        self.interface = tap_name()
        nic = f"endpoint=generator:size=200:flows=8:rate=20000:dst={MAC},queues=2,mac={MAC},vf={self.interface}"
        self.daemon = Daemon(self.log("netvsp"), socket_path(), [nic])
        self.addCleanup(self.daemon.kill)

    def primary(self, memory: str = "", *eal: str, app: tuple[str, ...] = ()) -> Testpmd:
        vdevs = [f"netvsp0,socket={self.daemon.socket}", f"net_af_packet0,iface={self.interface},qpairs=2"]
        return Testpmd(self.log(), vdevs, ["--forward-mode=io", "--no-flush-rx", *app], memory=memory, eal=eal)

    def xstats(self, pmd: Testpmd) -> dict[str, int]:
        return {key: int(value) for key, value in re.findall(r"^(\w+): (\d+)", pmd.command("show port xstats 0"), re.M)}

    def goes_by(self, pmd: Testpmd, vf: bool) -> None:
        """Frames travel both ways, all of them by the VF or none, as soon as the path was changed."""
        def moved() -> tuple[dict[str, int], dict[str, int]]:
            before = self.xstats(pmd)
            time.sleep(0.3)
            return before, self.xstats(pmd)

        def as_wanted() -> bool:
            before, after = moved()
            for way in ("rx", "tx"):
                frames = after[f"{way}_good_packets"] - before[f"{way}_good_packets"]
                by_vf = after[f"vf_{way}_packets"] - before[f"vf_{way}_packets"]
                if frames < 1000 or by_vf != (frames if vf else 0):
                    return False
            return True

        self.eventually(f"frames by the {'VF' if vf else 'NIC'} alone, see {pmd.log}", as_wanted)

    def test_comes_and_goes(self) -> None:
        """`ip link set down` at the host takes the VF away, under traffic."""
        with self.primary() as pmd:
            self.assertEqual(re.findall(r"^(\d+) +[0-9A-F:]{17} +(\S+)", pmd.command("show port summary all"), re.M),
                             [("0", "netvsp0")], "the VF is not among the application's ports")
            pmd.start()
            for n in range(3):
                self.goes_by(pmd, True)
                self.assertEqual(self.xstats(pmd)["vf_switches"], n + 1)
                run("ip", "link", "set", self.interface, "down")
                self.goes_by(pmd, False)
                run("ip", "link", "set", self.interface, "up")
            self.goes_by(pmd, True)
            pmd.command("stop")
            self.assertEqual(pmd.quit(), 0, f"testpmd's exit code, see {pmd.log}")

    def test_not_while_there_is_a_secondary(self) -> None:
        """Its queues would get nothing."""
        self.need(no_memory("files"))
        share = ("--num-procs=2", "--proc-id=0")
        with self.primary("files", "--proc-type=primary", app=("--rxq=2", "--txq=2", *share)) as pmd:
            pmd.start()
            self.goes_by(pmd, True)
            for _ in range(2):
                arguments = ["--forward-mode=io", "--no-flush-rx", "--rxq=2", "--txq=2", "--num-procs=2", "--proc-id=1"]
                with Testpmd(self.log("secondary"), [], arguments, primary=pmd) as secondary:
                    self.goes_by(pmd, False)
                    self.assertEqual(secondary.quit(), 0, f"testpmd's exit code, see {secondary.log}")
                self.goes_by(pmd, True)
            pmd.command("stop")
            self.assertEqual(pmd.quit(), 0, f"testpmd's exit code, see {pmd.log}")


harness.main(__name__)
