# SPDX-License-Identifier: BSD-3-Clause
"""Compares our wire headers with definitions that others wrote.

Two programs print values, one made of our headers and one of theirs: whatever a compiler makes of a constant, an offset
or a size is what is compared. Headers of a kernel or a driver include what is not there for user space, so only their
constants, their enumerations and the structures that are asked for are taken out of them.
"""
import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Iterable, Iterator, Sequence

from .process import run

# Ours, in the folder lib. vmbus/user_proto.hpp is not among them: that protocol is ours alone.
HEADERS = ["vmbus/packet.hpp", "netvsc/nvsp.hpp", "netvsc/rndis.hpp", "netvsc/ndis.hpp"]
# A file and a commit in a comment.
CITATION = re.compile(r"[\w/]+\.(?:h|c|rs)\b.*?\b[0-9a-f]{12}\b", re.DOTALL)
# Names of fields that mean nothing: where they lie follows from their neighbours.
UNUSED = re.compile(r"(reserved|padding)\d*$")

SHOW = """
template <class T> void show(const char* name, const T& value)
{
	unsigned long long number = 0;
	std::printf("%s=", name);
	if constexpr (requires { value.bytes; }) {
		for (unsigned char byte : value.bytes)
			std::printf("%02x", byte);
	} else {
		if constexpr (requires { value.mask(); })
			number = value.mask();
		else
			number = (unsigned long long)value;
		std::printf("%#llx", number);
	}
	std::printf("\\n");
}
"""

# What their headers expect of a kernel, or of DPDK.
SHIM = """
typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
struct guid_t { unsigned char bytes[16]; };
#define GUID_INIT(a, b, c, ...) {{(a) & 255, (a) >> 8 & 255, (a) >> 16 & 255, (a) >> 24 & 255, \\
	(b) & 255, (b) >> 8 & 255, (c) & 255, (c) >> 8 & 255, __VA_ARGS__}}
#define PAGE_SIZE 4096
#define __packed __attribute__((packed))
#define __rte_packed __attribute__((packed))
#define __rte_packed_begin
#define __rte_packed_end __attribute__((packed))
"""


class WireError(Exception):
    """A header or a table that cannot be read."""


@dataclass
class Definition:
    """A constant, a structure or a field of our headers."""
    name: str
    comment: str = ""  # what is written beside it


@dataclass
class Pair:
    """The same thing in our words and in theirs."""
    name: str
    ours: str
    theirs: str


@dataclass
class Layout:
    """A structure of ours and one of theirs, field by field. A field of ours that is reserved may be left out."""
    ours: str
    theirs: str
    fields: str                 # words, ours=theirs or ours=first..last; one name if both have the same
    at: str = "0"               # how many bytes precede ours where theirs has them inside
    end: str | None = "sizeof"  # the field of theirs at which ours ends, or sizeof; None: theirs does not say

    def pairs(self) -> Iterator[Pair]:
        them = f"struct {self.theirs}"
        for word in self.fields.split():
            mine, _, other = word.partition("=")
            first, _, last = (other or mine).partition("..")
            size = f"sizeof((({them}*)nullptr)->{last or first})"
            if last:
                size = f"offsetof({them}, {last}) + {size} - offsetof({them}, {first})"
            yield Pair(f"{self.ours}.{mine}: offset", f"{self.at} + offsetof({self.ours}, {mine})", f"offsetof({them}, {first})")
            yield Pair(f"{self.ours}.{mine}: size", f"sizeof((({self.ours}*)nullptr)->{mine})", size)
        if self.end:
            yield Pair(f"{self.ours}: end", f"{self.at} + sizeof({self.ours})",
                       f"sizeof({them})" if self.end == "sizeof" else f"offsetof({them}, {self.end})")


@dataclass
class Source:
    """Definitions that somebody else wrote."""
    name: str
    headers: list[str]
    constants: str = ""         # lines: our name, and an expression in their words
    layouts: list[Layout] = field(default_factory=list)

    def pairs(self) -> list[Pair]:
        lines = [line.split(None, 1) for line in self.constants.splitlines() if line.strip()]
        return [Pair(mine, mine, theirs) for mine, theirs in lines] + [p for layout in self.layouts for p in layout.pairs()]


class Reader:
    """Reads one of our headers. What it does not understand is an error: nothing may be overlooked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text()
        self.comments = list(re.finditer(r"/\*.*?\*/|//[^\n]*", self.text, re.DOTALL))
        self.code = re.sub(r"/\*.*?\*/|//[^\n]*", lambda m: re.sub(r"[^\n]", " ", m[0]), self.text, flags=re.DOTALL)
        self.found: list[Definition] = []

    def read(self) -> list[Definition]:
        self.scope(0, len(self.code), "")
        return self.found

    def fail(self, position: int) -> WireError:
        line = self.text.count("\n", 0, position) + 1
        return WireError(f"{self.path}:{line}: not understood: {self.text[position:].splitlines()[0]}")

    def close(self, position: int) -> int:
        """The position of the bracket that closes the one here."""
        depth = 0
        for index in range(position, len(self.code)):
            depth += {"{": 1, "(": 1, "}": -1, ")": -1}.get(self.code[index], 0)
            if depth == 0:
                return index
        raise self.fail(position)

    def match(self, pattern: str, position: int) -> re.Match[str] | None:
        return re.compile(pattern).match(self.code, position)

    def skip(self, position: int, end: int) -> int:
        """The position of what comes next, or the end."""
        while position < end and self.code[position].isspace():
            position += 1
        return position

    def end(self, position: int) -> int:
        """The position behind the semicolon that ends what begins here."""
        while self.code[position] != ";":
            position = self.close(position) + 1 if self.code[position] in "{(" else position + 1
        return position + 1

    def beside(self, position: int) -> str:
        """The comments that belong to what is here: behind it on its line, and above it in its paragraph."""
        begin = self.text.rfind("\n\n", 0, position) + 1
        line = self.text.find("\n", position)
        above = [m[0] for m in self.comments if begin <= m.start() < position
                 and not self.text[self.text.rfind("\n", 0, m.start()) + 1:m.start()].strip()]
        return "\n".join(above + [m[0] for m in self.comments if position <= m.start() < line])

    def add(self, name: str, position: int, context: str = "") -> None:
        self.found.append(Definition(name, context + self.beside(position)))

    def scope(self, position: int, end: int, prefix: str) -> None:
        """Reads what stands in a namespace, or outside of all."""
        while (position := self.skip(position, end)) < end:
            if match := self.match(r"#\s*(?:include|pragma)\b[^\n]*", position):
                position = match.end()
            elif match := self.match(r"namespace\s+([\w:]+)\s*\{", position):
                close = self.close(match.end() - 1)
                self.scope(match.end(), close, f"{prefix}{match[1]}::")
                position = close + 1
            elif match := self.match(r"enum\s+(class\s+)?(\w+)\s*(?::\s*\w+\s*)?\{", position):
                close = self.close(match.end() - 1)
                self.enumerators(match.end(), close, prefix + (f"{match[2]}::" if match[1] else ""), self.beside(position))
                position = self.end(position)
            elif match := self.match(r"struct\s+(\w+)\s*\{", position):
                self.add(prefix + match[1], position)
                self.fields(match.end(), self.close(match.end() - 1), f"{prefix}{match[1]}.", "", self.beside(position))
                position = self.end(position)
            elif match := self.match(r"inline\s+constexpr\s+\w+\s+(\w+)\s*=", position):
                self.add(prefix + match[1], position)
                position = self.end(position)
            elif self.match(r"static_assert\s*\(", position):
                position = self.end(position)
            elif match := self.match(r"constexpr\s+\w+\s+\w+\(", position):
                position = self.close(self.code.index("{", self.close(match.end() - 1))) + 1
            else:
                raise self.fail(position)

    def enumerators(self, position: int, end: int, prefix: str, context: str) -> None:
        for match in re.compile(r"(\w+)(\s*=[^,}]*)?\s*(,|$)").finditer(self.code, position, end):
            self.add(prefix + match[1], match.start(), context)

    def fields(self, position: int, end: int, prefix: str, path: str, context: str) -> None:
        """Reads the members of a structure, and of what is nested in it."""
        declarator = r"([\w:]+\s+)?(\w+)\s*((\[\w+\]\s*)*);"
        while (position := self.skip(position, end)) < end:
            stop = self.end(position)
            if match := self.match(r"(struct|union)\s*\{", position):
                body, close = match.end(), self.close(match.end() - 1)
                inside = path
                if match := self.match(declarator, self.skip(close + 1, stop)):
                    self.add(prefix + path + match[2], position, context)
                    inside = f"{path}{match[2]}{'[0]' * match[3].count('[')}."
                self.fields(body, close, prefix, inside, context)
            elif match := self.match(declarator, position):
                self.add(prefix + path + match[2], position, context)
            elif "(" in self.code[position:stop]:  # a function; its body ends without a semicolon
                brace = self.code.find("{", position, stop)
                stop = stop if brace < 0 else self.close(brace) + 1
            else:
                raise self.fail(position)
            position = stop


def definitions(lib: Path) -> dict[str, Definition]:
    """Everything that our wire headers define, by name."""
    found: dict[str, Definition] = {}
    for header in HEADERS:
        for definition in Reader(lib / header).read():
            if definition.name in found:
                raise WireError(f"{lib / header}: {definition.name} is defined twice")
            found[definition.name] = definition
    return found


def extract(text: str, structures: Iterable[str]) -> str:
    """Of one of their headers: constants, enumerations, and these structures if they are there."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.DOTALL)
    text = re.sub(r"\\\n", " ", text)
    macros = re.findall(r"^[ \t]*#[ \t]*define[ \t]+\w+[ \t]+\S[^\n]*", text, re.MULTILINE)
    code = re.sub(r"^[ \t]*#[^\n]*", "", text, flags=re.MULTILINE)
    parts = re.findall(r"\benum\s+\w*\s*\{[^{}]*\}\s*;", code)
    for name in structures:
        if match := re.search(rf"\bstruct\s+(__\w+\s+)?{name}\s*\{{", code):
            end, depth = match.end(), 1
            while depth:
                depth += {"{": 1, "}": -1}.get(code[end], 0)
                end += 1
            parts.append(code[match.start():code.index(";", end) + 1])
    # The compiler says if a structure comes before one that it has inside: they stay in the header's order.
    parts.sort(key=code.index)
    return "\n".join([*macros, *parts])


def nested(texts: Sequence[str], wanted: Iterable[str]) -> set[str]:
    """These structures, and those that they have inside."""
    found: set[str] = set()
    todo = list(wanted)
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found.add(name)
        for text in texts:
            part = extract(text, [name])
            if match := re.search(rf"\bstruct\s+(__\w+\s+)?{name}\s*\{{", part):
                todo += re.findall(r"\bstruct\s+(\w+)\s+\w+\s*[\[;]", part[match.end():])
    return found


def values(preamble: str, expressions: Sequence[str], *flags: str) -> list[str]:
    """What a C++ compiler says that these are."""
    lines = "\n".join(f'\tshow("{number}", {text});' for number, text in enumerate(expressions))
    with TemporaryDirectory(prefix="netvsc-wire-") as folder:
        source, program = Path(folder) / "probe.cpp", Path(folder) / "probe"
        source.write_text(f"#include <cstddef>\n#include <cstdint>\n#include <cstdio>\n{SHOW}\n{preamble}\n"
                          f"int main()\n{{\n{lines}\n}}\n")
        run(*shlex.split(os.environ.get("CXX", "c++")), "-std=gnu++20", "-w", *flags, "-o", str(program), str(source),
            timeout=120)
        return [line.partition("=")[2] for line in run(str(program)).splitlines()]


def compare(lib: Path, source: Source, headers: Sequence[Path]) -> tuple[list[str], list[str]]:
    """Compares our headers in lib with a source. @return a line for each pair, and one for each difference"""
    pairs = source.pairs()
    ours = values("".join(f'#include "{header}"\n' for header in HEADERS), [pair.ours for pair in pairs], f"-I{lib}")
    texts = [header.read_text(errors="replace") for header in headers]
    structures = nested(texts, [layout.theirs for layout in source.layouts])
    theirs = values(SHIM + "\n".join(extract(text, structures) for text in texts), [pair.theirs for pair in pairs])
    same, different = [], []
    for pair, mine, other in zip(pairs, ours, theirs, strict=True):
        if mine == other:
            same.append(f"{pair.name} = {mine} = {pair.theirs} ({source.name})")
        else:
            different.append(f"{pair.name} is {mine}, but {pair.theirs} is {other} ({source.name})")
    return same, different


def overlooked(lib: Path, sources: Sequence[Source], cited: Iterable[str], alone: Iterable[str]) -> list[str]:
    """What our headers define, but nothing is compared with and no source is cited for. And what the tables have, but not
    the headers."""
    defined = definitions(lib)
    cited = set(cited)
    told = set(alone) | {pair.name for source in sources for pair in source.pairs()}
    told |= {name.partition(": ")[0] for name in told}  # of a structure's parts
    for layout in (layout for source in sources for layout in source.layouts):
        told |= {layout.ours, *(".".join(match) for match in re.findall(r"offsetof\((\S+), (\S+)\)", layout.at))}
    problems = []
    for name, definition in defined.items():
        structure = name.partition(".")[0]
        if name in cited:
            if not CITATION.search(definition.comment):
                problems.append(f"{name}: no file and commit is cited beside it")
        elif name not in told and structure not in cited | set(alone) and not UNUSED.search(name):
            problems.append(f"{name}: not compared with anything, and no source is cited")
    names = cited | set(alone) | {pair.name.partition(": ")[0] for source in sources for pair in source.pairs()}
    problems += [f"{name}: in a table, but not in our headers" for name in sorted(names - set(defined))]
    problems += [f"{name}: cited, but compared as well" for name in sorted(cited & told)]
    return problems
