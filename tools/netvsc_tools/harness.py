# SPDX-License-Identifier: BSD-3-Clause
"""Runs a system test file: unittest cases, one line of begin and end each in GoogleTest's form.

A file ends with `harness.main(__name__)` and can be run by itself: test/system/test_icmp.py [-k NAME].
"""
import argparse
import os
import sys
import time
import traceback
import unittest
from pathlib import Path
from types import TracebackType
from typing import Any, Callable, Iterator

from . import machine
from .process import Process, ProcessError, end_on_signals

QUICK = bool(os.environ.get("NETVSC_QUICK"))


class Case(unittest.TestCase):
    """A test case with a log of its own."""

    longMessage = True

    def log(self, name: str = "testpmd") -> Path:
        """A log file for a process of this case."""
        return machine.LOGS / f"{self.id().split('.', 1)[-1]}.{name}.log"

    def eventually(self, what: str, condition: Callable[[], bool], timeout: float = 30) -> None:
        """Waits for a condition. what: to say if it does not come true"""
        deadline = time.monotonic() + timeout
        while not condition():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.1)

    def need(self, *reasons: str) -> None:
        """Skips the case where one of the reasons is not empty."""
        for reason in reasons:
            if reason:
                self.skipTest(reason)

    def setUp(self) -> None:
        if not machine.plugin().is_file():
            self.fail(f"{machine.plugin()} is not built")
        if machine.bad_place():
            self.fail(machine.bad_place())
        self.addCleanup(Process.kill_all)


def flatten(suite: Any) -> Iterator[unittest.TestCase]:
    for test in suite:
        if isinstance(test, unittest.TestCase):
            yield test
        else:
            yield from flatten(test)


def name_of(test: unittest.TestCase) -> str:
    return f"{type(test).__name__}.{test.id().rsplit('.', 1)[-1]}"


class Result(unittest.TestResult):
    """Prints begin and end of each case as GoogleTest does."""

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self.began = time.monotonic()
        self.outcome = "      OK"
        print(f"[ RUN      ] {name_of(test)}", flush=True)

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        print(f"[{self.outcome.rjust(9)} ] {name_of(test)} ({(time.monotonic() - self.began) * 1000:.0f} ms)", flush=True)

    def _failed(self, error: tuple[type[BaseException], BaseException, TracebackType] | Any) -> None:
        self.outcome = " FAILED "
        if isinstance(error[1], (ProcessError, AssertionError)):
            where = [frame for frame in traceback.extract_tb(error[2]) if "/test/system/" in frame.filename]
            print(f"{where[-1].filename}:{where[-1].lineno}: " if where else "", end="")
            print(error[1], flush=True)
        else:
            traceback.print_exception(*error, file=sys.stdout)

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addFailure(test, err)
        self._failed(err)

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        super().addError(test, err)
        self._failed(err)

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            print(subtest)
            self._failed(err)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        self.outcome = " SKIPPED "
        print(f"Skipped: {reason}", flush=True)


def main(module: str) -> None:
    """Runs the cases of a file that is run as a program."""
    if module != "__main__":
        return
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("-k", metavar="NAME", action="append", help="only cases with NAME in their name (or a further NAME)")
    parser.add_argument("--list", action="store_true", help="list the cases and run none")
    options = parser.parse_args()
    end_on_signals()
    tests = list(flatten(unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])))
    if options.k:
        names = {name_of(test) for test in tests}
        tests = [test for test in tests
                 if any(name == name_of(test) or name not in names and name in name_of(test) for name in options.k)]
    if options.list:
        print("\n".join(name_of(test) for test in tests))
        sys.exit(0)
    result = Result()
    unittest.TestSuite(tests).run(result)
    sys.exit(0 if result.wasSuccessful() else 1)
