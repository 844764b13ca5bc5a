#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The files that only FreeBSD builds: checked by a compiler on any machine.

Against declarations of what they use of FreeBSD (test/freebsd/stubs), and against FreeBSD itself where FREEBSD_SYSROOT
names a folder with its headers; with FREEBSD_SRC, a source tree, the kernel modules are checked, too.
"""
import json
import os
import shlex
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from netvsc_tools import harness, machine  # noqa: E402
from netvsc_tools.process import ProcessError, run  # noqa: E402

ROOT = machine.ROOT
STUBS = ROOT / "test/freebsd/stubs"
STRICT = ["-std=gnu++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror"]
TARGET = "--target=x86_64-unknown-freebsd15.0"
# Kernel interfaces that are made of descriptions, by the tree's own awk programs.
INTERFACES = ("kern/bus_if.m", "kern/device_if.m", "dev/pci/pci_if.m", "dev/pci/pcib_if.m", "dev/hyperv/vmbus/vmbus_if.m")
KERNEL = ["-O2", "-D_KERNEL", "-DKLD_MODULE", "-DINVARIANTS", "-DINVARIANT_SUPPORT", "-DSMP", "-nostdinc", "-ffreestanding",
          "-mcmodel=kernel", "-mno-red-zone", "-mno-sse", "-msoft-float", "-fwrapv", "-fno-stack-protector", "-std=gnu17", "-Wall",
          "-Wstrict-prototypes", "-Wmissing-prototypes", "-Wpointer-arith", "-Wundef", "-Wno-pointer-sign",
          "-Wno-format-zero-length", "-Wno-unknown-pragmas", "-D__printf__=__freebsd_kprintf__", "-Werror", "-fsyntax-only"]


def own_files() -> list[Path]:
    """What is built on FreeBSD only, and what looks different there."""
    return sorted([*ROOT.glob("lib/os/freebsd/*.cpp"), *ROOT.glob("lib/os/test/freebsd/*.cpp"), *ROOT.glob("lib/**/*_freebsd.cpp"),
                   *ROOT.glob("drivers/**/*_freebsd.cpp"), ROOT / "lib/vmbus/hv_uio_scan.cpp"])


def driver_flags() -> list[str]:
    """How the build compiles a file that includes DPDK: directories and definitions."""
    for entry in json.loads((machine.BUILD / "compile_commands.json").read_text()):
        if entry["file"].endswith("bus/vmbus/real.cpp"):
            words = shlex.split(entry["command"])
            flags = [word for word in words if word.startswith(("-I", "-D", "-m", "-isystem"))]
            return [f"-I{Path(entry['directory'], flag[2:]).resolve()}" if flag.startswith("-I") else flag for flag in flags]
    raise AssertionError("the build does not know drivers/bus/vmbus/real.cpp")


class FreeBsd(harness.Case):
    def setUp(self) -> None:
        """A compiler is all that is needed."""

    def check(self, command: list[str], files: list[Path]) -> None:
        wrong = []
        for file in files:
            try:
                run(*command, str(file))
            except ProcessError as error:
                wrong.append(str(error))
        self.assertFalse(wrong, "\n".join(wrong))

    def test_declared(self) -> None:
        """Types and names, with declarations in the place of FreeBSD's headers."""
        files = own_files()
        self.assertGreater(len(files), 6)
        compiler = shlex.split(os.environ.get("CXX", "c++"))
        # A msghdr counts its pieces in a type that differs.
        include = ["-Wno-sign-compare", f"-I{STUBS}", "-include", "freebsd.h", f"-I{ROOT / 'lib'}", f"-I{ROOT / 'kernel/freebsd/hv_uio'}"]
        plain = [file for file in files if "drivers" not in file.parts]
        self.check([*compiler, *STRICT, *include, "-D__FreeBSD__=15"], plain)
        self.check([*compiler, *STRICT, "-Wno-volatile", *driver_flags(), *include], [file for file in files if file not in plain])

    def test_a_mistake_is_seen(self) -> None:
        """The check above can fail."""
        compiler = shlex.split(os.environ.get("CXX", "c++"))
        with TemporaryDirectory() as folder:
            file = Path(folder) / "wrong.cpp"
            text = (ROOT / "lib/vmbus/uio_os_freebsd.cpp").read_text()
            file.write_text(text.replace("::modfind(name.c_str())", "::modfind(name)"))
            with self.assertRaises(ProcessError):
                run(*compiler, *STRICT, f"-I{STUBS}", "-include", "freebsd.h", f"-I{ROOT / 'lib/vmbus'}", str(file))

    def test_sysroot(self) -> None:
        """FreeBSD's own headers and its C++ library; drivers where DPDK is there, too."""
        root = os.environ.get("FREEBSD_SYSROOT", "")
        self.need("" if root else "FREEBSD_SYSROOT names no folder with FreeBSD's headers")
        command = ["clang++", TARGET, f"--sysroot={root}", "-stdlib=libc++", *STRICT, f"-I{ROOT / 'lib'}",
                   f"-I{ROOT / 'kernel/freebsd/hv_uio'}"]
        self.check(command, [file for file in own_files() if "drivers" not in file.parts])

    def test_kernel_modules(self) -> None:
        """With the warnings of FreeBSD's build."""
        source = os.environ.get("FREEBSD_SRC", "")
        self.need("" if source else "FREEBSD_SRC names no source tree of FreeBSD")
        kernel = Path(source) / "sys"
        with TemporaryDirectory() as folder:
            for name, target in (("machine", "amd64/include"), ("x86", "x86/include"), ("i386", "i386/include")):
                (Path(folder) / name).symlink_to(kernel / target)
            (Path(folder) / "opt_global.h").touch()
            for interface in INTERFACES:
                run("sh", "-c", 'cd "$1" && awk -f "$2/tools/makeobjops.awk" "$2/$3" -h', "sh", folder, str(kernel), interface)
            for kind in ("-h", "-p", "-q"):
                run("sh", "-c", 'cd "$1" && awk -f "$2/tools/vnode_if.awk" "$2/kern/vnode_if.src" "$3"', "sh", folder, str(kernel), kind)
            self.check(["clang", TARGET, *KERNEL, "-include", f"{folder}/opt_global.h", f"-I{folder}", f"-I{kernel}",
                        f"-I{kernel / 'contrib/ck/include'}"], sorted((ROOT / "kernel/freebsd/hv_uio").glob("*.c")))


harness.main(__name__)
