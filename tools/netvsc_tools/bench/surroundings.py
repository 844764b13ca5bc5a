# SPDX-License-Identifier: BSD-3-Clause
"""What a result depends on beside the driver: the machine, and what the driver was built with."""
import json
import platform
import re
from pathlib import Path
from typing import Any, Mapping

from .. import machine
from ..process import ProcessError, run

TARGET = "rte_net_netvsc"
# What has to be equal for numbers to be comparable, and how to name it.
SAME_CODE = {"compiler": "compiler", "flags": "compiler's flags"}
SAME_LIBRARIES = {"dpdk": "DPDK", "libc": "C library", "valgrind": "valgrind"}
SAME_MACHINE = {"cpu": "CPU", "cores": "number of CPUs", "kernel": "kernel", "host": "machine"}


def _asked(*command: str) -> str:
    """What a program says, empty where it is not there."""
    try:
        return run(*command, timeout=20).strip()
    except ProcessError:
        return ""


def _cpu_field(name: str) -> str:
    match = re.search(rf"^{name}\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    return match[1] if match else ""


def machine_here() -> dict[str, Any]:
    """This machine. What valgrind simulates has AVX2 where the machine has it, and no later extension."""
    avx2 = " avx2" if "avx2" in _cpu_field("flags").split() else ""
    return {"host": platform.node(), "cpu": _cpu_field("model name") or platform.machine(),
            "cores": len(machine.cpus()), "kernel": platform.release(), "arch": platform.machine() + avx2}


def _source_of(build: Path) -> Path | None:
    """Whose build it is."""
    try:
        return Path(json.loads((build / "meson-info/meson-info.json").read_text())["directories"]["source"])
    except (OSError, ValueError, KeyError):
        return None


def _flags(build: Path) -> str:
    """The compiler's flags for the driver, without what tells only where files are, or what to warn of."""
    try:
        targets = json.loads((build / "meson-info/intro-targets.json").read_text())
    except (OSError, ValueError):
        return ""
    parameters = [parameter for target in targets if target["name"] == TARGET
                  for source in target["target_sources"] for parameter in source.get("parameters", [])]
    return " ".join(parameter for parameter in parameters if not re.match("-I|-W|-fdiagnostics", parameter))


def _compiler(plugin: Path) -> str:
    """As compilers write it into what they make."""
    found = re.findall(rb"GCC: \([^)]*\) [\d.]+|[^\0]*clang version [^\0]*", plugin.read_bytes())
    return ", ".join(sorted({name.decode(errors="replace") for name in found}))


def build_of(plugin: Path) -> Path | None:
    """The build folder that a plugin lies in."""
    return next((folder for folder in plugin.resolve().parents if (folder / "meson-info").is_dir()), None)


def provenance(plugin: Path) -> dict[str, Any]:
    """Of which source, and how, a plugin was made. What is not known is empty."""
    build = build_of(plugin)
    source = _source_of(build) if build else None
    commit = _asked("git", "-C", str(source), "rev-parse", "HEAD") if source else ""
    return {"plugin": str(plugin), "compiler": _compiler(plugin), "flags": _flags(build) if build else "",
            "commit": commit,
            "dirty": bool(commit and _asked("git", "-C", str(source), "status", "--porcelain"))}


def versions(build: Path) -> dict[str, Any]:
    """What measures, and the libraries that are measured along."""
    libc = " ".join(platform.libc_ver())
    plugin = plugin_of(build)
    return {"dpdk": _asked("pkg-config", "--modversion", "libdpdk"), "libc": libc,
            "valgrind": _asked("valgrind", "--version"), **(provenance(plugin) if plugin.is_file() else {})}


def plugin_of(build: Path) -> Path:
    """The driver in a build folder."""
    return build / "drivers/librte_net_netvsc.so"


def differences(a: Mapping[str, Any], b: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    """Which of the named things are not equal, or not known; of long ones, the words that are not in both."""
    found = []
    for name, text in names.items():
        words = [str(side.get(name) or "unknown").split() for side in (a, b)]
        if words[0] != words[1] or words[0] == ["unknown"]:
            only = [" ".join(word for word in words[i] if word not in words[1 - i]) or "nothing more" for i in range(2)]
            found.append(f"{text} ({only[0]}; {only[1]})")
    return found
