#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Our wire headers say what the headers of DPDK and of the Linux kernel say, constant by constant and field by field."""
import re
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from netvsc_tools import harness, machine, packages, wire, wire_table  # noqa: E402
from netvsc_tools.process import ProcessError, run  # noqa: E402

LIB = machine.ROOT / "lib"


class Wire(harness.Case):
    def setUp(self) -> None:
        """A compiler is all that is needed."""

    def compare(self, source: wire.Source, folder: Path) -> None:
        """All that is compared with a source is listed in a log."""
        headers = [folder / name for name in source.headers]
        same, different = wire.compare(LIB, source, headers)
        log = self.log("pairs")
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("\n".join([*(f"{header}" for header in headers), *different, *same]) + "\n")
        if different:
            self.fail("\n".join(different))
        self.assertGreater(len(same), 50)

    def dpdk_bus(self) -> Path:
        """Where the installed DPDK has its VMBus header."""
        try:
            flags = run("pkg-config", "--cflags-only-I", "libdpdk", "--keep-system-cflags").split()
        except ProcessError as error:
            self.skipTest(f"DPDK is not installed ({error})")
        for flag in flags:
            if (Path(flag[2:]) / "rte_vmbus_reg.h").is_file():
                return Path(flag[2:])
        self.skipTest("the installed DPDK has no rte_vmbus_reg.h")

    def test_dpdk_bus(self) -> None:
        self.compare(wire_table.DPDK_BUS, self.dpdk_bus())

    def test_dpdk_netvsc(self) -> None:
        folder = machine.BUILD / "dpdk-headers/wire"
        if not folder.is_dir():
            self.skipTest(f"no {folder}: tools/dpdk-headers had nothing to fetch, as the installed DPDK has its driver headers")
        self.compare(wire_table.DPDK_NETVSC, folder)

    def test_linux(self) -> None:
        folder, none = packages.kernel_headers()
        self.need(none)
        self.compare(wire_table.LINUX, folder)

    def test_nothing_is_overlooked(self) -> None:
        problems = wire.overlooked(LIB, wire_table.SOURCES, wire_table.CITED, wire_table.ALONE)
        if problems:
            self.fail("\n".join(problems))

    def changed(self, folder: str, header: str, pattern: str, replacement: str) -> Path:
        """A copy of our headers in which something is different."""
        for name in wire.HEADERS:
            (Path(folder) / name).parent.mkdir(exist_ok=True)
            shutil.copy(LIB / name, Path(folder) / name)
        path = Path(folder) / header
        text, count = re.subn(pattern, replacement, path.read_text(), flags=re.DOTALL)
        self.assertEqual(count, 1, f"{header} has not one {pattern}")
        path.write_text(text)
        return Path(folder)

    def test_a_wrong_value_is_found(self) -> None:
        folder = self.dpdk_bus()
        for pattern, replacement, names in [
                # A constant, the order of two fields, and the size of one.
                (r"kGpaDirect = 9", "kGpaDirect = 8", ["vmbus::PacketType::kGpaDirect"]),
                (r"(uint16_t data_offset8;)\s*(uint16_t length8;)", r"\2 \1",
                 ["vmbus::PacketDescriptor.data_offset8: offset", "vmbus::PacketDescriptor.length8: offset"]),
                (r"uint32_t pending_send_size;(.*?)reserved1\[12\]", r"uint16_t pending_send_size;\1reserved1[12]",
                 ["vmbus::RingControl.pending_send_size: size"])]:
            with self.subTest(names[0]), TemporaryDirectory() as temporary:
                lib = self.changed(temporary, "vmbus/packet.hpp", pattern, replacement)
                _, different = wire.compare(lib, wire_table.DPDK_BUS, [folder / "rte_vmbus_reg.h"])
                self.assertEqual([line.partition(" is ")[0] for line in different], names)

    def test_a_new_definition_is_found(self) -> None:
        for pattern, replacement, name in [
                (r"(kOidQueryEx = )", r"kNew = 1000, \1", "nvsp::kNew"),
                (r"(inline constexpr uint32_t kNoSection)", r"inline constexpr uint32_t kNew = 1;\n\1", "nvsp::kNew"),
                (r"(struct SwitchDataPath \{)", r"\1 uint32_t fresh;", "nvsp::SwitchDataPath.fresh"),
                (r"(struct SwitchDataPath \{)", r"struct Fresh { uint32_t reserved; };\n\1", "nvsp::Fresh"),
                (r"kStatusBusy = 6,\s*/\*[^*]*\*/", "kStatusBusy = 6,", "nvsp::kStatusBusy")]:
            with self.subTest(name), TemporaryDirectory() as temporary:
                lib = self.changed(temporary, "netvsc/nvsp.hpp", pattern, replacement)
                problems = wire.overlooked(lib, wire_table.SOURCES, wire_table.CITED, wire_table.ALONE)
                self.assertEqual([line.partition(": ")[0] for line in problems], [name])
        with TemporaryDirectory() as temporary:
            lib = self.changed(temporary, "netvsc/nvsp.hpp", r"(struct SwitchDataPath \{)", r"class Odd {};\n\1")
            with self.assertRaisesRegex(wire.WireError, "not understood: class Odd"):
                wire.definitions(lib)


harness.main(__name__)
