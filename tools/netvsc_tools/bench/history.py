# SPDX-License-Identifier: BSD-3-Clause
"""A file with a line of JSON for each run, by which trends are seen."""
import json
from pathlib import Path
from typing import Any

from .instrument import WrongUsage


def entry(data: dict[str, Any]) -> dict[str, Any]:
    """What a report says of its new side, in short."""
    made, where = data["sides"]["new"]["made"], data["sides"]["new"]["where"]
    cases = {case: {"cycles": found["verdict"]["new"] or None, "instructions": found["instructions"]["new"],
                    "state": found["verdict"]["state"]} for case, found in data["cases"].items()}
    return {"time": data["time"], "commit": made["commit"], "dirty": made["dirty"], "where": where, "cases": cases}


def append(path: Path, data: dict[str, Any]) -> list[dict[str, Any]]:
    """Adds a report. @return the whole history, oldest first"""
    try:
        entries = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        if any("cases" not in found for found in entries):
            raise ValueError("a line has no cases")
    except ValueError as error:
        raise WrongUsage(f"{path} is no history: {error}") from error
    entries.append(entry(data))
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entries[-1]) + "\n")
    return entries
