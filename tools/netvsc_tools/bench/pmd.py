# SPDX-License-Identifier: BSD-3-Clause
"""The instrument pmd: what the driver costs by frame, beside DPDK's own driver in C on the same emulated devices."""
import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Sequence

from ..console import say, table
from ..process import ProcessError
from . import stats
from .instrument import FAILED, OK, Outcome, WrongUsage, report
from .program import FULL, QUICK, Effort, Measured, Program, Subject, driver, no_uio
from .surroundings import plugin_of

ABOUT = "cycles and instructions per frame of the whole driver, beside DPDK's own"
TARGETS = ("pmd", "rte_net_netvsc", "uio_host")
SUBJECTS = ("ours", "c", "ours-vdev")
ENOUGH = 3  # rounds, of which an interval can be told


@dataclass
class Series:
    """What one driver did in one case, over all rounds."""
    cycles: list[list[float]] = field(default_factory=list)  #: samples by round
    floor: list[list[float]] = field(default_factory=list)
    instructions: float = 0
    queue_bytes: int = 0
    unsupported: str = ""
    error: str = ""

    def add(self, measured: Measured) -> None:
        self.unsupported, self.error = measured.unsupported, measured.error
        self.queue_bytes = measured.queue_bytes
        if measured.instructions:
            self.instructions = measured.instructions
        else:
            self.cycles += [measured.cycles] if measured.cycles else []
            self.floor += [measured.floor] if measured.floor else []

    def over(self) -> bool:
        """Nothing more is to be had."""
        return bool(self.unsupported or self.error)

    def number(self, value: float, text: str) -> str:
        """A cell of the table: the value, or why there is none."""
        return "FAILED" if self.error else text.format(value) if value else "-"

    def median_cycles(self) -> float:
        return stats.pooled(self.cycles) if self.cycles else 0

    def data(self) -> dict[str, Any]:
        ended = {name: text for name, text in (("unsupported", self.unsupported), ("error", self.error)) if text}
        return {"cycles": self.cycles, "floor": self.floor, "instructions": self.instructions or None,
                "queue_bytes": self.queue_bytes or None, **ended}


Results = dict[str, dict[str, Series]]  # by case and subject


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--subject", action="append", default=[], metavar="NAME[=PLUGIN]",
                        help="a driver: ours, c (the one that DPDK has), ours-vdev (without tools/uio-host), or any "
                             "plugin by a name of your choice; may be repeated. Others are compared with the first "
                             "(default: all three)")
    parser.add_argument("--rounds", type=int, metavar="N",
                        help="processes of each driver and group of cases (5, quick 2)")
    parser.add_argument("--instructions", action=argparse.BooleanOptionalAction, default=None,
                        help="count instructions too, by callgrind (default: unless --quick)")


def list_cases(options: argparse.Namespace) -> list[str]:
    return [case for cases in Program(options.build).groups(options.case).values() for case in cases]


def subject_of(text: str, build: Path) -> Subject:
    """A driver as it is named on the command line."""
    name, given, path = text.partition("=")
    if given:
        return driver(name, Path(path))
    if name not in SUBJECTS:
        raise WrongUsage(f"--subject {text}: known are {', '.join(SUBJECTS)}, and NAME=PLUGIN")
    return Subject(name, None) if name == "c" else driver(name, plugin_of(build), uio=name != "ours-vdev")


def subjects_of(options: argparse.Namespace) -> list[Subject]:
    """The drivers to be measured, without those that cannot be here."""
    subjects = [subject_of(text, options.build) for text in options.subject or SUBJECTS]
    if len({subject.name for subject in subjects}) != len(subjects):
        raise WrongUsage("two subjects have the same name")
    for subject in subjects:
        if subject.uio and no_uio():
            say(f"left out: {subject.name} ({no_uio()})")
    subjects = [subject for subject in subjects if not subject.uio or not no_uio()]
    if not subjects:
        raise ProcessError("no driver can be measured here")
    return subjects


def gather(program: Program, subjects: Sequence[Subject], groups: dict[str, list[str]], effort: Effort, rounds: int,
           instructions: bool) -> Results:
    """Runs the processes: in each round one of every subject, side by side."""
    results: Results = {case: {subject.name: Series() for subject in subjects}
                        for cases in groups.values() for case in cases}
    # First what needs one process only.
    for group, cases in groups.items() if instructions else ():
        for subject in subjects:
            say(f"instructions: {subject.name}, {group}, {len(cases)} cases")
            for case, measured in program.count(subject, group, cases).items():
                results[case][subject.name].add(measured)
    for number in range(rounds):
        for group, cases in groups.items():
            left = {subject: [case for case in cases if not results[case][subject.name].over()] for subject in subjects}
            jobs = [(subject, own) for subject, own in left.items() if own]
            say(f"round {number + 1} of {rounds}: {group}, {len(cases)} cases")
            for (subject, _), found in zip(jobs, program.measure(jobs, group, effort)):
                for case, measured in found.items():
                    results[case][subject.name].add(measured)
    return results


def ratio(series: Series, reference: Series) -> str:
    """A cell: how many times the cycles of the reference."""
    if not series.cycles or not reference.cycles:
        return ""
    rounds = [stats.ratios(*pair) for pair in zip(series.cycles, reference.cycles)]
    low, high = stats.pooled_interval(rounds)
    return f"{stats.pooled(rounds):.2f}" + (f" ({low:.2f}-{high:.2f})" if len(rounds) >= ENOUGH else "")


def tables(results: Results, names: Sequence[str], instructions: bool) -> str:
    """Cycles, then instructions."""
    first, others = names[0], names[1:]
    cycles, counts = [], []
    for case, by_name in results.items():
        reference = by_name[first]
        row = [case, *(by_name[name].number(by_name[name].median_cycles(), "{:.1f}") for name in names)]
        row += [ratio(by_name[name], reference) for name in others]
        row.append(f"{reference.median_cycles() / stats.pooled(reference.floor):.2f}" if reference.floor else "")
        cycles.append(row)
        counts.append([case, *(by_name[name].number(by_name[name].instructions, "{:.1f}") for name in names),
                       *(f"{by_name[name].instructions / reference.instructions:.2f}"
                         if by_name[name].instructions and reference.instructions else "" for name in others)])
    ratios = [f"{name}/{first}" for name in others]
    text = (f"cycles per frame, medians; ratios with 95 % confidence intervals where there are {ENOUGH} rounds\n\n"
            + table(["case", *names, *ratios, f"{first}/floor"], cycles))
    if instructions:
        text += "\n\ninstructions per frame\n\n" + table(["case", *names, *ratios], counts)
    return text


def memory(results: Results) -> list[str]:
    """What a queue costs, where there are most of them."""
    case, by_name = max(results.items(), key=lambda item: max(series.queue_bytes > 0 for series in item[1].values())
                        and int(item[0].rpartition("queues")[2] or 0))
    each = [f"{name} {series.queue_bytes / 1024:.0f} KiB" for name, series in by_name.items() if series.queue_bytes]
    return [f"memory of DPDK's heap for a queue in {case}: {', '.join(each)}"] if each else []


def remarks(results: Results) -> list[str]:
    """Why cells are empty."""
    said: dict[str, list[str]] = {}
    for case, by_name in results.items():
        for name, series in by_name.items():
            if series.over():
                reason = f"FAILED: {series.error}" if series.error else series.unsupported
                said.setdefault(f"{name}: {reason}", []).append(case)
    return [f"{text}: {', '.join(cases)}" for text, cases in said.items()]


def measure(options: argparse.Namespace) -> Outcome:
    program = Program(options.build)
    subjects = subjects_of(options)
    groups = program.groups(options.case)
    if not groups:
        raise WrongUsage("no case has such a name, see --list")
    rounds = options.rounds or (2 if options.quick else 5)
    effort = QUICK if options.quick else FULL
    instructions = not options.quick if options.instructions is None else options.instructions
    results = gather(program, subjects, groups, effort, rounds, instructions)
    names = [subject.name for subject in subjects]
    text = "\n".join([tables(results, names, instructions), "", *memory(results), *remarks(results)]).rstrip()
    failed = any(series.error for by_name in results.values() for series in by_name.values())
    named = {subject.name: {"plugin": str(subject.plugin or ""), "uio": subject.uio} for subject in subjects}
    settings = {"subjects": named, "rounds": rounds, "samples": effort.samples, "steps": effort.steps}
    data = {case: {name: series.data() for name, series in by_name.items()} for case, by_name in results.items()}
    return Outcome(FAILED if failed else OK, text, report("pmd", options.build, settings, data))
