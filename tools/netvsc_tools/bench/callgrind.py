# SPDX-License-Identifier: BSD-3-Clause
"""Reads what callgrind counted. A program has a profile written for each thing that it measures, under its name."""
import re
from pathlib import Path

from ..process import ProcessError

REQUESTED = re.compile(r"^desc: Trigger: Client Request: (.+)$", re.M)
EVENTS = re.compile(r"^events: (.+)$", re.M)
TOTALS = re.compile(r"^totals: (.+)$", re.M)


def parse(text: str) -> tuple[str, int]:
    """@return for what a profile was asked, empty if it was not, and how many instructions it has"""
    events, totals = EVENTS.search(text), TOTALS.search(text)
    if not events or not totals:
        raise ProcessError("this is no profile of callgrind: it has no events, or no totals")
    try:
        count = dict(zip(events[1].split(), map(int, totals[1].split())))["Ir"]
    except (KeyError, ValueError) as error:
        raise ProcessError(f"callgrind counted no instructions: '{events[0]}', '{totals[0]}'") from error
    requested = REQUESTED.search(text)
    return requested[1].strip() if requested else "", count


def counts(folder: Path) -> dict[str, int]:
    """Instructions by name, of all profiles in a folder that were asked for."""
    found: dict[str, int] = {}
    for path in sorted(folder.glob("callgrind.out*")):
        name, count = parse(path.read_text(errors="replace"))
        if name:
            found[name] = found.get(name, 0) + count
    return found
