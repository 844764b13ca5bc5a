#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""tools/bench regress, with drivers that are as slow and as noisy as the test wants."""
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from bench_case import BenchCase  # noqa: E402
from netvsc_tools import harness, machine  # noqa: E402
from netvsc_tools.bench import program, regress, sides  # noqa: E402
from netvsc_tools.bench.program import Effort  # noqa: E402

FEW, PAIRS = Effort(5, 8), 5  # the fake's drivers scatter little


class RegressCase(BenchCase):
    """BASE is a build folder of its own, NEW the one that measures."""

    def setUp(self) -> None:
        super().setUp()
        self.base = self.root / "base"
        self.flags(self.base, "-O3")
        self.driver(self.base)
        for change in (mock.patch.object(regress, "CASES", ("rx/64", "tx/64")), mock.patch.object(regress, "FULL", FEW),
                       mock.patch.object(regress, "FEWEST", PAIRS)):
            self.enterContext(change)

    def regress(self, *arguments: str | Path, code: int = 0) -> str:
        return self.run_tool("regress", "--build", self.build, "--pairs", str(PAIRS), *arguments, code=code)

    def report(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads((self.root / "out.json").read_text())
        return data


class Verdicts(RegressCase):
    def test_same(self) -> None:
        text = self.regress(self.base, "--json", self.root / "out.json")
        self.assertIn(f"new against {self.base}: not slower (2 same)", text)
        self.assertRegex(text, r"(?m)^rx/64 +\d+\.\d +\d+\.\d +[+-]\d\.\d% \(.*\) +2.0% +[01]\.\d{3} +200.0 \+0.0% "
                               r"+same$")
        data = self.report()
        self.assertEqual(data["instrument"], "regress")
        self.assertEqual(data["settings"], {"pairs": PAIRS, "samples": 5, "steps": 8})
        case = data["cases"]["tx/64"]
        self.assertEqual([len(case["aa"]), len(case["ab"]), len(case["ab"][0][1])], [PAIRS, PAIRS, 5])
        self.assertEqual((case["instructions"], case["verdict"]["state"]), ({"base": 200, "new": 200}, "same"))
        self.assertEqual(data["sides"]["new"]["made"]["flags"], "-O3")

    def test_slower(self) -> None:
        """Both sides by the same program, whatever lies beside the drivers."""
        slow = self.driver(self.root / "slow", cycles=105)
        plain = self.driver(self.root / "plain")
        text = self.regress("--plugin-base", plain, "--plugin-new", slow, code=1)
        self.assertRegex(text, r"(?m)^tx/64 .* slower: cycles$")
        self.assertIn("SLOWER (2 slower)", text)

    def test_more_instructions(self) -> None:
        """They tell however noisy the machine is."""
        self.driver(self.base, scatter=0.2)
        self.driver(self.build, instructions=203, scatter=0.2)
        with mock.patch.object(regress, "MORE", 1):
            self.assertRegex(self.regress(self.base, code=1), r"(?m)^rx/64 .* 200.0 \+1.5% +slower: instructions$")

    def test_handicap(self) -> None:
        """The same driver twice, and once the program wastes 20 instructions for each frame."""
        text = self.regress(self.build, "--handicap", "20", code=1)
        self.assertRegex(text, r"(?m)^rx/64 .* 200.0 \+10.0% +slower: cycles and instructions$")
        self.assertIn("new with 20 instructions more against", text)

    def test_noisy(self) -> None:
        """With noise of one case, it is measured more often, and then it is not known whether it is slower."""
        self.driver(self.base, scatter=0.15)
        self.driver(self.build, scatter=0.15)
        text = self.regress(self.base, "--json", self.root / "out.json", code=3)
        self.assertIn("calibration, noisy cases: pair 10 of 10, 2 cases", text)
        self.assertIn("comparison: pair 15 of 15, 2 cases", text)
        self.assertRegex(text, r"Too noisy: of rx/64, tx/64 a change of 5% could have been missed")
        self.assertIn("INCONCLUSIVE (2 noisy)", text)
        self.assertEqual(len(self.report()["cases"]["rx/64"]["aa"]), 3 * PAIRS)

    def test_more_cases(self) -> None:
        text = self.regress(self.base, "--case", "*external")
        self.assertIn("(4 same)", text)
        self.assertEqual(self.regress("--list", "--case", "io/64").split(), ["rx/64", "tx/64", "io/64"])

    def test_lost_frames(self) -> None:
        self.driver(self.build, error={"tx/64": "frames are missing"})
        self.assertIn("tx/64 failed with new: frames are missing", self.regress(self.base, code=1))

    def test_unsupported(self) -> None:
        """What the base cannot do is left out; what only the new one cannot do is a failure."""
        self.driver(self.base, unsupported={"tx/64": "too old"})
        text = self.regress(self.base)
        self.assertRegex(text, rf"(?m)^tx/64 +left out: {self.base}: too old$")
        self.assertIn("not slower (1 same, 1 left out)", text)
        self.assertIn(f"tx/64: {self.build} can do it, but not {self.base}: too old",
                      self.regress(self.build, self.base, code=1))
        self.driver(self.base, unsupported={"tx/64": "too old", "rx/64": "too old"})
        self.assertIn("INCONCLUSIVE (2 left out)", self.regress(self.base, code=3))

    def test_no_hugepages(self) -> None:
        """Vdevs then, for both sides."""
        self.script("uio-host", "#!/bin/sh\nexit 1\n")
        self.driver(self.build, error={"tx/64": "frames are missing"})
        with mock.patch.object(machine, "no_hugepages", lambda: "no pages here"):
            self.assertIn("tx/64 failed with new: frames are missing", self.regress(self.base, code=1))

    def test_no_valgrind(self) -> None:
        with mock.patch.object(program.shutil, "which", lambda _: None):
            self.assertIn("valgrind is not installed", self.regress(self.base, code=1))

    def test_world_writable(self) -> None:
        with mock.patch.object(machine, "bad_place", lambda path: f"{path} is for everybody"):
            self.assertIn("is for everybody", self.regress(self.base, code=1))


class Usage(RegressCase):
    def test_wrong_usage(self) -> None:
        plugin = self.driver(self.root / "other")
        text = self.root / "text"
        text.write_text("no JSON")
        other = self.root / "other.json"
        other.write_text('{"instrument": "pmd", "schema": 1}')
        for arguments, said in (([], "want BASE"), ([self.base, "--plugin-base", plugin], "name the same side"),
                                ([self.base, self.base, "--plugin-new", plugin], "name the same side"),
                                ([self.root], "there is no"), (["nosuch-revision"], "no revision of this repository"),
                                (["--plugin-base", self.root / "nosuch.so"], "there is no"),
                                ([self.base, "--pairs", "4"], "want 5 or more"),
                                ([self.base, "--case", "nosuch"], "no case is named"),
                                ([text], "is no stored baseline"), ([other], "is of pmd"),
                                ([self.base, self.base, "--save", text], "BASE alone")):
            self.assertIn(said, self.regress(*arguments, code=2))

    def test_program(self) -> None:
        """What the program itself says where nothing needs to be measured for it."""
        done = subprocess.run([sys.executable, "-m", "netvsc_tools.bench", "regress", "--build", self.build,
                               "--pairs", "1", "x"], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=60, cwd=machine.ROOT / "tools")
        self.assertEqual(done.returncode, 2, done.stdout)


class Baseline(RegressCase):
    """Of one driver, measured once for all of these."""

    text = ""

    def setUp(self) -> None:
        super().setUp()
        self.stored = self.root / "stored.json"
        if not self.text:
            said = self.regress(self.base, "--save", self.stored)
            self.assertIn(f"{self.base} is stored in {self.stored}; quiet enough for all cases", said)
            type(self).text = self.stored.read_text()
        self.stored.write_text(self.text)
        (self.build / "bench/processes").write_bytes(b"." * 100)  # what scatters does it otherwise than then

    def test_same(self) -> None:
        before = self.processes()
        text = self.regress(self.stored)
        self.assertIn("not slower (2 same)", text)
        self.assertIn("measured at another time", text)
        self.assertEqual(self.processes() - before, 1 + PAIRS, "one to count, the others to measure")

    def processes(self) -> int:
        """How many there were."""
        return (self.build / "bench/processes").stat().st_size

    def test_slower(self) -> None:
        self.driver(self.build, cycles=106)
        self.assertRegex(self.regress(self.stored, code=1), r"(?m)^rx/64 .* slower: cycles$")

    def test_two_stored(self) -> None:
        """Then nothing is run."""
        self.driver(self.base, cycles=106)
        other = self.root / "other.json"
        self.regress(self.base, "--save", other)
        before = self.processes()
        self.assertIn("SLOWER (2 slower)", self.regress(self.stored, other, code=1))
        self.assertIn("not slower (2 faster)", self.regress(other, self.stored))
        self.assertEqual(self.processes(), before)

    def change(self, **where: Any) -> None:
        """As if it had been stored elsewhere."""
        data = json.loads(self.stored.read_text())
        data["sides"]["base"]["where"].update(where)
        self.stored.write_text(json.dumps(data))

    def test_other_machine(self) -> None:
        """Only instructions are compared, and said so."""
        self.change(cpu="another one")
        self.driver(self.build, cycles=150)
        text = self.regress(self.stored, "--json", self.root / "out.json")
        self.assertRegex(text, r"Only instructions are compared, .* not equal: CPU \(another one; .*\)\.")
        self.assertRegex(text, r"(?m)^rx/64 +200.0 \+0.0% +same$")
        self.assertEqual(self.report()["cases"]["rx/64"]["ab"], [])
        self.driver(self.build, instructions=203)
        self.assertRegex(self.regress(self.stored, code=1), r"(?m)^rx/64 +200.0 \+1.5% +slower: instructions$")

    def test_other_compiler(self) -> None:
        """Then nothing is comparable."""
        self.driver(self.build, compiler="GCC: (Debian 13.1.0-1) 13.1.0")
        text = self.regress(self.stored, code=3)
        self.assertRegex(text, r"Nothing can be compared, .* not equal: compiler \(12.2.0-14\) 12.2.0; 13.1.0-1\) 13.1")
        self.driver(self.build)
        self.flags(self.build, "-O3", "-flto")
        self.assertIn("compiler's flags (nothing more; -flto)", self.regress(self.stored, code=3))

    def test_other_devices(self) -> None:
        self.change(devices="vdev")
        self.assertIn("devices (vdev; uio)", self.regress(self.stored, code=3))

    def test_other_effort(self) -> None:
        with mock.patch.object(regress, "FULL", Effort(6, 8)):
            self.assertIn("effort (5; 6)", self.regress(self.stored))

    def test_case_that_is_not_stored(self) -> None:
        text = self.regress(self.stored, "--case", "io/64")
        self.assertRegex(text, rf"(?m)^io/64 +left out: not in {self.stored}$")


class Reports(RegressCase):
    def test_history_and_html(self) -> None:
        history, html = self.root / "history.jsonl", self.root / "report.html"
        history.write_text('{"time": "", "commit": "", "dirty": false, "where": {}, "cases": {}}\n')
        self.regress(self.base, "--history", history, "--html", html)
        lines = history.read_text().splitlines()
        self.assertEqual(len(lines), 2)
        self.assertEqual(json.loads(lines[1])["cases"]["rx/64"]["instructions"], 200)
        text = html.read_text()
        # Ratios; sizes of rx and tx; cycles and instructions of two cases.
        self.assertEqual(text.count("<svg"), 1 + 2 + 4)
        self.assertIn(f"new against {self.base}: not slower", text)


class Revisions(BenchCase):
    """A repository with one commit, and a build that is only noted."""

    def setUp(self) -> None:
        super().setUp()
        self.repository = self.root / "repository"
        self.repository.mkdir()
        (self.repository / "meson.build").write_text("one\n")
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        for command in (["init", "-q", "-b", "main"], ["add", "."], [*identity, "commit", "-qm", "one"]):
            subprocess.run(["git", *command], cwd=self.repository, check=True, stdout=subprocess.DEVNULL)
        self.enterContext(mock.patch.object(machine, "ROOT", self.repository))
        self.enterContext(mock.patch.object(sides, "FOLDER", self.repository / "build-bench"))
        self.enterContext(mock.patch.object(sides, "build", lambda folder, *_: self.driver(folder)))
        (self.build / "dpdk-headers").mkdir()
        (self.build / "dpdk-headers/version").write_text("22.11\n")

    def test_build(self) -> None:
        """Its sources are checked out, built, and kept; headers that the program's build has are not fetched again."""
        commit = sides.commit_of("main")
        self.assertRegex(commit, "^[0-9a-f]{40}$")
        self.assertEqual(sides.commit_of("nosuch"), "")
        for _ in range(2):
            side = sides.resolve("main", self.build, {"devices": "uio"})
        folder = self.repository / "build-bench/regress" / commit[:12]
        self.assertEqual((folder / "source/meson.build").read_text(), "one\n")
        self.assertEqual((folder / "build/dpdk-headers/version").read_text(), "22.11\n")
        assert side.subject
        self.assertEqual(side.subject.plugin, folder / "build/drivers/librte_net_netvsc.so")

    def test_sources_that_were_removed(self) -> None:
        """As by somebody who removes the folder: git still knows of it."""
        commit = sides.commit_of("main")
        sides.build_revision(commit, self.build)
        shutil.rmtree(self.repository / "build-bench")
        self.assertTrue((sides.build_revision(commit, self.build).parent / "source/meson.build").is_file())


harness.main(__name__)
