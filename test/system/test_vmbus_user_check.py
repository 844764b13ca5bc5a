#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""vmbus-user-check finds nothing wrong with the netvsp daemon, and each thing that it is told to do wrong."""
import json
import re
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from netvsc_tools import harness, machine  # noqa: E402
from netvsc_tools.process import Process, die_with_parent  # noqa: E402
from netvsc_tools.testpmd import Daemon, socket_path  # noqa: E402

#: Whether the host's NVSP has subchannels, for each profile.
PROFILES = {"hyperv2008r2": False, "hyperv2012r2": True, "hyperv2019": True, "hyperv2022": True, "azure": True, "openvmm": True}
#: Which check must find a fault; those that build upon it do not run. "" = a guest must live with it.
FAULTS = {
    "gpadl-fail": "gpadl.create",
    "open-fail": "channel.open",
    "refuse-nvsp": "nvsp.init",
    "no-init-reply": "nvsp.init",
    "short-init-reply": "nvsp.init",
    "no-recvbuf-reply": "nvsp.receive-buffer",
    "recvbuf-fail": "nvsp.receive-buffer",
    "sendbuf-fail": "nvsp.send-buffer",
    "rndis-init-fail": "rndis.initialize",
    "no-rndis-reply": "rndis.initialize",
    "short-query-reply": "rndis.query",
    "bad-query-length": "rndis.query",
    "bad-completion-id": "rndis.transmit",
    "double-completion": "rndis.transmit",
    "tx-fail:1": "rndis.transmit",
    "bad-rx-range": "rndis.receive",
    "bad-rx-rndis": "rndis.receive",
    "bad-rx-ppi": "rndis.receive",
    "bad-descriptor": "rndis.receive",
    "bad-ring-index": "rndis.receive",
    "unrelated-before-reply": "",
    "keepalive": "",
}


def check(*arguments: object, timeout: float = 15) -> tuple[int, str]:
    """Runs the checker. @return exit code and output"""
    done = subprocess.run([machine.BUILD / "vmbus-user-check", *map(str, arguments)], text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          preexec_fn=die_with_parent)
    return done.returncode, done.stdout


class VmbusUserCheck(harness.Case):
    def setUp(self) -> None:
        self.addCleanup(Process.kill_all)  # no driver is needed here

    def check_host(self, nic: str, *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
        """@return the checker's exit code, its JSON, and the same for people"""
        with Daemon(self.log("netvsp"), socket_path(), [nic], "-v") as daemon:
            code, output = check("--json", *arguments, daemon.socket)
            self.assertTrue(daemon.alive(), f"the daemon ended, see {daemon.log}")
        outcomes = json.loads(output)
        lines = [f"{o['result']} {o['name']} {o['messages']}" for o in outcomes if o["result"] != "ok"]
        return code, outcomes, "\n".join(lines)

    def test_profiles(self) -> None:
        for profile, subchannels in PROFILES.items():
            with self.subTest(profile):
                queues = ",queues=4" if subchannels else ""
                code, outcomes, text = self.check_host(f"endpoint=loopback,monitor=1,profile={profile}{queues}")
                skipped = {o["name"] for o in outcomes if o["result"] != "ok"}
                self.assertEqual(skipped, set() if subchannels else {"subchannel.offer", "subchannel.rescind"}, text)
                self.assertEqual(code, 0, text)

    def test_quiet_network(self) -> None:
        code, outcomes, text = self.check_host("endpoint=null,monitor=0")
        self.assertEqual({o["name"] for o in outcomes if o["result"] != "ok"},
                         {"rndis.receive", "subchannel.offer", "subchannel.rescind", "ring.monitor"}, text)
        self.assertEqual({o["result"] for o in outcomes}, {"ok", "n/a"}, text)
        self.assertEqual(code, 0, text)

    def test_faults(self) -> None:
        for fault, name in FAULTS.items():
            with self.subTest(fault):
                code, outcomes, text = self.check_host(f"endpoint=loopback,monitor=1,queues=2,fault={fault}",
                                                       "--timeout", "700")
                self.assertEqual([o["name"] for o in outcomes if o["result"] == "FAIL"], [name] if name else [], text)
                self.assertEqual(code, 1 if name else 0, text)

    def test_text_report(self) -> None:
        with Daemon(self.log("netvsp"), socket_path(), ["endpoint=null,fault=refuse-nvsp"]) as daemon:
            code, output = check("--only", "control.version", "--only", "nvsp.init", daemon.socket)
        self.assertEqual(code, 1, output)
        self.assertEqual(len(output.splitlines()), 3, output)
        self.assertRegex(output, r"^ok   control.version +VERSION_RESPONSE: accepted version 1\n"
                                 r'FAIL nvsp.init +INIT_COMPLETE: status 0 .*, must be 1 .*\(docs/vmbus-user.md, "NVSP"\)\n')

    def test_sections(self) -> None:
        """Every section that a check names is a heading of the specification."""
        headings = set(re.findall(r"^#+ (.*)$", (machine.ROOT / "docs/vmbus-user.md").read_text(), re.MULTILINE))
        code, output = check("--list")
        self.assertEqual(code, 0, output)
        named = set(re.findall(r'\("(.*)"\)$', output, re.MULTILINE))
        for source in (machine.ROOT / "app/vmbus-user-check").glob("*.cpp"):
            named |= set(re.findall(r'"([A-Z_ ]+ \((?:0x)?\d+\)[^"]*)"', source.read_text()))
        self.assertGreater(len(named), 15)
        self.assertLessEqual(named, headings)

    def fake_host(self, answer: bytes) -> tuple[int, str]:
        """Checks a host that answers everything with this, or reads it only."""
        path = socket_path()
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(str(path))
            listener.listen(8)

            def serve() -> None:
                while True:
                    try:
                        guest, _ = listener.accept()
                        with guest:
                            while guest.recv(65536):
                                if answer:
                                    guest.send(answer)
                    except ConnectionError:
                        continue
                    except OSError:  # the listener is closed
                        return

            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            result = check("--timeout", 200, path)
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
        return result

    def test_silent_host(self) -> None:
        code, output = self.fake_host(b"")
        self.assertEqual(code, 1, output)
        self.assertRegex(output, "^FAIL control.version +VERSION_RESPONSE: did not come within 200 ms")
        self.assertEqual(output.count("FAIL"), 1, output)

    def test_wrong_messages(self) -> None:
        for answer, text in (
                (struct.pack("<4I", 15, 24, 1, 1), "VERSION_RESPONSE: size 24, must be the datagram's 16"),
                (struct.pack("<6I", 15, 24, 1, 1, 0, 0), "VERSION_RESPONSE: size 24, must be 16"),
                (struct.pack("<4I", 15, 16, 0, 1), "VERSION_RESPONSE: accepted 0 for version 1, must be 1"),
                (struct.pack("<4I", 14, 16, 1, 1), "message INITIATE_CONTACT: no message of a host"),
                (struct.pack("<2I", 17, 8), "UNLOAD_RESPONSE came where VERSION_RESPONSE must come"),
                (b"abcd", "a datagram of 4 bytes, must have a header of 8")):
            code, output = self.fake_host(answer)
            self.assertEqual(code, 1, output)
            self.assertIn(text, output.splitlines()[0])

    def test_usage(self) -> None:
        for arguments in ([], ["--timeout", "0", "x"], ["--only", "nothing", "x"], ["--what"], ["a", "b"],
                          ["/nowhere/socket"]):
            code, output = check(*arguments)
            self.assertEqual(code, 2, f"{arguments}: {output}")
            self.assertTrue(output)
        self.assertEqual(check("--help")[0], 0)


harness.main(__name__)
