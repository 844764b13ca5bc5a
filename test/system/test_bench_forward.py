#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""tools/bench forward and latency: with runs that the test makes up, and one short real one of each driver."""
import argparse
import contextlib
import io
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from netvsc_tools import harness, machine  # noqa: E402
from netvsc_tools.bench import forward, latency, rig, rounds  # noqa: E402
from netvsc_tools.bench.cli import main  # noqa: E402
from netvsc_tools.bench.limits import BOTH, DRIVER, HOST, Waits, known  # noqa: E402
from netvsc_tools.bench.limits import share, waited_receiving, waited_sending  # noqa: E402
from netvsc_tools.process import ProcessError  # noqa: E402

FORWARDING = """show fwd stats all

  ---------------------- Forward statistics for port 0  ----------------------
  RX-packets: 4106112        RX-dropped: 17            RX-total: 4106129
  TX-packets: 4106000        TX-dropped: 112           TX-total: 4106112
  ----------------------------------------------------------------------------

  +++++++++++++++ Accumulated forward statistics for all ports+++++++++++++++
  RX-packets: 9              RX-dropped: 9             RX-total: 9
  TX-packets: 9              TX-dropped: 9             TX-total: 9
  ++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++

  CPU cycles/packet=446.32 (total cycles=1214409590 / total io packets=4106112) at 2450 MHz Clock
"""
DRIVERS = {"ours": 10.0, "ours-external": 10.0, "c": 5.0, "ours-vdev": 11.0, "virtio": 9.0}
OURS, THEIRS, VIRTIO = (rig.SUBJECTS[name] for name in ("ours", "c", "virtio"))


def a_run(mpps: float, driver: float = 0.02, host: float = 0.4, **more: Any) -> forward.Run:
    return forward.Run(mpps, 1000 / mpps, Waits(driver, host), **more)


def host_report(frames: int = 1000, size: int = 64, **other: Any) -> dict[str, Any]:
    """Of a host that got back all that it gave, but the last few."""
    zero = ("reordered", "corrupted", "protocol_errors", "tx_errors", "rx_dropped", "lost", "foreign", "tx_csum",
            "busy_ns", "idle_ns")
    return {**dict.fromkeys(zero, 0), "last_error": "", "endpoint_sent_frames": frames,
            "endpoint_sent_bytes": frames * size, "endpoint_received_frames": frames + 100, "rx_frames": frames + 100,
            "verified": frames, **other}


def totals(frames: int = 1000, host: dict[str, Any] | None = None, **other: Any) -> rig.Totals:
    driver = {"RX-packets": frames, "RX-missed": 100, "RX-errors": 0, "RX-nombuf": 0, "TX-packets": frames,
              "TX-errors": 0}
    return rig.Totals({**driver, **other}, host=host or host_report(frames))


class Limits(harness.Case):
    def setUp(self) -> None:
        """No plugin is needed here."""

    def test_limit(self) -> None:
        """Who waits is not the limit."""
        for driver, host, limit in ((0, 0.5, DRIVER), (0.2, 0.5, DRIVER), (0.05, 0, DRIVER), (0.6, 0, HOST),
                                    (0.21, 0.2, HOST), (0.5, 0.5, BOTH), (0.4, 0.21, BOTH)):
            self.assertEqual(Waits(driver, host).limit(), limit, (driver, host))

    def test_known(self) -> None:
        """Of what a host slows down, only the least is known: as if the other one had not waited, and this one had."""
        busy, waiting = Waits(0.02, 0.5), Waits(0.25, 0.05)
        self.assertEqual([known(busy, busy), known(waiting, busy), known(busy, waiting), known(waiting, waiting)],
                         [("", 1), (">= ", 0.98), (">= ", 0.75), (">= ", 0.75)])

    def test_shares(self) -> None:
        self.assertEqual((share(1, 4), share(5, 4), share(-1, 4), share(0, 0)), (0.25, 1, 0, 0))
        self.assertAlmostEqual(waited_receiving(5e8, 1, 2e9), 0.75)
        self.assertEqual(waited_receiving(0, 1, 0), 1)
        self.assertEqual(waited_sending(300, 100), 0.25)


class Counting(harness.Case):
    def setUp(self) -> None:
        """No plugin is needed here."""

    def test_parse(self) -> None:
        sample = rig.parse_forwarding(FORWARDING, 7.5)
        self.assertEqual(sample, rig.Sample(7.5, 4106112, 17, 4106000, 112, 1214409590, 2.45e9))
        self.assertEqual(sample.since(rig.Sample(5.5, 4000000, 17, 6000, 12, 9590, 2.45e9)),
                         rig.Sample(2, 106112, 0, 4100000, 100, 1214400000, 2.45e9))

    def test_parse_others(self) -> None:
        """Before a frame came there are no cycles; later versions name them otherwise."""
        self.assertEqual(rig.parse_forwarding(FORWARDING.partition("CPU")[0], 1).cycles, 0)
        self.assertEqual(rig.parse_forwarding(FORWARDING.replace("total cycles", "busy cycles"), 1).cycles, 1214409590)
        with self.assertRaisesRegex(ProcessError, "tells no 'RX-packets'"):
            rig.parse_forwarding("Bad arguments", 1)

    def test_devargs(self) -> None:
        for name, eal in (("ours-external", ["-a", f"{rig.FIRST_NIC},rx_extmbuf_enable=1"]), ("ours", [])):
            with mock.patch.object(rig, "Testpmd") as testpmd, mock.patch.object(rig, "find_thread"):
                rig.NetvscRig(rig.SUBJECTS[name], Path("none.log"), "io", "null")
            self.assertEqual(testpmd.call_args.kwargs["eal"], eal)

    def test_rate(self) -> None:
        """Two seconds of 2 GHz, half of which were spent on 4 million frames."""
        host = host_report(busy_ns=9 * 10**8, idle_ns=10**8)
        run = forward.rate(OURS, "io", rig.Sample(2, 4000010, 0, 4000000, 0, 2 * 10**9, 2e9), rig.Sample(2), host, 0.1)
        self.assertEqual((run.mpps, run.cycles, run.missed, run.without_cpu), (2, 500, 0, 0.05))
        self.assertAlmostEqual(run.waited.driver if run.waited else 0, 0.5)
        self.assertAlmostEqual(run.waited.host if run.waited else 0, 0.1)

    def test_rate_of_received(self) -> None:
        """DPDK's driver counts what it throws away among the received; others do not."""
        sample = rig.Sample(1, 4000000, 1000000, 0, 0, 10**9, 2e9)
        for subject, mpps in ((THEIRS, 3), (OURS, 4)):
            self.assertEqual(forward.rate(subject, "rxonly", sample, rig.Sample(1), host_report(), 0).mpps, mpps)
        run = forward.rate(THEIRS, "rxonly", sample, rig.Sample(1), host_report(), 0)
        self.assertEqual((run.missed, run.cycles), (0.25, 250))

    def test_rate_of_sent(self) -> None:
        """What was made in vain tells who waited; the cycles for it are none of the frames' that were sent."""
        def of(refused: int) -> forward.Run:
            sample = rig.Sample(1, 0, 0, 10**6, refused, 10**9, 2e9)
            return forward.rate(OURS, "txonly", sample, rig.Sample(1), host_report(), 0)
        self.assertEqual((of(0).cycles, of(0).waited), (1000, Waits(0, 0)))
        self.assertEqual((of(10**6).cycles, of(10**6).waited), (None, Waits(0.5, 0)))

    def test_rate_of_virtio(self) -> None:
        """There is no report of a host, but a second testpmd."""
        sample = rig.Sample(1, 10**6, 0, 10**6, 0, 10**9, 2e9)
        for mode, peer, waited in (("rxonly", rig.Sample(1, 0, 0, 10**6, 10**6), 0.5),
                                   ("io", rig.Sample(1, 10**6, 0, 10**6, 0, 15 * 10**8, 2e9), 0.25)):
            self.assertEqual(forward.rate(VIRTIO, mode, sample, peer, {}, 0).waited, Waits(0.5, waited))

    def test_nothing_moved(self) -> None:
        run = forward.rate(OURS, "io", rig.Sample(1, 10), rig.Sample(1), host_report(), 0)
        self.assertEqual(run.wrong, ["no frame moved"])


class Checks(harness.Case):
    """What is counted as lost, damaged or reordered."""

    def setUp(self) -> None:
        """No plugin is needed here."""

    def wrong(self, subject: rig.Subject, case: str, found: rig.Totals, refused: int = 0) -> str:
        return "; ".join(forward.check(subject, case, found, refused))

    def test_well(self) -> None:
        for case in ("io/64", "mac/64", "rxonly/64", "txonly/64"):
            self.assertEqual(self.wrong(OURS, case, totals()), "")
        self.assertEqual(self.wrong(OURS, "csum/64", totals(host=host_report(tx_csum=1000))), "")
        self.assertEqual(self.wrong(OURS, "txonly/64", totals(), refused=10**6), "")

    def test_host(self) -> None:
        """What the host sees of damaged, late and missing frames."""
        for change, text in (({"corrupted": 3}, "3 corrupted"), ({"reordered": 2}, "2 reordered"),
                             ({"foreign": 1}, "1 made by nobody"), ({"lost": 4}, "4 lost"),
                             ({"verified": 999}, "999 of 1000 verified"), ({"tx_errors": 1}, "1 tx_errors"),
                             ({"last_error": "bad index"}, "bad index"), ({"protocol_errors": 1}, "1 protocol_errors"),
                             ({"endpoint_sent_bytes": 63999}, "1000 frames of 64 bytes came as 63999 bytes"),
                             ({"endpoint_received_frames": 3000}, "2000 frames did not come back"),
                             ({"endpoint_sent_frames": 999}, "the host got 999 frames, testpmd sent 1000"),
                             ({"rx_frames": 1101}, "the host gave 1101 frames, of which the driver knows 1100")):
            self.assertIn(text, self.wrong(OURS, "io/64", totals(host=host_report(**change))))
        self.assertIn("only 999 of 1000 frames had their checksums made",
                      self.wrong(OURS, "csum/64", totals(host=host_report(tx_csum=999))))

    def test_driver(self) -> None:
        for name in ("RX-errors", "RX-nombuf", "TX-errors"):
            self.assertIn(f"5 {name}", self.wrong(OURS, "io/64", totals(**{name: 5})))
        self.assertIn("7 of the forwarded frames could not be sent", self.wrong(OURS, "io/64", totals(), refused=7))

    def test_missed(self) -> None:
        """What is left in the ring when the port stops is missed, and no loss. What DPDK's driver throws away is one,
        but where more comes than it is asked for."""
        found = totals()
        found.missed_early = 50
        for subject, case, text in ((OURS, "rxonly/64", "50 RX-missed"), (OURS, "io/64", "50 RX-missed"),
                                    (THEIRS, "rxonly/64", ""), (THEIRS, "io/64", "50 RX-missed")):
            self.assertEqual(self.wrong(subject, case, found), text)

    def test_virtio(self) -> None:
        driver = totals().driver

        def of(case: str, received: int, sent: int) -> str:
            return self.wrong(VIRTIO, case, rig.Totals(driver, peer={"RX-packets": received, "TX-packets": sent}))
        self.assertEqual(of("io/64", 1000, 1000 + forward.WINDOW), "")
        self.assertIn("vhost got 999 frames, testpmd sent 1000", of("txonly/64", 999, 0))
        self.assertIn("vhost gave 2000 frames, testpmd got 1000", of("rxonly/64", 0, 2000))


class Rounds(harness.Case):
    def setUp(self) -> None:
        """No plugin is needed here."""
        random.seed(1)

    def test_by_turns(self) -> None:
        """Each driver once a round, in changing order; who fails is not asked again."""
        asked: list[tuple[str, str]] = []

        def run(subject: rig.Subject, case: str) -> forward.Run:
            asked.append((subject.name, case))
            if subject is THEIRS and case == "io/64":
                raise ProcessError("it broke; its last lines (x):\nmore")
            return a_run(3)

        def failed(reason: str) -> forward.Run:
            return forward.Run(wrong=[reason])
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()):
            results = rounds.gather({"io/64": [OURS, THEIRS], "mac/64": [OURS]}, 20, run, failed, forward.Run.told)
        self.assertEqual(results["io/64"]["c"].wrong(), ["it broke"])
        self.assertEqual([len(series.runs) for by_name in results.values() for series in by_name.values()], [20, 1, 20])
        self.assertEqual(asked.count(("c", "io/64")), 1)
        self.assertIn("round 20 of 20: mac/64 ours: 3.00 Mpps", out.getvalue())
        with contextlib.redirect_stdout(io.StringIO()):
            asked.clear()
            rounds.gather({"mac/64": [OURS, THEIRS]}, 20, run, failed, forward.Run.told)
        self.assertEqual({name for name, _ in asked[::2]}, {"ours", "c"})

    def test_ratio(self) -> None:
        """Of the rounds, not of the medians: a machine that is faster for a while is so for both."""
        top = rounds.Series([a_run(mpps) for mpps in (2, 20, 3, 30, 4.4)])
        bottom = rounds.Series([a_run(mpps) for mpps in (1, 10, 1.5, 15, 2)])
        ratio = rounds.ratio_of(top, bottom, lambda run: run.mpps)
        assert ratio
        self.assertEqual((ratio.value, ratio.low, ratio.high), (2, 2, 2.2))
        self.assertEqual((ratio.text(">= "), ratio.times(0.5).text()), (">= 2.00 (2.00-2.20)", "1.00 (1.00-1.10)"))
        few = rounds.ratio_of(rounds.Series(top.runs[:2]), rounds.Series(bottom.runs[:2]), lambda run: run.mpps)
        self.assertEqual(few.text() if few else "", "2.00")
        self.assertIsNone(rounds.ratio_of(top, top, lambda run: run.mpps))
        self.assertIsNone(rounds.ratio_of(top, rounds.Series([forward.Run(wrong=["lost"])]), lambda run: run.mpps))
        self.assertIsNone(rounds.ratio_of(top, bottom, lambda run: None))

    def test_disturbed(self) -> None:
        self.assertEqual(rounds.disturbed([a_run(1), a_run(1, without_cpu=0.01)]), "")
        self.assertIn("1 of 2 runs were disturbed", rounds.disturbed([a_run(1), a_run(1, without_cpu=0.3)]))


class Tool(harness.Case):
    """The commands, with runs that the test makes up."""

    def setUp(self) -> None:
        """No plugin is needed here."""
        folder = tempfile.TemporaryDirectory(prefix="netvsc-bench-")
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.rates = {name: a_run(mpps) for name, mpps in DRIVERS.items()}
        self.times = {name: latency.Run(1000, 1e4 / mpps, 1e5 / mpps, 1e6 / mpps) for name, mpps in DRIVERS.items()}
        for change in (mock.patch.object(machine, "no_hugepages", lambda: ""),
                       mock.patch.object(machine, "cpus", lambda: [0, 1]),
                       mock.patch.object(forward, "use_build", lambda build: None),
                       mock.patch.object(latency, "use_build", lambda build: None),
                       mock.patch.object(forward, "run_once", lambda subject, case, seconds: self.rates[subject.name]),
                       mock.patch.object(latency, "run_once", lambda subject, case, seconds: self.times[subject.name])):
            self.enterContext(change)

    def tool(self, *arguments: str | Path, code: int = 0) -> str:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            try:
                done = main([*map(str, arguments), "--build", str(self.root)])
            except SystemExit as end:  # argparse's
                done = int(str(end))
        self.assertEqual(done, code, out.getvalue())
        return out.getvalue()

    def test_help(self) -> None:
        for name, option in (("forward", "--allow-host-limit"), ("latency", "--seconds")):
            done = subprocess.run([machine.ROOT / "tools/bench", name, "--help"], text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=60)
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertIn(option, done.stdout)

    def test_list(self) -> None:
        every = self.tool("forward", "--list").split()
        self.assertEqual(len(every), 10)
        self.assertEqual(every[:3], ["rxonly/64", "rxonly/1518", "txonly/64"])
        self.assertEqual(self.tool("forward", "--quick", "--list").split(), ["rxonly/64", "txonly/64", "io/64"])
        self.assertEqual(self.tool("forward", "--quick", "--list", "--case", "mac/*").split(), ["mac/64", "mac/1518"])
        self.assertEqual(self.tool("latency", "--list", "--case", "s*").split(), ["sleeping/monitor", "sleeping/kick"])

    def test_wrong_usage(self) -> None:
        for arguments in (["--subject", "nosuch"], ["--case", "nosuch"], ["--rounds", "0"], ["--seconds", "0"],
                          ["--seconds", "x"]):
            for name in ("forward", "latency"):
                self.assertRegex(self.tool(name, *arguments, code=2), "usage: tools/bench")
        self.assertIn("known are ours, c, ours-vdev\n", self.tool("latency", "--subject", "virtio", code=2))

    def test_table(self) -> None:
        text = self.tool("forward", "--rounds", "3", "--case", "io/64", "--json", self.root / "out.json")
        self.assertRegex(text, r"(?m)^case +driver +Mpps +against c +cycles +against c +driver waited +host waited +lim")
        self.assertRegex(text, r"(?m)^io/64 +ours +10.00 +2.00 \(2.00-2.00\) +100 +0.50 \(0.50-0.50\) +2% +40% +driv")
        self.assertRegex(text, r"(?m)^io/64 +c +5.00 +200 +2% +40% +driver$")
        data = json.loads((self.root / "out.json").read_text())
        self.assertEqual((data["instrument"], data["settings"]["reference"]), ("forward", "c"))
        ours = data["cases"]["io/64"]["ours"]
        self.assertEqual((ours["mpps"], ours["limit"]), (10, "driver"))
        self.assertEqual((ours["ratio"]["value"], ours["ratio"]["bound"]), (2, False))
        self.assertEqual([run["waited"] for run in ours["runs"]], [{"driver": 0.02, "host": 0.4}] * 3)
        self.assertNotIn("ratio", data["cases"]["io/64"]["c"])

    def test_host_limit(self) -> None:
        """Then the ratio is a bound, and the command fails unless that is allowed."""
        self.rates["ours"] = a_run(10, driver=0.6, host=0.01)
        self.rates["virtio"] = a_run(9, driver=0.3, host=0.3)
        for arguments, code in (([], 1), (["--allow-host-limit"], 0)):
            text = self.tool("forward", "--quick", "--case", "io/64", *arguments, "--json", self.root / "out.json",
                             code=code)
            self.assertRegex(text, r"(?m)^io/64 +ours +10.00 +>= 1.96 +100 +0.50 +60% +1% +host$")
            self.assertIn("The host was the limit, not the driver: io/64 ours.", text)
            self.assertIn("Driver and host waited for each other: io/64 virtio.", text)
            self.assertEqual("That is a failure" in text, code == 1)
        data = json.loads((self.root / "out.json").read_text())["cases"]["io/64"]
        self.assertEqual((data["ours"]["ratio"]["bound"], data["ours-vdev"]["ratio"]["bound"]), (True, False))
        self.rates["c"] = a_run(5, driver=0.6, host=0.01)
        text = self.tool("forward", "--quick", "--case", "io/64", code=1)
        self.assertRegex(text, r"(?m)^io/64 +ours +10.00 +>= 0.80 +100")
        self.assertRegex(text, r"(?m)^io/64 +ours-vdev +11.00 +>= 0.88 ")

    def test_failed(self) -> None:
        """Lost frames fail the command, whatever is allowed; the others' numbers are there all the same."""
        self.rates["ours"] = a_run(10, wrong=["4 lost"])
        self.rates["c"] = a_run(5, missed=0.75)
        text = self.tool("forward", "--quick", "--case", "rxonly/64", "--allow-host-limit", "--json",
                         self.root / "out.json", code=1)
        self.assertRegex(text, r"(?m)^rxonly/64 +ours +FAILED +4 lost$")
        self.assertRegex(text, r"(?m)^rxonly/64 +c +5.00 .* driver +75% of the frames thrown away$")
        data = json.loads((self.root / "out.json").read_text())["cases"]["rxonly/64"]["ours"]
        self.assertEqual((data["runs"][0]["wrong"], "mpps" in data), (["4 lost"], False))

    def test_reference(self) -> None:
        """Without DPDK's driver, others are compared with the first."""
        text = self.tool("forward", "--quick", "--case", "io/64", "--subject", "virtio", "--subject", "ours")
        self.assertRegex(text, r"(?m)^case.* against virtio ")
        self.assertRegex(text, r"(?m)^io/64 +ours +10.00 +1.11 ")

    def test_left_out(self) -> None:
        with mock.patch.object(machine, "no_hugepages", lambda: "no pages here"):
            text = self.tool("forward", "--quick", "--case", "io/64")
            self.assertEqual(re.findall(r"left out: (\S+) \(no pages here\)", text), ["ours", "ours-external", "c", "virtio"])
            self.assertRegex(text, r"(?m)^io/64 +ours-vdev +11.00")
            self.assertIn("no driver can be measured here", self.tool("latency", "--subject", "c", code=1))
        with mock.patch.object(machine, "cpus", lambda: [0]):
            self.assertIn("there is only one", self.tool("latency", code=1))

    def test_latency(self) -> None:
        """Nanoseconds become µs. DPDK's driver needs a monitor page."""
        text = self.tool("latency", "--rounds", "3", "--json", self.root / "out.json")
        self.assertRegex(text, r"(?m)^polling +ours +1.00 +0.50 \(0.50-0.50\) +10.00 +0.50 .* 100.00 +0.50 .* 3000$")
        self.assertRegex(text, r"(?m)^polling +c +2.00 +20.00 +200.00 +3000$")
        kicked = re.findall(r"(?m)^sleeping/kick +(\S+) +(\S+)", text)
        self.assertEqual(kicked, [("ours", "1.00"), ("ours-vdev", "0.91")])
        data = json.loads((self.root / "out.json").read_text())
        self.assertEqual(data["cases"]["polling"]["c"]["runs"][0]["p99"], 20000)

    def test_latency_failed(self) -> None:
        self.times["c"] = latency.result(host_report(endpoint_rtt_count=0, endpoint_rtt_p50_ns=0, endpoint_rtt_p99_ns=0,
                                                     endpoint_rtt_p999_ns=0))
        text = self.tool("latency", "--quick", "--case", "polling", code=1)
        self.assertRegex(text, r"(?m)^polling +c +FAILED +the host timed no round trip$")
        self.assertRegex(text, r"(?m)^polling +ours +1.00 +10.00")

    def test_endpoints(self) -> None:
        options = argparse.Namespace(quick=False, case=[])
        for case in forward.list_cases(options):
            mode, _, size = case.partition("/")
            spec = forward.endpoint(mode, int(size))
            self.assertEqual(spec == "null", mode == "txonly")
            self.assertEqual(":window=" in spec, mode not in ("rxonly", "txonly"))
        self.assertEqual({name: case.endpoint() for name, case in latency.CASES.items()},
                         {"polling": "generator:size=64:window=1",
                          "sleeping/monitor": "generator:size=64:window=1:rate=5000",
                          "sleeping/kick": "generator:size=64:window=1:rate=5000"})


class Real(harness.Case):
    """The real thing, for an instant: what is measured is of no interest here, but all frames are accounted for."""

    def setUp(self) -> None:
        super().setUp()
        self.need(machine.no_hugepages(), "" if len(machine.cpus()) > 1 else "needs two CPUs",
                  "nothing to be measured with a sanitizer" if os.environ.get("NETVSC_PRELOAD") else "")
        if not (machine.BUILD / "test/c-driver/libc_driver_help.so").is_file():
            self.skipTest("the library for DPDK's driver is not built")

    def tool(self, *arguments: str) -> dict[str, Any]:
        """@return what it says by --json of its cases"""
        with tempfile.TemporaryDirectory(prefix="netvsc-bench-") as folder:
            out = Path(folder) / "out.json"
            command = [sys.executable, "-m", "netvsc_tools.bench", *arguments, "--build", str(machine.BUILD),
                       "--rounds", "1", "--seconds", "0.2", "--json", str(out)]
            done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
                                  env={**os.environ, "PYTHONPATH": str(machine.ROOT / "tools"),
                                       "NETVSC_LOGS": str(machine.LOGS)})
            self.assertEqual(done.returncode, 0, done.stdout)
            cases: dict[str, Any] = json.loads(out.read_text())["cases"]
            return cases

    def forward(self, subjects: list[str], *cases: str) -> None:
        wanted = [part for case in cases for part in ("--case", case)] + [part for name in subjects for part in ("--subject", name)]
        for case, by_name in self.tool("forward", "--allow-host-limit", *wanted).items():
            self.assertEqual(list(by_name), subjects)
            for name, found in by_name.items():
                self.assertGreater(found["mpps"], 0, f"{case} {name}")
                self.assertEqual(found["runs"][0]["wrong"], [])

    def test_forward(self) -> None:
        self.forward(list(rig.SUBJECTS), "txonly/64", "csum/1518")

    def test_receive(self) -> None:
        """Without DPDK's driver, which may throw everything away for so short a time."""
        self.forward([name for name in rig.SUBJECTS if name != "c"], "rxonly/64")

    def test_latency(self) -> None:
        for case, by_name in self.tool("latency").items():
            for name, found in by_name.items():
                run = found["runs"][0]
                self.assertGreater(run["count"], 100, f"{case} {name}")
                self.assertGreater(run["p50"], 100)
                self.assertLessEqual(run["p50"], run["p999"])


harness.main(__name__)
