# SPDX-License-Identifier: BSD-3-Clause
"""The two sides of a comparison: drivers, from wherever they are named, or what was measured of one before."""
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import machine
from ..build import build
from ..process import run
from .instrument import FOLDER, SCHEMA, WrongUsage
from .program import Effort, Subject, driver, no_uio
from .surroundings import (SAME_CODE, SAME_LIBRARIES, SAME_MACHINE, TARGET, differences, machine_here, plugin_of,
                           provenance, versions)

Pairs = dict[str, list[tuple[list[float], list[float]]]]  # by case: the samples of two processes that ran side by side


@dataclass
class Side:
    """A driver that can be run; or a stored baseline, which has no subject."""
    name: str                   #: as it was named
    made: dict[str, Any]        #: what surroundings.provenance() says, of which source and compiler it is
    subject: Subject | None = None
    where: dict[str, Any] = field(default_factory=dict)     #: the machine and libraries that it is measured with
    pairs: Pairs = field(default_factory=dict)              #: of a stored one: itself beside itself
    counts: dict[str, float] = field(default_factory=dict)  #: of a stored one: instructions per frame; the same cases


def here(program_build: Path, effort: Effort) -> dict[str, Any]:
    """What sides that run now are measured with. Without hugepages they meet their host through vdevs."""
    libraries = versions(program_build)
    return {**machine_here(), **{name: libraries[name] for name in SAME_LIBRARIES},
            "devices": "vdev" if no_uio() else "uio",
            "effort": f"{effort.samples} samples of {effort.steps} steps"}


def of_plugin(name: str, plugin: Path, where: dict[str, Any]) -> Side:
    """A driver that is built."""
    subject = driver(name, plugin, where["devices"] == "uio")
    return Side(name, provenance(plugin), subject, where)


def of_stored(path: Path) -> Side:
    """What 'regress --save', or any regress with --json, wrote: of the latter the base."""
    try:
        data = json.loads(path.read_text())
        if (data["instrument"], data["schema"]) != ("regress", SCHEMA):
            raise WrongUsage(f"{path} is of {data['instrument']} (schema {data['schema']}), not of regress (schema "
                             f"{SCHEMA})")
        complete = {case: found for case, found in data["cases"].items()
                    if found["aa"] and found["instructions"]["base"]}
        if not complete:
            raise WrongUsage(f"{path} has no case with both cycles and instructions")
        return Side(str(path), data["sides"]["base"]["made"], None, data["sides"]["base"]["where"],
                    {case: [(first, second) for first, second in found["aa"]] for case, found in complete.items()},
                    {case: found["instructions"]["base"] for case, found in complete.items()})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WrongUsage(f"{path} is no stored baseline: {error!r}") from error


def commit_of(revision: str) -> str:
    """The full name of a revision, empty if there is none."""
    return run("git", "-C", str(machine.ROOT), "rev-parse", "--verify", "--quiet", "--end-of-options",
               f"{revision}^{{commit}}", check=False).strip()


def build_revision(commit: str, program_build: Path) -> Path:
    """Builds the driver of a commit, once, in a folder that is kept. @return the build"""
    folder = FOLDER / "regress" / commit[:12]
    source, target = folder / "source", folder / "build"
    if not (source / "meson.build").is_file():
        shutil.rmtree(source, ignore_errors=True)
        run("git", "-C", str(machine.ROOT), "worktree", "prune")
        run("git", "-C", str(machine.ROOT), "worktree", "add", "--detach", str(source), commit, timeout=300)
    headers = program_build / "dpdk-headers"
    if headers.is_dir() and not (target / headers.name).exists():
        shutil.copytree(headers, target / headers.name)  # else they would be downloaded again
    build(target, ["--buildtype=release"], [TARGET], source)
    return target


def resolve(name: str, program_build: Path, where: dict[str, Any]) -> Side:
    """BASE or NEW of the command line."""
    path = Path(name)
    if path.is_file():
        return of_stored(path)
    if path.is_dir():
        return of_plugin(name, plugin_of(path), where)
    commit = commit_of(name)
    if not commit:
        raise WrongUsage(f"'{name}' is no revision of this repository, no build folder, and no stored baseline")
    return of_plugin(name, plugin_of(build_revision(commit, program_build)), where)


def obstacles(base: Side, new: Side) -> tuple[list[str], list[str]]:
    """Why cycles, and why instructions, cannot be compared. Where both sides run now, both can."""
    if base.subject and new.subject:
        return [], []
    counts = [*differences(base.made, new.made, SAME_CODE),
              *differences(base.where, new.where, {**SAME_LIBRARIES, "arch": "instruction set", "devices": "devices"})]
    return [*counts, *differences(base.where, new.where, {**SAME_MACHINE, "effort": "effort"})], counts
