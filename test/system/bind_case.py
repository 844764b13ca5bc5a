# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of tools/netvsc-bind share: a machine with two NICs, and a way to run the tool there."""
import contextlib
import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from fake_linux import FakeLinux
from netvsc_tools import harness
from netvsc_tools.bind.cli import main

ETH0, ETH1, ETH2 = (f"000d3af{i}-0000-1000-8000-000d3af{i}0000" for i in range(3))
MAC0, MAC1, MAC2 = (f"00:0d:3a:f{i}:00:00" for i in range(3))
UIO = "uio_hv_generic"
DEFAULT = {"dst": "default", "gateway": "10.0.0.1"}


class ToolCase(harness.Case):
    """Runs the tool in a folder that looks like a system; that system's commands come first in the PATH."""

    system = "linux"

    def setUp(self) -> None:
        """No plugin is needed here."""
        folder = tempfile.TemporaryDirectory(prefix="netvsc-bind-")
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.env = {"PATH": f"{self.root}/bin:/usr/bin:/bin", "FAKE": str(self.root)}

    def run_tool(self, *arguments: str, code: int = 0, timeout: str = "5") -> str:
        """@return what it prints, errors included"""
        where = ["--root", str(self.root), "--system", self.system]
        wait = ["--timeout", timeout] if arguments[:1] in (("bind",), ("unbind",)) else []
        out = io.StringIO()
        with (mock.patch.dict(os.environ, self.env, clear=True),
              contextlib.redirect_stdout(out), contextlib.redirect_stderr(out)):
            try:
                done = main([*arguments, *where, *wait])
            except SystemExit as end:  # argparse's
                done = int(str(end))
        self.assertEqual(done, code, out.getvalue())
        return out.getvalue()

    def nics(self) -> dict[str, dict[str, Any]]:
        return {nic["guid"]: nic for nic in json.loads(self.run_tool("list", "--json"))}


class LinuxCase(ToolCase):
    """eth0 has the default route, eth1 is spare."""

    override = True  # whether the kernel has driver_override

    def setUp(self) -> None:
        super().setUp()
        self.kernel = FakeLinux(self.root, self.override)
        self.kernel.add_nic(ETH0, "eth0", MAC0)
        self.kernel.add_nic(ETH1, "eth1", MAC1)
        self.kernel.routes(v4=[{**DEFAULT, "dev": "eth0", "metric": 100}])
        self.kernel.addresses(eth0="10.0.0.4", eth1="10.0.0.5")
        self.enterContext(self.kernel)
