#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Whether tools/bench regress, with the real driver, notices that it has become 5 % slower, and nothing where nothing changed."""
import contextlib
import io
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from netvsc_tools import harness, machine  # noqa: E402
from netvsc_tools.bench import regress  # noqa: E402
from netvsc_tools.bench.cli import main  # noqa: E402
from netvsc_tools.bench.instrument import FAILED, INCONCLUSIVE, OK  # noqa: E402

CASES = ("rx/64", "tx/64")
HANDICAP = 8  # instructions for each frame: 5 % and a little more


class Gate(harness.Case):
    def setUp(self) -> None:
        super().setUp()
        self.need("" if shutil.which("valgrind") else "valgrind is not installed",
                  "" if machine.no_hugepages() else machine.hugetlbfs()[1])
        folder = tempfile.TemporaryDirectory(prefix=".gate-", dir=machine.BUILD)  # where EAL accepts plugins
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.plugin = machine.plugin().resolve()
        self.enterContext(mock.patch.object(regress, "CASES", CASES))

    def regress(self, new: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
        """@return the exit code, and what it found of each case"""
        report, text = self.root / "report.json", io.StringIO()
        with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
            code = main(["regress", "--build", str(machine.BUILD), "--quick", "--pairs", str(regress.FEWEST), "--json", str(report),
                         "--plugin-base", str(self.plugin), "--plugin-new", str(new), *arguments])
        self.log().write_text(text.getvalue())
        self.assertTrue(report.is_file(), f"no report, see {self.log()}")
        return code, json.loads(report.read_text())["cases"]

    def test_five_percent(self) -> None:
        """By instructions, whatever the machine does meanwhile."""
        code, cases = self.regress(self.plugin, "--handicap", str(HANDICAP))
        self.assertEqual(code, FAILED, f"nothing was noticed, see {self.log()}")
        self.assertEqual(set(cases), set(CASES))
        for name, case in cases.items():
            self.assertEqual(case["verdict"]["state"], "slower", f"{name}, see {self.log()}")
            counts = case["instructions"]
            self.assertLess(counts["new"] / counts["base"], 1.08, f"{name}: that is no small change any more")
            self.assertAlmostEqual(counts["new"] - counts["base"], HANDICAP, delta=1, msg=f"{name}, see {self.log()}")

    def test_same_code(self) -> None:
        """The same driver from another file. The machine may be too noisy to say so; by chance it looks slower, but not twice."""
        copy = self.root / "librte_net_netvsc.so"
        shutil.copy(self.plugin, copy)
        for _ in range(2):
            code, cases = self.regress(copy)
            for name, case in cases.items():
                counts = case["instructions"]
                self.assertAlmostEqual(counts["new"] / counts["base"], 1, delta=0.002, msg=f"{name}, see {self.log()}")
            if code != FAILED:
                break
        self.assertIn(code, (OK, INCONCLUSIVE), f"see {self.log()}")


harness.main(__name__)
