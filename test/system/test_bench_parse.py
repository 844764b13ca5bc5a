#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What tools/bench reads and writes: callgrind's profiles, Google Benchmark's results, tables, plots, the report."""
import json
import re
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from netvsc_tools import harness  # noqa: E402
from netvsc_tools.bench import callgrind, history, micro, page, plots, pmd, surroundings  # noqa: E402
from netvsc_tools.bench.instrument import WrongUsage, chosen  # noqa: E402
from netvsc_tools.bench.program import Measured  # noqa: E402
from netvsc_tools.process import ProcessError  # noqa: E402

PROFILE = """\
# callgrind format
version: 1
creator: callgrind-3.19.0
pid: 9166
cmd:  build/bench/pmd --case rx/64 --samples 1 --steps 20
part: 1


desc: I1 cache: 
desc: D1 cache: 
desc: LL cache: 

desc: Timerange: Basic block 0 - 26490474
desc: Trigger: Client Request: rx/64

positions: line
events: Ir
summary: 842840


fl=(1) rxtx.cpp
fn=(1) receive
16 843000

totals: 843000
"""
LAST = PROFILE.replace("Client Request: rx/64", "Program termination").replace("843000", "999")


class Plain(harness.Case):
    def setUp(self) -> None:
        """No plugin is needed here."""
        folder = tempfile.TemporaryDirectory(prefix="netvsc-bench-")
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)


class Callgrind(Plain):
    def test_parse(self) -> None:
        self.assertEqual(callgrind.parse(PROFILE), ("rx/64", 843000))
        self.assertEqual(callgrind.parse(LAST), ("", 999))
        more = PROFILE.replace("events: Ir", "events: Dr Ir Dw").replace("totals: 843000", "totals: 1 2 3")
        self.assertEqual(callgrind.parse(more), ("rx/64", 2))

    def test_no_profile(self) -> None:
        for text in ("", PROFILE.replace("totals:", "sums:"), PROFILE.replace("events: Ir", "events: Dr"),
                     PROFILE.replace("totals: 843000", "totals: many")):
            with self.assertRaises(ProcessError):
                callgrind.parse(text)

    def test_counts(self) -> None:
        """Each case once, parts of one added, and not what was counted when the program ended."""
        for name, text in (("callgrind.out", LAST), ("callgrind.out.1", PROFILE),
                           ("callgrind.out.2", PROFILE.replace("rx/64", "tx/64/a+b")),
                           ("callgrind.out.3", PROFILE.replace("843000", "1000")), ("other", "")):
            (self.root / name).write_text(text)
        self.assertEqual(callgrind.counts(self.root), {"rx/64": 844000, "tx/64/a+b": 843000})


def repetition(name: str, rate: float = 0, **more: Any) -> dict[str, Any]:
    rates = {"items_per_second": rate} if rate else {}
    return {"name": name, "run_name": name, "run_type": "iteration", **rates, **more}


class Micro(Plain):
    def test_parse(self) -> None:
        entries = [repetition("thing/64", 1e9), repetition("thing/64", 2e8), repetition("thing/64", 5e8),
                   {**repetition("thing/64"), "run_type": "aggregate", "aggregate_name": "mean"},
                   repetition("whole/64", cpu_time=1.5, time_unit="us"),
                   repetition("bad/64", error_occurred=True, error_message="no room")]
        results: dict[str, micro.Result] = {}
        micro.parse(json.dumps({"benchmarks": entries}), results)
        self.assertEqual(results["thing/64"], micro.Result([1, 5, 2]))
        self.assertEqual(results["whole/64"], micro.Result([1500]))
        self.assertEqual(results["bad/64"].error, "no room")

    def test_siblings(self) -> None:
        names = ["thing/64", "thing_floor/64", "thing_plain/64", "thing_floor/128", "copy_floor/64", "write_floor/64"]
        for case, kind, other in (("thing/64", "floor", "thing_floor/64"), ("thing/64", "plain", "thing_plain/64"),
                                  ("thing/256", "floor", ""), ("copy_frame/64", "floor", "copy_floor/64"),
                                  ("receive/64", "plain", ""), ("write_ring/64", "floor", "write_floor/64"),
                                  ("read_ring/64", "floor", "")):
            self.assertEqual(micro.sibling(case, kind, names), other)

    def test_row(self) -> None:
        results = {"thing/64": micro.Result([6.0]), "thing_floor/64": micro.Result([2.0]),
                   "thing_plain/64": micro.Result([], "broken"), "bad/64": micro.Result([], "no room")}
        self.assertEqual(micro.row("thing/64", results), ["thing/64", "6.00", "2.00", "3.00", "", ""])
        self.assertEqual(micro.row("bad/64", results), ["bad/64", "FAILED: no room", "", "", "", ""])


class Tables(Plain):
    def test_chosen(self) -> None:
        names = ["rx/64", "rx/64/burst1", "tx/64"]
        self.assertEqual(chosen(names, []), names)
        self.assertEqual(chosen(names, ["rx/64"]), ["rx/64"])
        self.assertEqual(chosen(names, ["rx*", "tx/6?"]), names)

    def test_pmd(self) -> None:
        """Ratios of neighbouring samples, an interval from three rounds on, and why a cell is empty."""
        results: pmd.Results = {case: {"ours": pmd.Series(), "c": pmd.Series()} for case in ("rx/64", "tx/64")}
        for _ in range(3):
            results["rx/64"]["ours"].add(Measured(cycles=[50, 100], floor=[10, 10]))
            results["rx/64"]["c"].add(Measured(cycles=[100, 200]))
        results["rx/64"]["ours"].add(Measured(cycles=[1], instructions=150))
        results["tx/64"]["ours"].add(Measured(unsupported="too small"))
        results["tx/64"]["c"].add(Measured(error="frames are missing"))
        cycles, instructions = re.findall(r"(?<=-\n).*?(?=\n\n|$)", pmd.tables(results, ["ours", "c"], True), re.S)
        self.assertEqual(cycles.splitlines()[0].split(), ["rx/64", "75.0", "150.0", "2.00", "(2.00-2.00)", "7.50"])
        self.assertEqual(cycles.splitlines()[1].split(), ["tx/64", "-", "FAILED"])
        self.assertEqual(instructions.splitlines()[0].split(), ["rx/64", "150.0", "-"])
        self.assertEqual(pmd.remarks(results), ["ours: too small: tx/64", "c: FAILED: frames are missing: tx/64"])


class Surroundings(Plain):
    def test_differences(self) -> None:
        names = {"cpu": "CPU", "cores": "number of CPUs"}
        here = {"cpu": "EPYC 7 of AMD", "cores": 2}
        self.assertEqual(surroundings.differences(here, dict(here), names), [])
        for there, wanted in (({"cpu": "EPYC 9 of AMD", "cores": 4}, ["CPU (7; 9)", "number of CPUs (2; 4)"]),
                              ({"cpu": "EPYC 7 of AMD"}, ["number of CPUs (2; unknown)"])):
            self.assertEqual(surroundings.differences(here, there, names), wanted)
        self.assertEqual(len(surroundings.differences({}, {}, names)), 2, "what is not known may differ")

    def test_provenance(self) -> None:
        (self.root / "build/meson-info").mkdir(parents=True)
        (self.root / "build/drivers").mkdir()
        targets = [{"name": "other", "target_sources": [{"parameters": ["-O0"]}]},
                   {"name": "rte_net_netvsc", "target_sources": [{"parameters": ["-I/a", "-Wall", "-O3", "-g"]}]}]
        (self.root / "build/meson-info/intro-targets.json").write_text(json.dumps(targets))
        plugin = self.root / "build/drivers/x.so"
        plugin.write_bytes(b"\x7fELF\0" + 2 * b"GCC: (Debian 12.2.0-14) 12.2.0\0" + b"Debian clang version 14.0.6\0")
        made = surroundings.provenance(plugin)
        self.assertEqual(made["compiler"], "Debian clang version 14.0.6, GCC: (Debian 12.2.0-14) 12.2.0")
        self.assertEqual((made["flags"], made["commit"], made["dirty"]), ("-O3 -g", "", False))

    def test_machine(self) -> None:
        here = surroundings.machine_here()
        self.assertTrue(all(here.values()), here)


class Page(HTMLParser):
    """Finds what is not closed, and what would come from elsewhere."""

    VOID = ("meta", "circle", "line", "rect", "polyline")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.seen: list[str] = []
        self.text = ""
        self.feed(text)
        self.wrong += [f"<{tag}> is not closed" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        self.wrong += [f"<{tag} {name}={value}>" for name, value in attrs
                       if name in ("src", "href") or name.startswith("on") or "url(" in (value or "")]
        self.wrong += ["<script>"] if tag == "script" else []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in self.VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self.text += data


def comparison() -> dict[str, Any]:
    """As regress writes it: two sizes, one case too many, and one left out."""
    side = {"name": "<new> & base", "made": {"commit": "0123456789abcdef", "dirty": True, "compiler": "GCC"},
            "where": {"cpu": "EPYC", "cores": 2, "kernel": "6.1", "dpdk": "22.11", "libc": "glibc", "devices": "uio"}}
    pairs = [[[100, 101], [100, 102 + i]] for i in range(10)]
    case = {"aa": pairs, "ab": pairs, "instructions": {"base": 200, "new": 201},
            "verdict": {"base": 100, "new": 102, "threshold": 0.02, "state": "same"}}
    empty = {"aa": [], "ab": [], "instructions": {"base": None, "new": None},
             "verdict": {"base": 0, "new": 0, "threshold": 0, "state": "left out"}}
    return {"time": "2026-01-02T03:04:05Z", "sides": {"base": side, "new": side},
            "cases": {"rx/64": case, "rx/1518": case, "rx/64/burst1": case, "tx/64": empty}}


class Html(Plain):
    def made(self, data: dict[str, Any], past: list[dict[str, Any]]) -> Page:
        rows = [["rx/64", "slower: <cycles>"], ["tx/64", "left out"]]
        text = page.page(data, ["One & only."], ["case", "result"], rows, past)
        self.assertTrue(text.startswith("<!DOCTYPE html>"))
        self.assertNotIn("https:", text)
        found = Page(text)
        self.assertEqual(found.wrong, [])
        return found

    def test_page(self) -> None:
        data = comparison()
        elsewhere = {**history.entry(data), "where": {"cpu": "other"}}
        past = [history.entry(data), elsewhere, history.entry(data)]
        found = self.made(data, past)
        # Ratios, sizes of rx, and cycles and instructions of three cases.
        self.assertEqual(found.seen.count("svg"), 1 + 1 + 6)
        # Each case has 10 ratios of either sort; two sizes have two sides; six trends have two runs.
        self.assertEqual(found.seen.count("circle"), 3 * 20 + 4 + 6 * 2)
        for text in ("One & only.", "slower: <cycles>", "<new> & base", "0123456789ab and changes", "1 more runs in"):
            self.assertIn(text, found.text)

    def test_page_without_anything(self) -> None:
        data = comparison()
        data["cases"] = {"tx/64": data["cases"]["tx/64"]}
        self.assertEqual(self.made(data, []).seen.count("svg"), 0)

    def test_ticks(self) -> None:
        for low, high, wanted in ((0, 100, [0, 20, 40, 60, 80, 100]), (0, 7, [0, 2, 4, 6]),
                                  (-0.05, 0.05, [-0.04, -0.02, 0, 0.02, 0.04])):
            self.assertEqual([round(tick, 9) for tick in plots.ticks(low, high)], wanted)

    def test_history(self) -> None:
        path = self.root / "history.jsonl"
        self.assertEqual(len(history.append(path, comparison())), 1)
        entries = history.append(path, comparison())
        self.assertEqual([json.loads(line) for line in path.read_text().splitlines()], entries)
        self.assertEqual(entries[1]["cases"]["rx/64"], {"cycles": 102, "instructions": 201, "state": "same"})
        self.assertEqual(entries[1]["cases"]["tx/64"], {"cycles": None, "instructions": None, "state": "left out"})
        path.write_text('{"other": 1}\n')
        with self.assertRaises(WrongUsage):
            history.append(path, comparison())


class Memory(Plain):
    def test_of_most_queues(self) -> None:
        results = {"rx/64": {"a": pmd.Series(), "b": pmd.Series()},
                   "rx/64/queues4": {"a": pmd.Series(queue_bytes=4096), "b": pmd.Series()},
                   "rx/64/queues16": {"a": pmd.Series(queue_bytes=2048), "b": pmd.Series()}}
        self.assertEqual(pmd.memory(results), ["memory of DPDK's heap for a queue in rx/64/queues16: a 2 KiB"])
        self.assertEqual(pmd.memory({"rx/64": {"a": pmd.Series()}}), [])


harness.main(__name__)
