# SPDX-License-Identifier: BSD-3-Clause
"""The instrument regress: whether one driver is slower than another, or whether that cannot be told here."""
import argparse
import json
from dataclasses import asdict, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Sequence

from ..console import table
from . import history, page
from .instrument import FAILED, INCONCLUSIVE, OK, Outcome, WrongUsage, output, report
from .program import FULL, QUICK, Program
from .sides import Pairs, Side, here, obstacles, of_plugin, resolve
from .surroundings import plugin_of
from .trial import Trial
from .verdict import (FASTER, INSTRUCTIONS, LEAST, LEFT_OUT, MUST_SEE, NOISY, SAME, SLOWER, Verdict, exit_code, judge,
                      too_noisy)

ABOUT = "tells whether a driver is slower than another one, if the machine allows that"
TARGETS = ("pmd", "rte_net_netvsc", "uio_host")
CASES = tuple(f"{way}/{what}" for way in ("rx", "tx", "io") for what in ("64", "1518", "64/burst1"))
FEWEST = 10  # pairs
MORE = 3  # times as many for cases that are noisy


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("base", metavar="BASE", nargs="?", help="a git revision, a build folder, or a stored baseline")
    parser.add_argument("new", metavar="NEW", nargs="?",
                        help="the same (default: the working tree, or the build of --build)")
    parser.add_argument("--plugin-base", metavar="FILE", type=Path, help="the driver itself, instead of BASE")
    parser.add_argument("--plugin-new", metavar="FILE", type=Path, help="the driver itself, instead of NEW")
    parser.add_argument("--pairs", metavar="N", type=int, default=15,
                        help=f"of processes, of noisy cases {MORE} times as many; and the same to calibrate ({FEWEST} "
                             "or more, default %(default)s)")
    parser.add_argument("--handicap", metavar="N", type=int, default=0,
                        help="let each frame of NEW cost N instructions more: does the comparison tell?")
    parser.add_argument("--save", metavar="FILE", type=output,
                        help="measure BASE alone, and store it there as a baseline")
    parser.add_argument("--history", metavar="FILE", type=output, help="append a line of JSON on NEW to this file")
    parser.add_argument("--html", metavar="FILE", type=output, help="write a report with plots")


def _groups(program: Program, patterns: Sequence[str]) -> dict[str, list[str]]:
    """The usual cases, and what else is asked for."""
    every = program.groups([])
    known = [case for cases in every.values() for case in cases]
    for pattern in patterns:
        if not any(fnmatchcase(case, pattern) for case in known):
            raise WrongUsage(f"no case is named {pattern}, see tools/bench pmd --list")
    return program.groups([*CASES, *patterns])


def list_cases(options: argparse.Namespace) -> list[str]:
    return [case for cases in _groups(Program(options.build), options.case).values() for case in cases]


def _sides(options: argparse.Namespace, where: dict[str, Any]) -> tuple[Side, Side]:
    """BASE and NEW; the same one twice where only BASE is measured."""
    for text, plugin, option in ((options.base, options.plugin_base, "--plugin-base"),
                                 (options.new, options.plugin_new, "--plugin-new")):
        if text and plugin:
            raise WrongUsage(f"{text} and {option} name the same side")
    if not options.base and not options.plugin_base:
        raise WrongUsage("want BASE, or --plugin-base")
    if options.save and (options.new or options.plugin_new or options.handicap or options.html or options.history):
        raise WrongUsage("--save measures BASE alone: no NEW, --handicap, --html or --history")
    base = (of_plugin(f"base {options.plugin_base}", options.plugin_base, where) if options.plugin_base
            else resolve(options.base, options.build, where))
    if options.save:
        if not base.subject:
            raise WrongUsage(f"{base.name} is stored already")
        return base, base
    if options.plugin_new:
        new = of_plugin(f"new {options.plugin_new}", options.plugin_new, where)
    else:
        new = (resolve(options.new, options.build, where) if options.new
               else of_plugin("new", plugin_of(options.build), where))
    if options.handicap:
        if not new.subject:
            raise WrongUsage(f"--handicap: {new.name} is not run, but stored")
        new.name += f" with {options.handicap} instructions more"
        new.subject = replace(new.subject, handicap=options.handicap)
    return base, new


class Comparison:
    """What was measured, and what it means."""

    def __init__(self, base: Side, new: Side, trial: Trial, pairs: int) -> None:
        self.base, self.new, self.trial = base, new, trial
        self.no_cycles, self.no_counts = obstacles(base, new)
        self.pairs = pairs
        self.aa: Pairs = {}
        self.ab: Pairs = {}
        self.counts: dict[str, tuple[float, float]] = {}

    def run(self) -> None:
        """Instructions first, as they tell on every machine; then cycles."""
        for side in (self.base, self.new):
            if not side.subject:
                self.trial.left_out |= {case: f"not in {side.name}" for case in self.trial.cases()
                                        if case not in side.counts}
        if not self.no_counts:
            base = self.trial.instructions(self.base, self.base)
            new = base if self.new is self.base else self.trial.instructions(self.new, self.base)
            self.counts = {case: (base[case], new[case]) for case in self.trial.compared()}
        if not self.no_cycles:
            self._run_cycles()

    def _run_cycles(self) -> None:
        """The base beside itself, more often where there is more noise; then as often beside the other."""
        stored = [side for side in (self.base, self.new) if not side.subject]
        counts = {case: min([self.pairs, *(len(side.pairs[case]) for side in stored)])
                  for case in self.trial.compared()}
        if self.base.subject:
            self.aa = self.trial.pairs(self.base, self.base, counts, "calibration")
            noisy = {case: (MORE - 1) * len(pairs) for case, pairs in self.aa.items() if too_noisy(pairs)}
            for case, pairs in self.trial.pairs(self.base, self.base, noisy, "calibration, noisy cases").items():
                self.aa[case] += pairs
        else:
            self.aa = {case: self.base.pairs[case] for case in counts}
        if self.new is not self.base:
            if not stored:
                counts = {case: len(pairs) for case, pairs in self.aa.items()}
            self.ab = self.trial.pairs(self.base, self.new, counts, "comparison")

    def verdicts(self) -> list[Verdict]:
        left_out = [Verdict(case, LEFT_OUT, reason) for case, reason in self.trial.left_out.items()]
        return judge(self.trial.compared(), self.aa, self.ab, self.counts) + left_out

    def data(self, build: Path, verdicts: Sequence[Verdict]) -> dict[str, Any]:
        """For --json and --save."""
        cases = {verdict.case: {"aa": self.aa.get(verdict.case, []), "ab": self.ab.get(verdict.case, []),
                                "instructions": dict(zip(("base", "new"), self.counts.get(verdict.case, (None, None)))),
                                "verdict": asdict(verdict)} for verdict in verdicts}
        effort = self.trial.effort
        settings = {"pairs": self.pairs, "samples": effort.samples, "steps": effort.steps}
        result = report("regress", build, settings, cases)
        result["sides"] = {name: {"name": side.name, "made": side.made, "where": side.where}
                           for name, side in (("base", self.base), ("new", self.new))}
        return result


HEAD = ["case", "base", "new", "change (95 % interval)", "threshold", "chance", "instructions", "result"]


def row(verdict: Verdict) -> list[str]:
    """A line of the table."""
    cells = [verdict.case, "", "", "", "", "", "", ""]
    if verdict.base:
        cells[1:4] = [f"{verdict.base:.1f}", f"{verdict.new:.1f}",
                      f"{verdict.change:+.1%} ({verdict.low:+.1%} to {verdict.high:+.1%})"]
        cells[5] = f"{verdict.chance:.3f}"
    if verdict.threshold:
        cells[4] = f"{verdict.threshold:.1%}"
    if verdict.base_instructions:
        cells[6] = f"{verdict.base_instructions:.1f} {verdict.instructions():+.1%}"
    cells[7] = verdict.state + (f": {verdict.note}" if verdict.note else "")
    return cells


def sentences(comparison: Comparison, verdicts: Sequence[Verdict], code: int) -> list[str]:
    """What the table means."""
    lines = []
    if comparison.no_counts:
        lines.append("Nothing can be compared, as what the numbers depend on is not equal: "
                     f"{'; '.join(comparison.no_counts)}.")
    elif comparison.no_cycles:
        lines.append("Only instructions are compared, as cycles depend on what is not equal: "
                     f"{'; '.join(comparison.no_cycles)}.")
    elif not comparison.base.subject or not comparison.new.subject:
        lines.append("The baseline was measured at another time: what this machine did otherwise then looks like a "
                     "change.")
    noisy = [verdict for verdict in verdicts if verdict.state == NOISY]
    if noisy:
        worst = max(noisy, key=lambda verdict: verdict.visible)
        lines.append(f"Too noisy: of {', '.join(verdict.case for verdict in noisy)} a change of {MUST_SEE:.0%} could "
                     f"have been missed ({worst.case}: only {worst.visible:.1%} is seen for certain). With more "
                     "--pairs, or on a quieter machine, smaller changes are seen.")
    result = {OK: "not slower", FAILED: "SLOWER", INCONCLUSIVE: "INCONCLUSIVE"}[code]
    states = [verdict.state for verdict in verdicts]
    counts = ", ".join(f"{states.count(state)} {state}" for state in (SLOWER, FASTER, SAME, NOISY, LEFT_OUT)
                       if state in states)
    lines.append(f"{comparison.new.name} against {comparison.base.name}: {result} ({counts}). A case is slower where "
                 f"its cycles grow by more than its threshold (at least {LEAST:.0%}) and not by chance, or its "
                 f"instructions by more than {INSTRUCTIONS:.0%}.")
    return lines


def measure(options: argparse.Namespace) -> Outcome:
    if options.pairs < FEWEST:
        raise WrongUsage(f"--pairs {options.pairs}: want {FEWEST} or more")
    program = Program(options.build)
    groups = _groups(program, options.case)
    effort = QUICK if options.quick else FULL
    base, new = _sides(options, here(options.build, effort))
    comparison = Comparison(base, new, Trial(program, groups, effort), options.pairs)
    comparison.run()
    verdicts = comparison.verdicts()
    data = comparison.data(options.build, verdicts)
    if options.save:
        options.save.write_text(json.dumps(data))
        noisy = [case for case, pairs in comparison.aa.items() if too_noisy(pairs)]
        said = f"too noisy for {', '.join(noisy)}" if noisy else "quiet enough for all cases"
        return Outcome(OK, f"{base.name} is stored in {options.save}; {said}", data)
    code = exit_code(verdicts)
    rows = [row(verdict) for verdict in verdicts]
    said = sentences(comparison, verdicts, code)
    past = history.append(options.history, data) if options.history else []
    if options.html:
        options.html.write_text(page.page(data, said, HEAD, rows, past))
    return Outcome(code, "\n".join([table(HEAD, rows), "", *said]), data)
