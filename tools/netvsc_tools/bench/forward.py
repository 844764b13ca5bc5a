# SPDX-License-Identifier: BSD-3-Clause
"""The instrument forward: frames per second as users measure them, with the distribution's dpdk-testpmd."""
import argparse
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from ..console import table
from .instrument import FAILED, LOGS, OK, Outcome, WrongUsage, chosen, report
from .limits import BOTH, DRIVER, HOST, SOME, Waits, known, waited_receiving, waited_sending
from .rig import (DESCRIPTORS, KERNEL, SUBJECTS, NetvscRig, Rig, Sample, Subject, Totals, VirtioRig, subjects_of,
                  use_build)
from .rounds import ENOUGH, Ratio, Series, disturbed, gather, ratio_of

ABOUT = "frames per second of testpmd, beside DPDK's own driver and virtio-user, and who was the limit"
TARGETS = ("plugin-link", "netvsp-link", "uio_host", "c_driver_help")
MODES = ("rxonly", "txonly", "io", "mac", "csum")
SIZES = (64, 1518)
QUICK = ("rxonly/64", "txonly/64", "io/64")
REFERENCE = "c"
BURST = 32      # testpmd's
# Frames on their way at a time, where they come back. DPDK's driver takes all that there are before it hands out the first:
# with twice as many, it takes so long that the host sleeps meanwhile. With half as many, a host has none to make at times.
WINDOW = 8 * BURST
SETTLE = 0.3    # seconds between the first frame and the measurement


@dataclass
class Run:
    """What came of one run."""
    mpps: float = 0
    cycles: float | None = None     #: per frame, while there were frames; what was thrown away included
    waited: Waits | None = None
    missed: float = 0               #: part of the received frames that the driver threw away
    without_cpu: float = 0          #: part of the time in which something else had the CPU of one of the threads
    wrong: list[str] = field(default_factory=list)  #: what was lost, damaged or reordered; or why there is nothing

    def told(self) -> str:
        return f"{self.mpps:.2f} Mpps"


Results = dict[str, dict[str, Series[Run]]]  # by case and subject


def mpps(series: Series[Run]) -> float:
    return median(run.mpps for run in series.runs)


def waited(series: Series[Run]) -> Waits:
    both = [run.waited for run in series.runs if run.waited]
    return Waits(median(waits.driver for waits in both), median(waits.host for waits in both))


def cycles(series: Series[Run]) -> float | None:
    """None where testpmd counts what was made in vain, too."""
    counts = [run.cycles for run in series.runs if run.cycles is not None]
    return median(counts) if counts else None


def add_options(parser: argparse.ArgumentParser) -> None:
    drivers = "; ".join(f"{subject.name} ({subject.about})" for subject in SUBJECTS.values())
    parser.add_argument("--subject", action="append", default=[], metavar="NAME",
                        help=f"a driver: {drivers}; may be repeated (default: all)")
    parser.add_argument("--rounds", type=int, metavar="N",
                        help="runs of each case and driver, side by side in random order (5, quick 2)")
    parser.add_argument("--seconds", type=float, metavar="S", help="measured of each run (2, quick 1)")
    parser.add_argument("--allow-host-limit", action="store_true",
                        help="do not fail where a driver waited for its host, so that the rate is not the driver's")


def effort(options: argparse.Namespace) -> tuple[int, float]:
    """@return rounds, and seconds of a run"""
    rounds = (2 if options.quick else 5) if options.rounds is None else options.rounds
    seconds = (1.0 if options.quick else 2.0) if options.seconds is None else options.seconds
    if rounds < 1 or not 0.1 <= seconds <= 600:
        raise WrongUsage("want 1 round or more, of 0.1 to 600 seconds")
    return rounds, seconds


def list_cases(options: argparse.Namespace) -> list[str]:
    """rxonly/64, ... --quick takes fewer, of which --case asks for others all the same."""
    names = [f"{mode}/{size}" for mode in MODES for size in SIZES]
    return list(QUICK) if options.quick and not options.case else chosen(names, options.case)


def endpoint(mode: str, size: int) -> str:
    """What the emulated host has behind the NIC."""
    if mode == "txonly":
        return "null"
    frames = f"generator:size={size}:flows=16"
    return frames if mode == "rxonly" else f"{frames}:window={WINDOW}"


def csum(subject: Subject) -> list[str]:
    """Commands that leave checksums to the device. virtio has none for IPv4's."""
    return [f"csum set {what} hw 0" for what in (("ip", "udp") if subject.emulated else ("udp",))]


def open_rig(subject: Subject, case: str) -> Rig:
    mode, _, size = case.partition("/")
    log = LOGS / f"forward-{subject.name}-{mode}-{size}.log"
    commands = csum(subject) if mode == "csum" else []
    if not subject.emulated:
        return VirtioRig(log, mode, int(size), bursts=WINDOW // BURST, commands=commands)
    app = [f"--txpkts={size}"] if mode == "txonly" else []
    return NetvscRig(subject, log, mode, endpoint(mode, int(size)), app=app, commands=commands)


def _host_mistakes(mode: str, size: int, host: dict[str, Any]) -> list[str]:
    """What the host says of the frames that it got, and of the driver."""
    mistakes = ("reordered", "corrupted", "protocol_errors", "tx_errors", "rx_dropped")
    wrong = [f"{host[name]} {name}" for name in mistakes if host[name]]
    if host["last_error"]:
        wrong.append(f"the host says: {host['last_error']}")
    got = host["endpoint_sent_frames"]
    if got * size != host["endpoint_sent_bytes"]:
        wrong.append(f"{got} frames of {size} bytes came as {host['endpoint_sent_bytes']} bytes")
    if mode in ("rxonly", "txonly"):
        return wrong
    if host["lost"] or host["foreign"] or host["verified"] != got:
        wrong.append(f"{host['lost']} lost, {host['foreign']} made by nobody, {host['verified']} of {got} verified")
    # The frames of a whole window are on their way at the end, and as many may be lost while the port is started.
    if (away := host["endpoint_received_frames"] - got) > 2 * WINDOW:
        wrong.append(f"{away} frames did not come back")
    if mode == "csum" and host["tx_csum"] != got:
        wrong.append(f"only {host['tx_csum']} of {got} frames had their checksums made by the host")
    return wrong


def check(subject: Subject, case: str, totals: Totals, refused: int) -> list[str]:
    """Everything that was lost, damaged or reordered. refused: frames that testpmd could not send.

    What may be missing: in txonly, what testpmd made while the ring was full; frames on their way at the end; and in
    rxonly with DPDK's driver, what it throws away itself as more comes than it is asked for: it counts that, and its rate
    is without. This driver leaves such frames to the host.
    """
    mode, _, size = case.partition("/")
    driver, wrong = totals.driver, []
    wrong += [f"{driver[name]} {name}" for name in ("RX-errors", "RX-nombuf", "TX-errors") if driver[name]]
    if totals.missed_early and not (subject.counts_missed and mode == "rxonly"):
        wrong.append(f"{totals.missed_early} RX-missed")
    if refused and mode != "txonly":
        wrong.append(f"{refused} of the forwarded frames could not be sent")
    sent = driver["TX-packets"]
    if subject.emulated:
        wrong += _host_mistakes(mode, int(size), totals.host)
        if (got := totals.host["endpoint_sent_frames"]) != sent:
            wrong.append(f"the host got {got} frames, testpmd sent {sent}")
        # DPDK's driver does not count frames that come before its port counts as started.
        told, given = driver["RX-packets"] + driver["RX-missed"], totals.host["rx_frames"]
        if told != given and not subject.counts_missed:
            wrong.append(f"the host gave {given} frames, of which the driver knows {told}")
        return wrong
    peer = totals.peer
    if mode != "rxonly" and peer["RX-packets"] != sent:
        wrong.append(f"vhost got {peer['RX-packets']} frames, testpmd sent {sent}")
    if mode != "txonly" and peer["TX-packets"] - driver["RX-packets"] > WINDOW:
        wrong.append(f"vhost gave {peer['TX-packets']} frames, testpmd got {driver['RX-packets']}")
    return wrong


def rate(subject: Subject, mode: str, seen: Sample, peer: Sample, host: dict[str, Any], without_cpu: float) -> Run:
    """What the samples of a run mean."""
    taken = seen.rx - seen.missed if subject.counts_missed else seen.rx
    frames = taken if mode == "rxonly" else seen.tx
    if frames <= 0:
        return Run(wrong=["no frame moved"])
    driver = (waited_sending(seen.tx, seen.refused) if mode == "txonly"
              else waited_receiving(seen.cycles, seen.time, seen.hertz))
    if subject.emulated:
        host_waited = host["idle_ns"] / max(host["idle_ns"] + host["busy_ns"], 1)
    else:
        host_waited = (waited_sending(peer.tx, peer.refused) if mode == "rxonly"
                       else waited_receiving(peer.cycles, peer.time, peer.hertz))
    # What was thrown away cost something, too; and of who only sends, what was made in vain is among the cycles.
    handled = seen.rx if mode == "rxonly" else frames
    vain = mode == "txonly" and driver > SOME
    each = None if vain or not seen.cycles else seen.cycles / handled
    missed = seen.missed / seen.rx if seen.missed else 0.0
    return Run(frames / seen.time / 1e6, each, Waits(driver, host_waited), missed, without_cpu / seen.time)


def run_once(subject: Subject, case: str, seconds: float) -> Run:
    """Starts a testpmd, measures in the middle of what it does, ends it, and counts."""
    mode = case.partition("/")[0]
    with open_rig(subject, case) as rig:
        rig.start()
        rig.moving()
        rig.watch(SETTLE)
        seen, peer, without_cpu = rig.watch(seconds)
        refused = rig.samples()[0].refused
        totals = rig.stop()
    run = rate(subject, mode, seen, peer, totals.host, without_cpu)
    run.wrong += check(subject, case, totals, refused)
    return run


HEAD = ["case", "driver", "Mpps", "against {}", "cycles", "against {}", "driver waited", "host waited", "limit", ""]


def rate_ratio(series: Series[Run], other: Series[Run] | None) -> tuple[Ratio | None, str]:
    """What is known of the ratio of the rates, and the sign before it."""
    found = ratio_of(series, other, lambda run: run.mpps)
    if not found or not other:
        return None, ""
    sign, factor = known(waited(series), waited(other))
    return found.times(factor), sign


def row(case: str, name: str, by_name: dict[str, Series[Run]], reference: str) -> list[str]:
    """A line of the table."""
    series, other = by_name[name], by_name.get(reference)
    if not series.good():
        return [case, name, "FAILED", "", "", "", "", "", "", "; ".join(series.wrong())]
    waits, each = waited(series), cycles(series)
    rates, sign = rate_ratio(series, other)
    spent = ratio_of(series, other, lambda run: run.cycles)
    missed = median(run.missed for run in series.runs)
    return [case, name, f"{mpps(series):.2f}", rates.text(sign) if rates else "", f"{each:.0f}" if each else "",
            spent.text() if spent else "", f"{waits.driver:.0%}", f"{waits.host:.0%}", waits.limit(),
            f"{missed:.0%} of the frames thrown away" if missed else ""]


def sentences(results: Results, rounds: int, seconds: float, allowed: bool) -> list[str]:
    """What the table means."""
    good = [(f"{case} {name}", series) for case, by_name in results.items() for name, series in by_name.items()
            if series.good()]
    lines = [f"Medians of {rounds} runs of {seconds:g} s; ratios are those of runs side by side"
             + (", with 95 % confidence intervals." if rounds >= ENOUGH else ".")
             + " Cycles are per frame, while there were frames. Waited: part of the time."]
    limited = {limit: [what for what, series in good if waited(series).limit() == limit] for limit in (HOST, BOTH)}
    if limited[HOST]:
        lines.append(f"The host was the limit, not the driver: {', '.join(limited[HOST])}.")
    if limited[BOTH]:
        lines.append(f"Driver and host waited for each other: {', '.join(limited[BOTH])}.")
    if limited[HOST] or limited[BOTH]:
        lines.append("These drivers could do more, so that ratios are bounds (>=); their cycles are known all the same."
                     + ("" if allowed else " That is a failure, but for --allow-host-limit."))
    return [line for line in (*lines, disturbed([run for _, series in good for run in series.runs])) if line]


def exit_code(results: Results, allow_host_limit: bool) -> int:
    every = [series for by_name in results.values() for series in by_name.values()]
    if any(not series.good() for series in every):
        return FAILED
    return OK if allow_host_limit or all(waited(series).limit() == DRIVER for series in every) else FAILED


def data_of(results: Results, reference: str) -> dict[str, Any]:
    """For --json."""
    def one(series: Series[Run], other: Series[Run] | None) -> dict[str, Any]:
        found: dict[str, Any] = {"runs": [asdict(run) for run in series.runs]}
        if series.good():
            found |= {"mpps": mpps(series), "cycles": cycles(series), "limit": waited(series).limit()}
            ratio, sign = rate_ratio(series, other)
            if ratio:
                found["ratio"] = {**asdict(ratio), "bound": bool(sign)}
        return found
    return {case: {name: one(series, by_name.get(reference)) for name, series in by_name.items()}
            for case, by_name in results.items()}


def measure(options: argparse.Namespace) -> Outcome:
    cases = list_cases(options)
    if not cases:
        raise WrongUsage("no case has such a name, see --list")
    rounds, seconds = effort(options)
    use_build(options.build)
    subjects = subjects_of(options.subject, list(SUBJECTS))
    results = gather({case: subjects for case in cases}, rounds, lambda subject, case: run_once(subject, case, seconds),
                     lambda reason: Run(wrong=[reason]), Run.told)
    names = [subject.name for subject in subjects]
    reference = REFERENCE if REFERENCE in names else names[0]
    rows = [row(case, name, by_name, reference) for case, by_name in results.items() for name in by_name]
    text = "\n".join([table([name.format(reference) for name in HEAD], rows), "",
                      *sentences(results, rounds, seconds, options.allow_host_limit)])
    settings = {"rounds": rounds, "seconds": seconds, "reference": reference, "window": WINDOW,
                "descriptors": DESCRIPTORS, "kernel": KERNEL}
    return Outcome(exit_code(results, options.allow_host_limit), text,
                   report("forward", options.build, settings, data_of(results, reference)))
