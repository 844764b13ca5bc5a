# SPDX-License-Identifier: BSD-3-Clause
"""The instrument latency: how long single frames are on their way from the host to testpmd and back."""
import argparse
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from ..console import table
from . import forward
from .instrument import FAILED, LOGS, OK, Outcome, WrongUsage, chosen, report
from .rig import KERNEL, NetvscRig, Subject, subjects_of, use_build
from .rounds import Series, disturbed, gather, ratio_of

ABOUT = "round trips of single frames through testpmd, beside DPDK's own driver"
TARGETS = forward.TARGETS
SUBJECTS = ("ours", "c", "ours-vdev")
SIZE = 64
RATE = 5000     # frames a second where the host sleeps
PERCENTILES = ("p50", "p99", "p999")


@dataclass(frozen=True)
class Case:
    """How the host spends the time between frames."""
    about: str
    rate: int = 0       #: frames a second, 0 = one after the other
    monitor: bool = True    #: it looks at the monitor page for signals, else it gets them as events

    def nic(self) -> str:
        """Where it sleeps it does so at once, so that it must be woken for each answer."""
        return f",monitor={self.monitor:d}" + (",spin=0" if self.rate else "")

    def endpoint(self) -> str:
        return f"generator:size={SIZE}:window=1" + (f":rate={self.rate}" if self.rate else "")

    def possible(self, subject: Subject) -> bool:
        """DPDK's driver finds no device that has no monitor id (docs/c-driver.md)."""
        return self.monitor or subject.ours


CASES = {"polling": Case("the host polls: the next frame follows at once"),
         "sleeping/monitor": Case("the host sleeps before each frame, and looks at the monitor page", RATE),
         "sleeping/kick": Case("the host sleeps before each frame, and is woken by signals", RATE, monitor=False)}


@dataclass
class Run:
    """What came of one run: nanoseconds by percentile."""
    count: int = 0
    p50: float = 0
    p99: float = 0
    p999: float = 0
    without_cpu: float = 0      #: part of the time in which something else had the CPU of one of the threads
    wrong: list[str] = field(default_factory=list)

    def nanoseconds(self, percentile: str) -> float:
        return {"p50": self.p50, "p99": self.p99, "p999": self.p999}[percentile]

    def told(self) -> str:
        return f"{self.p50 / 1e3:.2f} µs"


Results = dict[str, dict[str, Series[Run]]]  # by case and subject


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--subject", action="append", default=[], metavar="NAME",
                        help=f"a driver: {', '.join(SUBJECTS)}; may be repeated (default: all)")
    parser.add_argument("--rounds", type=int, metavar="N",
                        help="runs of each case and driver, side by side in random order (5, quick 2)")
    parser.add_argument("--seconds", type=float, metavar="S", help="of each run (2, quick 1)")


def list_cases(options: argparse.Namespace) -> list[str]:
    return chosen(list(CASES), options.case)


def result(host: dict[str, Any]) -> Run:
    """What the host's report says of round trips."""
    p50, p99, p999 = (float(host[f"endpoint_rtt_{name}_ns"]) for name in PERCENTILES)
    count = int(host["endpoint_rtt_count"])
    return Run(count, p50, p99, p999, wrong=[] if count else ["the host timed no round trip"])


def run_once(subject: Subject, name: str, seconds: float) -> Run:
    """One testpmd, which forwards for that time."""
    case = CASES[name]
    log = LOGS / f"latency-{subject.name}-{name.replace('/', '-')}.log"
    with NetvscRig(subject, log, "io", case.endpoint(), nic=case.nic()) as rig:
        rig.start()
        rig.moving()
        _, _, without_cpu = rig.watch(seconds)
        refused = rig.samples()[0].refused
        totals = rig.stop()
    run = result(totals.host)
    run.without_cpu = without_cpu / seconds
    run.wrong += forward.check(subject, f"io/{SIZE}", totals, refused)
    return run


def middle(series: Series[Run], percentile: str) -> float:
    return median(run.nanoseconds(percentile) for run in series.runs)


HEAD = ["case", "driver", "p50", "against {}", "p99", "against {}", "p99.9", "against {}", "round trips", ""]


def row(case: str, name: str, by_name: dict[str, Series[Run]], reference: str) -> list[str]:
    """A line of the table, in µs."""
    series = by_name[name]
    if not series.good():
        return [case, name, "FAILED", "", "", "", "", "", "", "; ".join(series.wrong())]
    cells = [case, name]
    for percentile in PERCENTILES:
        ratio = ratio_of(series, by_name.get(reference), lambda run: run.nanoseconds(percentile))
        cells += [f"{middle(series, percentile) / 1e3:.2f}", ratio.text() if ratio else ""]
    return [*cells, str(sum(run.count for run in series.runs)), ""]


def sentences(results: Results, rounds: int, seconds: float) -> list[str]:
    """What the table means."""
    runs = [run for by_name in results.values() for series in by_name.values() if series.good() for run in series.runs]
    lines = [f"µs from the host to testpmd and back; medians of {rounds} runs of {seconds:g} s, ratios of runs side by "
             "side.", *(f"{name}: {CASES[name].about}." for name in results), disturbed(runs)]
    return [line for line in lines if line]


def measure(options: argparse.Namespace) -> Outcome:
    cases = list_cases(options)
    if not cases:
        raise WrongUsage("no case has such a name, see --list")
    rounds, seconds = forward.effort(options)
    use_build(options.build)
    subjects = subjects_of(options.subject, SUBJECTS)
    who = {case: [subject for subject in subjects if CASES[case].possible(subject)] for case in cases}
    results = gather(who, rounds,
                     lambda subject, case: run_once(subject, case, seconds), lambda reason: Run(wrong=[reason]),
                     Run.told)
    names = [subject.name for subject in subjects]
    reference = forward.REFERENCE if forward.REFERENCE in names else names[0]
    rows = [row(case, name, by_name, reference) for case, by_name in results.items() for name in by_name]
    text = "\n".join([table([name.format(reference) for name in HEAD], rows), "", *sentences(results, rounds, seconds)])
    failed = any(not series.good() for by_name in results.values() for series in by_name.values())
    data = {case: {name: {"runs": [asdict(run) for run in series.runs]} for name, series in by_name.items()}
            for case, by_name in results.items()}
    settings = {"rounds": rounds, "seconds": seconds, "reference": reference, "rate": RATE, "size": SIZE,
                "kernel": KERNEL}
    return Outcome(FAILED if failed else OK, text, report("latency", options.build, settings, data))
