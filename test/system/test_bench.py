#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""tools/bench, with programs in the place of the real ones that print what the test wants."""
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from bench_case import BenchCase  # noqa: E402
from netvsc_tools import harness, machine  # noqa: E402
from netvsc_tools.bench import cli, program  # noqa: E402

MICRO = """\
#!/bin/sh
for argument; do
    case $argument in
        --benchmark_list_tests=true) printf 'thing/64\\nthing_floor/64\\nlonely/64\\n'; exit ;;
        --benchmark_filter=*) echo "${argument#*=}" > "$0.filter" ;;
        --benchmark_out=*) out=${argument#*=} ;;
    esac
done
cp "$0.json" "$out"
"""


def micro_results(**times: float) -> str:
    """One time of each; 0: it failed."""
    entries = []
    for name, ns in times.items():
        result = {"items_per_second": 1e9 / ns} if ns else {"error_occurred": True, "error_message": "no room"}
        entries.append({"run_name": f"{name}/64", "run_type": "iteration", **result})
    return json.dumps({"benchmarks": entries})


class CommandLine(BenchCase):
    def test_help(self) -> None:
        """By the command itself, which installs nothing for that; and of each instrument."""
        done = subprocess.run([machine.ROOT / "tools/bench", "--help"], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout)
        for text in (done.stdout, *(self.run_tool(name, "--help") for name in cli.instruments())):
            self.assertIn("usage: tools/bench", text)
            self.assertIn("2 wrong usage", " ".join(text.split()))

    def test_wrong_usage(self) -> None:
        for arguments in ([], ["nosuch"], ["pmd", "--nosuch"], ["micro", "--rounds", "x"]):
            self.assertIn("usage: tools/bench", self.run_tool(*arguments, code=2))
        for arguments in (["pmd", "--case", "nosuch"], ["pmd", "--subject", "nosuch"],
                          ["pmd", "--subject", "x=/nosuch"], ["pmd", "--json", "/nosuch/file"],
                          ["pmd", "--subject", "ours", "--subject", "ours"]):
            self.assertRegex(self.run_tool(*arguments, "--build", self.build, code=2), "tools/bench.*: error: ")

    def test_not_built(self) -> None:
        for name in ("micro", "pmd"):
            self.assertIn("is not built", self.run_tool(name, "--build", self.root, code=1))

    def test_instruments_that_are_there(self) -> None:
        there = {path.stem for path in (machine.ROOT / "tools/netvsc_tools/bench").glob("*.py")}
        self.assertEqual(list(cli.instruments()), [name for name in cli.INSTRUMENTS if name in there])

    def test_build(self) -> None:
        """Without --build, a folder of its own is brought up to date."""
        with mock.patch.object(cli, "FOLDER", self.build), mock.patch.object(cli, "build") as build:
            self.run_tool("pmd", "--list")
        build.assert_called_once_with(self.build, ["--buildtype=release"], ("pmd", "rte_net_netvsc", "uio_host"))


class Micro(BenchCase):
    def setUp(self) -> None:
        super().setUp()
        self.script("build/bench/micro", MICRO)
        self.results = self.build / "bench/micro.json"

    def test_table(self) -> None:
        self.results.write_text(micro_results(thing=6, thing_floor=2, lonely=5))
        text = self.run_tool("micro", "--build", self.build, "--rounds", "2", "--json", self.root / "out.json")
        self.assertRegex(text, r"(?m)^thing/64 +6.00 +2.00 +3.00$")
        self.assertRegex(text, r"(?m)^lonely/64 +5.00$")
        self.assertNotRegex(text, r"(?m)^thing_floor")
        data = json.loads((self.root / "out.json").read_text())
        self.assertEqual((data["schema"], data["instrument"], data["cases"]["thing/64"]), (1, "micro", {"ns": [6, 6]}))
        self.assertTrue(data["machine"]["cpu"])

    def test_case(self) -> None:
        """What a case is compared with is measured along."""
        self.results.write_text(micro_results(thing=6, thing_floor=2))
        text = self.run_tool("micro", "--build", self.build, "--case", "thing/*")
        self.assertEqual((self.build / "bench/micro.filter").read_text(), "^(thing/64|thing_floor/64)$\n")
        self.assertNotIn("lonely", text)
        self.assertEqual(self.run_tool("micro", "--build", self.build, "--list", "--case", "l*"), "lonely/64\n")

    def test_failed(self) -> None:
        self.results.write_text(micro_results(thing=0, thing_floor=2, lonely=5))
        self.assertIn("FAILED: no room", self.run_tool("micro", "--build", self.build, code=1))

    def test_missing(self) -> None:
        self.results.write_text(micro_results(thing=6, thing_floor=2))
        self.assertIn("there is no result of lonely/64", self.run_tool("micro", "--build", self.build, code=1))


class Pmd(BenchCase):
    def pmd(self, *arguments: str | Path, code: int = 0) -> str:
        return self.run_tool("pmd", "--build", self.build, *arguments, code=code)

    def test_list(self) -> None:
        self.assertEqual(self.pmd("--list", "--case", "rx/64*").split(), ["rx/64", "rx/64/burst1", "rx/64/external"])

    def test_ratios(self) -> None:
        """Ours takes 50 cycles and 150 instructions, the other, which the fake has built in, 100 and 200."""
        self.driver(self.build, 50, 150)
        text = self.pmd("--rounds", "3", "--case", "?x/64", "--json", self.root / "out.json")
        line = r"(?m)^rx/64 +{} +{} +{} +{} +{}"
        self.assertRegex(text, line.format(r"(49|5[01])\.\d", r"(9[89]|10[0-2])\.\d", r"(49|5[01])\.\d",
                                           r"(1.9\d|2.0\d) \([12].*\)", r"(0.9\d|1.0\d) \([01].*\)  2.[45]\d$"))
        self.assertRegex(text, line.format("150.0", "200.0", "150.0", "1.33", "1.00$"))
        data = json.loads((self.root / "out.json").read_text())
        ours = data["cases"]["tx/64"]["ours"]
        self.assertEqual(([len(samples) for samples in ours["cycles"]], ours["instructions"]), ([40] * 3, 150))
        self.assertEqual(data["settings"]["subjects"]["c"], {"plugin": "", "uio": True})
        self.assertEqual(data["versions"]["flags"], "-O3")

    def test_quick(self) -> None:
        text = self.pmd("--quick", "--case", "rx/64", "--subject", "ours")
        self.assertNotIn("instructions", text)
        self.assertRegex(text, r"(?m)^rx/64 +\d+\.\d +\d\.\d\d$")

    def test_unsupported(self) -> None:
        """It is asked no more than once, costs nothing, and the others take their turns all the same."""
        plugin = self.driver(self.root / "other", unsupported={"rx/64": "too old", "tx/1518": "too small"})
        text = self.pmd("--quick", "--subject", "ours", "--subject", f"theirs={plugin}", "--case", "?x/*")
        self.assertIn("theirs: too old: rx/64\n", text)
        self.assertRegex(text, r"(?m)^tx/1518 +\d+\.\d +- +\d")
        self.assertRegex(text, r"(?m)^tx/64/burst1 +\d+\.\d +\d+\.\d +[01]\.")
        self.assertEqual(text.count("\nrx/64 "), 1)

    def test_lost_frames(self) -> None:
        self.driver(self.build, error={"tx/64": "frames are missing"})
        text = self.pmd("--quick", "--subject", "ours", "--case", "?x/64", code=1)
        self.assertIn("ours: FAILED: frames are missing: tx/64", text)
        self.assertRegex(text, r"(?m)^rx/64 +\d+\.\d")

    def test_crash(self) -> None:
        """Of the cases from there on there is no result; those before have theirs."""
        self.driver(self.build, dies="io/64")
        text = self.pmd("--quick", "--subject", "ours-vdev", "--case", "rx/64", "--case", "io/64", code=1)
        self.assertRegex(text, r"ours-vdev: FAILED: no result: crashed \(SIGABRT\), see .*/pmd-copy-0.log: io/64")
        self.assertRegex(text, r"(?m)^rx/64 +\d+\.\d")

    def test_hang(self) -> None:
        """A program that says nothing more is ended."""
        self.script("uio-host", "#!/bin/sh\nexec sleep 60\n")
        with mock.patch.object(program, "TURN", 0.2):
            text = self.pmd("--quick", "--subject", "ours", "--subject", "ours-vdev", "--case", "rx/64", code=1)
        self.assertIn("ours: FAILED: no result: nothing came for 0.2 s, crashed (SIGKILL)", text)
        self.assertRegex(text, r"(?m)^rx/64 +FAILED +\d+\.\d")

    def test_nonsense(self) -> None:
        self.script("uio-host", "#!/bin/sh\necho '{\"case\": \"rx/64\", \"speed\": 1}'\n")
        self.assertIn("printed what is no result", self.pmd("--quick", "--subject", "ours", "--case", "rx/64", code=1))

    def test_nothing_counted(self) -> None:
        """As where the program was built without valgrind's header."""
        self.script("bin/valgrind", "#!/bin/sh\nwhile [ \"${1#--}\" != \"$1\" ]; do shift; done; exec \"$@\"\n")
        self.assertIn("callgrind counted nothing", self.pmd("--subject", "ours", "--case", "rx/64", code=1))

    def test_no_hugepages(self) -> None:
        """The devices of the emulated kernel need them; vdevs do not."""
        with mock.patch.object(machine, "no_hugepages", lambda: "no pages here"):
            text = self.pmd("--quick", "--case", "rx/64")
            self.assertEqual(re.findall(r"left out: (.*)", text), ["ours (no pages here)", "c (no pages here)"])
            self.assertRegex(text, r"(?m)^rx/64 +\d+\.\d +\d")
            self.assertIn("no driver can be measured here", self.pmd("--subject", "c", code=1))

    def test_memory(self) -> None:
        """Where a process has its memory."""
        self.script("uio-host", f"#!/bin/sh\necho \"$*\" >> {self.root}/calls\nshift\nexec \"$@\"\n")
        self.pmd("--rounds", "1", "--subject", "c", "--case", "rx/64")
        calls = (self.root / "calls").read_text().splitlines()
        self.assertRegex(calls[0], r"^-- valgrind .*--collect-atstart=no .* \S+/bench/pmd --group copy "
                                   r"--samples 1 --steps 128 --eal --file-prefix \S+ -m 64 "
                                   r"--huge-unlink --huge-dir /nowhere --case rx/64$")
        self.assertRegex(calls[1], r"^-- \S+/bench/pmd --group copy --samples 40 --steps 16 "
                                   r"--eal --file-prefix \S+ -m 64 --in-memory --paced --case rx/64$")
        self.assertEqual(len(calls), 2)


class RealProgram(harness.Case):
    def test_alternates(self) -> None:
        """The real program, the real driver and DPDK's, with few samples: what is measured is of no interest here."""
        self.need("" if (machine.BUILD / "bench/pmd").is_file() else "bench/pmd is not built", machine.no_hugepages(),
                  "not with a sanitizer's library" if "NETVSC_PRELOAD" in os.environ else "")
        done = subprocess.run([sys.executable, "-m", "netvsc_tools.bench", "pmd", "--build", str(machine.BUILD),
                               "--quick", "--rounds", "1", "--case", "rx/64", "--case", "tx/1518"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, cwd=machine.ROOT / "tools")
        self.assertEqual(done.returncode, 0, done.stdout)
        for case in ("rx/64", "tx/1518"):
            self.assertRegex(done.stdout, rf"(?m)^{case} +\d+\.\d +\d+\.\d +\d+\.\d +\d+\.\d\d +\d+\.\d\d +\d+\.\d\d$")


harness.main(__name__)
