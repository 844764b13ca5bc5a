# SPDX-License-Identifier: BSD-3-Clause
"""What all instruments share. An instrument is a module of this package, named as its command, with

  ABOUT                       one line of help
  TARGETS                     what it needs of meson's targets
  add_options(parser)         its own options, beside the common ones
  list_cases(options)         the cases that are chosen
  measure(options)            measures, with progress by console.say(); the Outcome is printed and written by the caller

`options` has, of the common ones: build (the folder of the build), quick, and case (a list of patterns; empty = all).
Both functions may raise ProcessError (a measurement failed) and WrongUsage.
"""
import argparse
import os
import time
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Sequence

from .. import machine
from .surroundings import machine_here, versions

FOLDER = machine.ROOT / "build-bench"  # of builds that are made to be measured
LOGS = Path(os.environ.get("NETVSC_LOGS", FOLDER / "logs"))
SCHEMA = 1
OK, FAILED, WRONG, INCONCLUSIVE = range(4)  # exit codes


class WrongUsage(Exception):
    """The command line cannot be meant so."""


@dataclass
class Outcome:
    """What an instrument found."""
    code: int               #: exit code
    text: str               #: for people: tables, and what there is to be said of them
    data: dict[str, Any]    #: for programs: what report() makes


def report(instrument: str, build: Path, settings: dict[str, Any], cases: dict[str, Any]) -> dict[str, Any]:
    """The frame that all JSON files have; docs/performance.md describes them."""
    return {"schema": SCHEMA, "instrument": instrument, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": machine_here(), "versions": versions(build), "settings": settings, "cases": cases}


def output(text: str) -> Path:
    """An option's file that is written in the end: what is wrong with its folder is better known before."""
    path = Path(text)
    if not os.access(path.resolve().parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{path.resolve().parent} cannot be written to")
    return path


def chosen(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Those that match one of the patterns; all, where there is none."""
    return [name for name in names if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)]
