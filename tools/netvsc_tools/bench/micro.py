# SPDX-License-Identifier: BSD-3-Clause
"""The instrument micro: the pieces of the library by themselves, each beside the least that its work could cost."""
import argparse
import json
import re
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Container

from ..console import say, table
from ..process import Process, ProcessError, run
from ..runner import describe
from .instrument import FAILED, LOGS, OK, Outcome, WrongUsage, chosen, report

ABOUT = "time per item of rings and pipelines, beside the bare copy of the same bytes"
TARGETS = ("micro",)
FLOORS = {"copy_frame": "copy", "write_ring": "write"}  # whose floor has another name
KINDS = ("floor", "plain")
UNITS = {"ns": 1, "us": 1e3, "ms": 1e6}


@dataclass
class Result:
    """Nanoseconds per item of each round; or why there are none."""
    times: list[float]
    error: str = ""

    def ns(self) -> float:
        return median(self.times)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, metavar="N",
                        help="runs of each case, each round in an order of its own (15, quick 3)")


def _program(build: Path) -> Path:
    path = build / "bench/micro"
    if not path.is_file():
        raise ProcessError(f"{path} is not built")
    return path


def _cases(build: Path) -> list[str]:
    return run(str(_program(build)), "--benchmark_list_tests=true").split()


def list_cases(options: argparse.Namespace) -> list[str]:
    return chosen(_cases(options.build), options.case)


def parse(text: str, results: dict[str, Result]) -> None:
    """Adds what Google Benchmark wrote to the results by case."""
    for entry in json.loads(text)["benchmarks"]:
        if entry["run_type"] != "iteration":
            continue
        result = results.setdefault(entry["run_name"], Result([]))
        if entry.get("error_occurred"):
            result.error = entry.get("error_message") or "failed"
        else:
            rate = entry.get("items_per_second")  # else an iteration is one item
            result.times.append(1e9 / rate if rate else entry["cpu_time"] * UNITS[entry["time_unit"]])


def sibling(case: str, kind: str, cases: Container[str]) -> str:
    """The case, a floor or a plain implementation, that one is compared with; empty if there is none."""
    thing, _, argument = case.partition("/")
    names = [f"{each}_{kind}/{argument}" for each in (thing, FLOORS.get(thing, thing))]
    return next((name for name in names if name in cases), "")


def row(case: str, results: dict[str, Result]) -> list[str]:
    """The line of a case."""
    if results[case].error:
        return [case, f"FAILED: {results[case].error}", "", "", "", ""]
    line = [case, f"{results[case].ns():.2f}"]
    for kind in KINDS:
        other = results.get(sibling(case, kind, results))
        line += [f"{other.ns():.2f}", f"{results[case].ns() / other.ns():.2f}"] if other and other.times else ["", ""]
    return line


def measure(options: argparse.Namespace) -> Outcome:
    every = _cases(options.build)
    cases = chosen(every, options.case)
    if not cases:
        raise WrongUsage("no case has such a name, see --list")
    compared = {sibling(case, kind, every) for case in cases for kind in KINDS} - {""}
    wanted = [case for case in every if case in cases or case in compared]
    rounds = options.rounds or (3 if options.quick else 15)
    out = LOGS / "micro.json"
    command = [str(_program(options.build)), f"--benchmark_filter=^({'|'.join(map(re.escape, wanted))})$",
               "--benchmark_enable_random_interleaving=true", f"--benchmark_min_time={0.02 if options.quick else 0.1}",
               "--benchmark_out_format=json", f"--benchmark_out={out}"]
    results: dict[str, Result] = {}
    for number in range(1, rounds + 1):
        say(f"round {number} of {rounds}: {len(wanted)} cases")
        with Process(command, LOGS / "micro.log") as process:
            if code := process.wait(300):
                process.fail(describe(code))
        parse(out.read_text(), results)
    if missing := [case for case in wanted if case not in results]:
        raise ProcessError(f"there is no result of {', '.join(missing)}, see {process.log}")
    # Those that others are compared with have columns of their own.
    lines = [row(case, results) for case in cases if case not in compared]
    text = "nanoseconds per item, medians\n\n" + table(["case", "ns", "floor", "ns/floor", "plain", "ns/plain"], lines)
    data: dict[str, Any] = {case: {"ns": result.times, **({"error": result.error} if result.error else {})}
                            for case, result in results.items()}
    failed = any(result.error for result in results.values())
    return Outcome(FAILED if failed else OK, text, report("micro", options.build, {"rounds": rounds}, data))
