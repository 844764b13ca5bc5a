#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Secondary processes, all of them programs that are not ours: they see the ports, count, capture, and run queues of
their own, and whatever becomes of the primary's ports, or of a secondary, the others live on."""
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from netvsc_tools import harness, machine, pcap  # noqa: E402
from netvsc_tools.process import Process, run  # noqa: E402
from netvsc_tools.testpmd import Daemon, Testpmd, no_memory, sanitizer_env, socket_path  # noqa: E402

COUNT = 400_000
QUEUES = 4
DIED = "a process died in a burst of it"


class Processes(harness.Case):
    def setUp(self) -> None:
        super().setUp()
        self.need(no_memory("files"))

    def primary(self, vdev: str, *app: str, **more: object) -> Testpmd:
        arguments = ["--forward-mode=io", "--no-flush-rx", f"--rxq={QUEUES}", f"--txq={QUEUES}", *app]
        return Testpmd(self.log(), [vdev], arguments, memory="files", eal=["--proc-type=primary"], **more)  # type: ignore[arg-type]

    def share(self, number: int, of: int = 2) -> list[str]:
        return [f"--num-procs={of}", f"--proc-id={number}"]

    def secondary(self, primary: Testpmd, number: int = 1, of: int = 2, log: str = "secondary") -> Testpmd:
        arguments = ["--forward-mode=io", "--no-flush-rx", f"--rxq={QUEUES}", f"--txq={QUEUES}", *self.share(number, of)]
        return Testpmd(self.log(log), [], arguments, primary=primary)

    def run_secondary(self, primary: Testpmd, *command: str) -> str:
        """A program that attaches to the primary, asks, and ends."""
        program, *arguments = command
        with Process([program, "-d", str(machine.plugin()), "--no-pci", "--file-prefix", primary.prefix, "--", *arguments],
                     self.log(program), env=sanitizer_env()) as process:
            self.assertEqual(process.wait(60), 0, f"{program}'s exit code, see {process.log}")
            return process.text

    def own(self, text: str) -> int:
        """Of testpmd's forwarding statistics, what went through its own queues; the rest is of the port."""
        return sum(int(n) for n in re.findall(r"Forward Stats for RX Port= 0/Queue=.*\n +RX-packets: +(\d+)", text))

    def forwards(self, process: Testpmd, what: str) -> None:
        """Its own queues move frames."""
        begin = self.own(process.command("show fwd stats all"))
        self.eventually(f"{what}: no frames through {process.log}",
                        lambda: self.own(process.command("show fwd stats all")) > begin + 1000)

    def test_proc_info(self) -> None:
        """dpdk-proc-info, unmodified, tells the primary's counters and configuration."""
        vdev = f"netvsp0,endpoint=generator:size=100:flows=16:window=256:count={COUNT},queues={QUEUES}"
        with self.primary(vdev) as primary:
            primary.start()
            primary.wait_for_packets(COUNT, "RX-packets", "TX-packets", timeout=60)
            text = self.run_secondary(primary, "dpdk-proc-info", "-p", "1", "--xstats")
            xstats = {key: int(value) for key, value in re.findall(r"^(\w+): (\d+)$", text, re.M)}
            self.assertEqual(xstats["rx_good_packets"], COUNT)
            self.assertEqual(xstats["tx_good_packets"], COUNT)
            self.assertEqual(sum(xstats[f"rx_q{i}_packets"] for i in range(QUEUES)), COUNT)
            self.assertEqual(sum(xstats[f"tx_q{i}_copied"] for i in range(QUEUES)), COUNT)
            text = self.run_secondary(primary, "dpdk-proc-info", "-p", "1", "--show-port")
            self.assertIn("Link up at", text)
            self.assertEqual(len(re.findall(r"rx buffer size 2048 mempool mb_pool_0", text)), QUEUES)
            self.assertIn("key len : 40", text)
            self.assertEqual(primary.quit(), 0, f"testpmd's exit code, see {primary.log}")

    def test_ports_come_and_go(self) -> None:
        """All NICs behind a socket are there; NICs that the primary plugs in and out come and go in the secondary, too."""
        nic = f"endpoint=null,queues={QUEUES}"
        with Daemon(self.log("netvsp"), socket_path(), [nic, nic]) as daemon:
            primary = self.primary(f"netvsp0,socket={daemon.socket}", *self.share(0))
            with primary, self.secondary(primary) as secondary:
                def ports(process: Testpmd) -> list[str]:
                    return re.findall(r"^\d+ +[0-9A-F:]{17} +(\S+)", process.command("show port summary all"), re.M)

                self.assertEqual(ports(primary), ["netvsp0", "netvsp0_1"])
                self.assertEqual(ports(secondary), ["netvsp0", "netvsp0_1"])
                for _ in range(3):
                    primary.command("port attach netvsp1,endpoint=null", timeout=60)
                    self.assertIn("netvsp1", ports(primary))
                    self.eventually("the new port", lambda: "netvsp1" in ports(secondary))
                    primary.command("port close 2", timeout=60)
                    primary.command("device detach netvsp1", timeout=60)
                    self.assertEqual(ports(primary), ["netvsp0", "netvsp0_1"])
                    self.eventually("the port to go", lambda: "netvsp1" not in ports(secondary))
                self.assertEqual(secondary.quit(), 0, f"testpmd's exit code, see {secondary.log}")
                self.assertEqual(primary.quit(), 0, f"testpmd's exit code, see {primary.log}")

    def same_mempools(self, primary: str, secondary: str) -> dict[str, str]:
        """
        Processes know kinds of mempools by the order in which they were registered. Distributions link some to
        dpdk-testpmd and none to dpdk-dumpcap, which captures nothing then, with any driver: it must load them first, too.
        """
        def linked(program: str) -> set[str]:
            path = shutil.which(program)
            return set(re.findall(r"=> (\S*/librte_mempool_\S+)", run("ldd", path))) if path else set()

        env = sanitizer_env()
        more = sorted(linked(primary) - linked(secondary))
        return {**env, "LD_PRELOAD": ":".join(filter(None, [env.get("LD_PRELOAD", ""), *more]))}

    def test_dumpcap(self) -> None:
        """dpdk-dumpcap, unmodified, captures what the primary receives. It takes no -d: the driver is loaded before it."""
        if not shutil.which("dpdk-dumpcap"):
            self.skipTest("needs dpdk-dumpcap")
        given, out = self.log("in").with_suffix(".pcap"), self.log("out").with_suffix(".pcap")
        out.unlink(missing_ok=True)
        frames = pcap.random_frames([60 + 11 * (i % 100) for i in range(400)], "02:00:00:00:00:01", seed=1)
        pcap.write(given, frames)
        vdev = f"netvsp0,endpoint=pcap:{given}:/dev/null,mac=02:00:00:00:00:01,queues={QUEUES}"
        with self.primary(vdev, "--forward-mode=rxonly") as primary:
            # The capture's end is given by its number of frames; they come when the primary begins to receive.
            command = ["dpdk-dumpcap", f"--file-prefix={primary.prefix}", "-i", "netvsp0", "-P", "-c", str(len(frames)),
                       "-w", str(out)]
            env = self.same_mempools("dpdk-testpmd", "dpdk-dumpcap")
            env["LD_PRELOAD"] = ":".join(filter(None, [env["LD_PRELOAD"], str(machine.plugin().resolve())]))
            with Process(command, self.log("dumpcap"), env=env) as dumpcap:
                dumpcap.wait_for("Packets captured: 0", 30)  # capturing has begun
                primary.start()
                primary.wait_for_packets(len(frames))
                self.assertEqual(dumpcap.wait(60), 0, f"see {dumpcap.log}")
            self.assertEqual(sorted(pcap.read(out)), sorted(frames))
            primary.command("stop")
            self.assertEqual(primary.quit(), 0, f"testpmd's exit code, see {primary.log}")

    def test_own_queues(self) -> None:
        """Three processes share a port's queues: nothing is lost, damaged or reordered, and each has its part."""
        nic = f"endpoint=generator:size=64:flows=64:window=512:count={COUNT},queues=6"
        with Daemon(self.log("netvsp"), socket_path(), [nic], "--json") as daemon:
            app = ["--rxq=6", "--txq=6", "--txd=2048"]
            with self.primary(f"netvsp0,socket={daemon.socket}", *app, *self.share(0, 3)) as primary:
                others = [Testpmd(self.log(f"secondary{n}"), [], ["--forward-mode=io", "--no-flush-rx", *app, *self.share(n, 3)],
                                  primary=primary) for n in (1, 2)]
                for process in (primary, *others):
                    process.start()
                primary.wait_for_packets(COUNT, "RX-packets", "TX-packets", timeout=120)
                texts = [process.command("stop") for process in (primary, *others)]
                parts = [self.own(text) for text in texts]
                self.assertEqual(sum(parts), COUNT, f"{parts}")
                self.assertGreater(min(parts), 0, f"{parts}")
                for text in texts:
                    self.assertEqual(set(re.findall(r"TX-dropped: +(\d+)", text)), {"0"}, text)
                for other in others:
                    self.assertEqual(other.quit(), 0, f"testpmd's exit code, see {other.log}")
                self.assertEqual(primary.quit(), 0, f"testpmd's exit code, see {primary.log}")
            daemon.signal(signal.SIGTERM)
            self.assertEqual(daemon.wait(10), 0)
            final = [json.loads(line) for line in daemon.text.splitlines() if line.startswith("{")][-1]["nics"][0]
        self.assertEqual({key: final[key] for key in ("verified", "lost", "reordered", "corrupted", "protocol_errors")},
                         {"verified": COUNT, "lost": 0, "reordered": 0, "corrupted": 0, "protocol_errors": 0})

    def both(self, vdev: str) -> tuple[Testpmd, Testpmd]:
        """A primary and a secondary that forward."""
        primary = self.primary(vdev, *self.share(0))
        secondary = self.secondary(primary)
        for process in (primary, secondary):
            process.start()
            self.forwards(process, "begin")
        return primary, secondary

    VDEV = f"netvsp0,endpoint=generator:size=64:flows=64:window=256,queues={QUEUES}"

    def test_primary_changes_the_mtu(self) -> None:
        """New rings and buffers each time, while the secondary never stops polling."""
        primary, secondary = self.both(self.VDEV)
        with primary, secondary:
            for mtu in (1400, 1000, 1500, 1200):
                primary.command("stop")
                primary.command("port stop 0")
                primary.command(f"port config mtu 0 {mtu}")
                text = primary.command("port start 0", timeout=60)
                self.assertNotIn("rror", text)
                primary.start()
                self.forwards(primary, f"MTU {mtu}, primary")
                self.forwards(secondary, f"MTU {mtu}, secondary")
                self.assertIn(f"MTU: {mtu}", secondary.command("show port info 0"))
            self.assertEqual(secondary.quit(), 0, f"testpmd's exit code, see {secondary.log}")
            primary.command("stop")
            self.assertEqual(primary.quit(), 0, f"testpmd's exit code, see {primary.log}")

    def test_primary_changes_the_queues(self) -> None:
        """Queues that the secondary polls go and come back."""
        primary, secondary = self.both(self.VDEV)
        with primary, secondary:
            for count in (1, QUEUES, 2, QUEUES):
                primary.command("stop")
                primary.command("port stop 0")
                for way in ("rxq", "txq"):
                    primary.command(f"port config all {way} {count}")
                primary.command("port start 0", timeout=60)
            primary.start()
            self.forwards(primary, "primary")
            self.forwards(secondary, "secondary")
            self.assertEqual(secondary.quit(), 0, f"testpmd's exit code, see {secondary.log}")
            primary.command("stop")
            self.assertEqual(primary.quit(), 0, f"testpmd's exit code, see {primary.log}")

    def test_daemon_dies(self) -> None:
        nic = f"endpoint=generator:size=64:flows=64:window=256,queues={QUEUES}"
        daemon = Daemon(self.log("netvsp"), socket_path(), [nic])
        with daemon:
            primary, secondary = self.both(f"netvsp0,socket={daemon.socket}")
            with primary, secondary:
                daemon.signal(signal.SIGKILL)
                primary.wait_for("Now total ports is 0", 30)
                time.sleep(0.5)  # of bursts on what is not there any more
                secondary.command("stop")
                self.assertEqual(secondary.quit(60), 0, f"testpmd's exit code, see {secondary.log}")
                self.assertEqual(primary.quit(), 0, f"testpmd's exit code, see {primary.log}")

    def test_primary_closes_the_port(self) -> None:
        """While the secondary polls it, and goes on to."""
        primary, secondary = self.both(self.VDEV)
        with primary, secondary:
            primary.command("stop")
            primary.command("port stop 0")
            primary.command("port close 0", timeout=60)
            time.sleep(0.5)  # of bursts on what is not there any more
            secondary.command("stop")
            self.assertEqual(primary.quit(60), 0, f"testpmd's exit code, see {primary.log}")
            # A testpmd that is primary has its secondaries quit, too.
            self.assertEqual(secondary.wait(30), 0, f"testpmd's exit code, see {secondary.log}")

    def test_secondary_is_killed(self) -> None:
        """Again and again, in whatever it is doing: the primary's queues go on, and another takes its place."""
        primary = self.primary(self.VDEV, *self.share(0))
        with primary:
            primary.start()
            for number in range(5):
                with self.secondary(primary, log=f"secondary{number}") as secondary:
                    secondary.start()
                    self.forwards(secondary, "secondary")
                    secondary.signal(signal.SIGKILL)
                    secondary.wait(10)
                if DIED in primary.text:  # by chance
                    break
                self.forwards(primary, "primary")
            primary.command("stop")
            self.assertEqual(primary.quit(), 0, f"testpmd's exit code, see {primary.log}")

    def test_secondary_is_killed_in_a_burst(self) -> None:
        """It leaves locks behind, and queues in disorder: the primary is told, and the port is as new when restarted."""
        # With frames always waiting, it is in a burst most of the time.
        app = ["--forward-mode=rxonly", *self.share(0)]
        with self.primary(f"netvsp0,endpoint=generator:size=64:flows=64,queues={QUEUES}", *app) as primary:
            primary.start()
            for number in range(20):
                with self.secondary(primary, log=f"secondary{number}") as secondary:
                    secondary.command("set fwd rxonly")
                    secondary.start()
                    self.forwards(secondary, "secondary")
                    secondary.signal(signal.SIGKILL)
                    secondary.wait(10)
                primary.wait_for("secondary process .* left", 20, primary.text.rfind("testpmd>") - 200)
                if DIED in primary.text:
                    break
            else:
                self.fail("of twenty, none was killed in a burst")
            primary.command("stop")
            primary.command("port stop 0", timeout=60)
            primary.command("port start 0", timeout=60)
            primary.start()
            self.forwards(primary, "primary")
            with self.secondary(primary) as secondary:
                secondary.command("set fwd rxonly")
                secondary.start()
                self.forwards(secondary, "secondary")
                self.assertEqual(secondary.quit(), 0, f"testpmd's exit code, see {secondary.log}")
            primary.command("stop")
            self.assertEqual(primary.quit(), 0, f"testpmd's exit code, see {primary.log}")

    def test_secondary_is_stopped(self) -> None:
        """The primary does not wait for it for ever; when it goes on, it is part of it again."""
        primary, secondary = self.both(self.VDEV)
        with primary, secondary:
            secondary.command("stop")  # so that it is in no burst
            secondary.signal(signal.SIGSTOP)
            primary.command("stop")
            primary.command("port stop 0", timeout=60)
            primary.command("port config mtu 0 1400")
            primary.command("port start 0", timeout=60)
            primary.start()
            self.forwards(primary, "primary")
            secondary.signal(signal.SIGCONT)
            secondary.start()
            self.forwards(secondary, "secondary")
            self.assertEqual(secondary.quit(), 0, f"testpmd's exit code, see {secondary.log}")
            primary.command("stop")
            self.assertEqual(primary.quit(), 0, f"testpmd's exit code, see {primary.log}")


harness.main(__name__)
