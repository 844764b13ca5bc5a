# SPDX-License-Identifier: BSD-3-Clause
"""Builds and runs the whole test suite. See tools/test."""
import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Mapping

from . import machine, process, runner
from .build import build
from .console import complain, elapsed, say
from .process import ProcessError, run
from .runner import Outcome, Program

SANITIZERS = {"address,undefined": "build-asan", "thread": "build-tsan"}


def library(name: str) -> str:
    """Path of one of the compiler's libraries."""
    compiler = shlex.split(os.environ.get("CXX", "c++"))
    return run(*compiler, f"-print-file-name={name}").strip()


def cpp_programs(folder: Path, env: Mapping[str, str]) -> list[Program]:
    """The tests that meson knows."""
    programs = []
    for test in json.loads(run("meson", "introspect", "--tests", str(folder))):
        own = {**env, **test["env"]}
        cases = runner.gtest_cases(test["cmd"], {**os.environ, **own})
        programs.append(Program(test["name"], test["cmd"], own, max(300, test["timeout"] or 0),
                                cases=cases, select=runner.gtest_select if cases else None))
    return programs


def system_programs(env: Mapping[str, str]) -> list[Program]:
    """The files in test/system."""
    programs = []
    for path in sorted((machine.ROOT / "test/system").glob("test_*.py")):
        command = [sys.executable, str(path)]
        listed = subprocess.run([*command, "--list"], text=True, stdout=subprocess.PIPE, env={**os.environ, **env})
        programs.append(Program(path.stem, command, env, timeout=600, silence=240, cases=listed.stdout.split(),
                                select=lambda cases: [part for case in cases for part in ("-k", case)]))
    return programs


def narrow(programs: list[Program], name: str) -> list[Program]:
    """Keeps what has the name in it."""
    for program in programs:
        if name not in program.name:
            program.cases = [case for case in program.cases if name in case]
    return [program for program in programs if name in program.name or program.cases]


class Report:
    """Counts, and prints while the tests run."""

    def __init__(self) -> None:
        self.outcomes: list[tuple[str, Outcome]] = []
        self.spoke = time.monotonic()

    def run(self, program: Program, folder: Path, each: bool) -> None:
        """Runs a program, with a line for each case or one for all."""
        begin, began = len(self.outcomes), time.monotonic()

        def done(outcome: Outcome) -> None:
            self.outcomes.append((program.name, outcome))
            if outcome.reason == runner.DID_NOT_RUN:
                return
            if each or outcome.status == "failed":
                say(f"{outcome.status:7} {program.name}: {outcome.name} ({outcome.seconds:.1f} s)"
                    + (f": {outcome.reason}" if outcome.reason else ""))
            elif time.monotonic() - self.spoke > 10:
                say(f"  {program.name}: {len(self.outcomes) - begin} of {len(program.cases)} cases")
            else:
                return
            self.spoke = time.monotonic()

        if program.cases:
            # What the source disables is known before, and never runs.
            for case in [case for case in program.cases if "DISABLED_" in case]:
                program.cases.remove(case)
                done(Outcome(case, "skipped", 0, "disabled in its source"))
            if not program.cases:
                return
        runner.run_program(program, folder, done)
        if not each:
            counts = self.counts(begin)
            say(f"{program.name}: {counts} ({time.monotonic() - began:.1f} s)")

    def skip(self, program: Program, reason: str) -> None:
        self.outcomes += [(program.name, Outcome(case, "skipped", 0, reason)) for case in program.cases]

    def counts(self, begin: int = 0) -> str:
        states = [outcome.status for _, outcome in self.outcomes[begin:]]
        return ", ".join(f"{states.count(status)} {status}" for status in ("passed", "failed", "skipped"))

    def finish(self) -> int:
        """Prints what failed, what was skipped and the counts. @return the exit code"""
        by_status = {status: [(name, o) for name, o in self.outcomes if o.status == status]
                     for status in ("passed", "failed", "skipped")}
        if by_status["failed"]:
            print("\nfailed:")
            left_over: dict[str, int] = {}
            for name, outcome in by_status["failed"]:
                if outcome.reason == runner.DID_NOT_RUN:
                    left_over[name] = left_over.get(name, 0) + 1
                    continue
                print(f"  {name}: {outcome.name}{' ' if outcome.reason else ''}{outcome.reason}\n      {outcome.log}")
            for name, count in left_over.items():
                print(f"  {name}: {count} cases {runner.DID_NOT_RUN}, counted as failed")
        if by_status["skipped"]:
            print("\nskipped:")
            for name, outcome in by_status["skipped"]:
                print(f"  {name}: {outcome.name}: {outcome.reason or 'no reason given'}")
        print(f"\n{elapsed():.0f} s")
        if not by_status["passed"] and not by_status["failed"]:
            complain("no test ran")
        print(self.counts(), flush=True)
        return 0 if by_status["passed"] and not by_status["failed"] else 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/test", description=__doc__)
    parser.add_argument("--sanitize", nargs="?", const="address,undefined", choices=list(SANITIZERS))
    parser.add_argument("--filter", metavar="NAME", default="")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    process.end_on_signals()
    machine.runtime_folder()

    folder = machine.ROOT / SANITIZERS.get(options.sanitize, "build")
    arguments = ["--buildtype=release"]
    env = {"NETVSC_BUILD": str(folder), "NETVSC_LOGS": str(folder / "logs/test"), "PYTHONUNBUFFERED": "1"}
    system_env = {}
    no_dpdk = ""
    if options.quick:
        env["NETVSC_QUICK"] = "1"
    if options.sanitize:
        # -Og: with -O2 the sanitized tests take four times as long to build.
        arguments = ["--buildtype=debug", "-Doptimization=g", f"-Db_sanitize={options.sanitize}", "-Db_lundef=false"]
        env.update({"ASAN_OPTIONS": "abort_on_error=0:detect_stack_use_after_return=1",
                    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
                    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1"})
    if options.sanitize == "thread":
        no_dpdk = "the thread sanitizer does not see how the distribution's EAL and testpmd synchronise"
    elif options.sanitize:
        # testpmd itself is not sanitized: it needs the libraries first, and its leaks are not ours.
        system_env = {"NETVSC_PRELOAD": f"{library('libasan.so')} {library('libstdc++.so.6')}",
                      "ASAN_OPTIONS": env["ASAN_OPTIONS"] + ":detect_leaks=0"}

    try:
        build(folder, arguments)
        cpp = narrow(cpp_programs(folder, env), options.filter)
    except ProcessError as error:
        complain(f"{error}\n")
        print("0 passed, 1 failed, 0 skipped")
        return 1
    system = narrow(system_programs({**env, **system_env}), options.filter)
    if options.list:
        for program in [*cpp, *system]:
            print("\n".join(f"{program.name}: {case}" for case in program.cases) or program.name)
        return 0

    logs = folder / "logs/test"
    report = Report()
    for program in cpp:
        if no_dpdk and program.name.startswith("scenario-"):
            report.skip(program, no_dpdk)
        elif options.sanitize and program.name.startswith("scenario-uio"):
            report.skip(program, "not yet with a sanitizer's library, which must be loaded before tools/uio-host's")
        elif machine.no_hugepages() and program.name.startswith("scenario-uio"):
            report.skip(program, machine.no_hugepages())
        else:
            report.run(program, logs, each=False)
    if system and not no_dpdk and machine.no_hugepages():
        say(f"without hugepages: {machine.no_hugepages()}")
    for program in system:
        if no_dpdk:
            report.skip(program, no_dpdk)
        else:
            report.run(program, logs, each=True)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
