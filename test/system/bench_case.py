# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of tools/bench share: a build without a driver, whose programs print what the test wants."""
import contextlib
import io
import json
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from netvsc_tools import harness, machine
from netvsc_tools.bench import micro, program
from netvsc_tools.bench.cli import main

HERE = Path(__file__).resolve().parent
COMPILER = "GCC: (Debian 12.2.0-14) 12.2.0"
WRAPPER = "#!/bin/sh\n# tools/uio-host without its devices\n[ \"$1\" = -- ] && shift\nexec \"$@\"\n"
VALGRIND = """#!/bin/sh
[ "$1" = --version ] && { echo valgrind-fake; exit; }
while :; do
    case $1 in
        --callgrind-out-file=*) export CALLGRIND_OUT="${1#*=}" ;;
        --*) ;;
        *) exec "$@" ;;
    esac
    shift
done
"""


class BenchCase(harness.Case):
    """Runs the tool in this process, with a fake build."""

    def setUp(self) -> None:
        """No plugin is needed here."""
        folder = tempfile.TemporaryDirectory(prefix="netvsc-bench-")
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.build = self.root / "build"
        for name in ("bench", "drivers", "meson-info"):
            (self.build / name).mkdir(parents=True)
        self.script("build/bench/pmd", f"#!{sys.executable} -IS\n{(HERE / 'fake_pmd.py').read_text()}")
        self.script("uio-host", WRAPPER)
        self.script("bin/valgrind", VALGRIND)
        self.flags(self.build, "-O3")
        self.driver(self.build)
        random.seed(1)
        for change in (mock.patch.dict(os.environ, PATH=f"{self.root}/bin:{os.environ['PATH']}"),
                       mock.patch.object(machine, "no_hugepages", lambda: ""),
                       mock.patch.object(machine, "hugetlbfs", lambda: ("/nowhere", "")),
                       mock.patch.object(machine, "bad_place", lambda _: ""),
                       mock.patch.object(program, "UIO_HOST", self.root / "uio-host"),
                       mock.patch.object(program, "LOGS", self.root / "logs"),
                       mock.patch.object(micro, "LOGS", self.root / "logs")):
            self.enterContext(change)

    def script(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def flags(self, build: Path, *flags: str) -> None:
        """What meson tells of the driver's flags."""
        (build / "meson-info").mkdir(parents=True, exist_ok=True)
        (build / "meson-info/intro-targets.json").write_text(json.dumps(
            [{"name": "rte_net_netvsc", "target_sources": [{"parameters": ["-I/somewhere", *flags]}]}]))

    def driver(self, build: Path, cycles: float = 100, instructions: float = 200, **plan: Any) -> Path:
        """Makes what the fake program takes for a driver."""
        path = build / "drivers/librte_net_netvsc.so"
        path.parent.mkdir(parents=True, exist_ok=True)
        defaults = {"cycles": {"": cycles}, "instructions": {"": instructions}, "compiler": COMPILER}
        path.write_text(json.dumps({**defaults, **plan}))
        return path

    def run_tool(self, *arguments: str | Path, code: int = 0) -> str:
        """@return what it prints, errors included"""
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            try:
                done = main([str(argument) for argument in arguments])
            except SystemExit as end:  # argparse's
                done = int(str(end))
        self.assertEqual(done, code, out.getvalue())
        return out.getvalue()
