# SPDX-License-Identifier: BSD-3-Clause
"""The report of a comparison as one HTML file, without scripts and without anything from elsewhere."""
import math
import re
from html import escape
from typing import Any, Sequence

from .plots import BASE, NEW, Line, Strip, lines, strips
from .verdict import FASTER, NOISY, SLOWER, logarithms

STYLE = """\
body { font: 15px/1.45 system-ui, sans-serif; color: #22262a; background: #fff; max-width: 1100px; margin: 2em auto;
  padding: 0 1em }
table { border-collapse: collapse; margin: 1em 0; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .25em .8em .25em 0; border-bottom: 1px solid #d5d8dc; vertical-align: top }
svg { max-width: 100%; height: auto } svg text { font: 12px system-ui, sans-serif }
.slower { color: #b3261e; font-weight: 600 } .faster { color: #1b7a3d } .noisy { color: #8a5a00 }"""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row)

    body = []
    for row in rows:
        state = row[-1].partition(":")[0]
        mark = f' class="{state}"' if state in (SLOWER, FASTER, NOISY) else ""
        body.append(f"<tr{mark}>{cells('td', row)}</tr>")
    return f"<table><thead><tr>{cells('th', head)}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def _sides(data: dict[str, Any]) -> str:
    rows = []
    for name, side in data["sides"].items():
        made, where = side["made"], side["where"]
        commit = made["commit"][:12] + (" and changes" if made["dirty"] else "")
        rows.append([name, side["name"], commit, made["compiler"],
                     f"{where['cpu']}, {where['cores']} CPUs, Linux {where['kernel']}",
                     f"DPDK {where['dpdk']}, {where['libc']}", where["devices"]])
    return _table(["", "named", "commit", "compiler", "measured on", "with", "devices"], rows)


def _ratios(cases: dict[str, Any]) -> str:
    rows = []
    for case, found in cases.items():
        calibration, comparison = ([math.expm1(value) for value in logarithms(found[kind])] for kind in ("aa", "ab"))
        if calibration:
            rows.append(Strip(case, calibration, comparison, found["verdict"]["threshold"]))
    return strips("change of cycles in each pair of processes", rows) if rows else ""


def _by_size(cases: dict[str, Any]) -> str:
    sizes: dict[str, list[tuple[int, float, float]]] = {}
    for case, found in cases.items():
        match = re.fullmatch(r"(\w+)/(\d+)", case)
        if match and found["verdict"]["base"]:
            sizes.setdefault(match[1], []).append((int(match[2]), found["verdict"]["base"], found["verdict"]["new"]))
    plots = []
    for way, points in sizes.items():
        points.sort()
        sides = [Line("base", BASE, [base for _, base, _ in points]), Line("new", NEW, [new for _, _, new in points])]
        plots.append(lines(f"{way}: cycles per frame by size", [str(size) for size, _, _ in points], sides))
    return "".join(plots)


def _trends(data: dict[str, Any], past: Sequence[dict[str, Any]]) -> str:
    """Of each case, what was measured under the same circumstances as now."""
    here = data["sides"]["new"]["where"]
    entries = [entry for entry in past if entry["where"] == here]
    labels = [entry["commit"][:7] + ("+" if entry["dirty"] else "") for entry in entries]
    plots = []
    for case in data["cases"]:
        for what, colour in (("cycles", NEW), ("instructions", BASE)):
            values = [entry["cases"].get(case, {}).get(what) for entry in entries]
            if any(value is not None for value in values):
                plots.append(lines(f"{case}: {what} per frame", labels, [Line(what, colour, values)]))
    others = len(past) - len(entries)
    note = f"<p>{others} more runs in the history were made elsewhere or with other libraries.</p>" if others else ""
    return "".join(plots) + note


def page(data: dict[str, Any], said: Sequence[str], head: Sequence[str], rows: Sequence[Sequence[str]],
         past: Sequence[dict[str, Any]]) -> str:
    """@param said: sentences; @param head, rows: the table; @param past: the history"""
    result = "".join(f"<p>{escape(line)}</p>" for line in reversed(said)) + _table(head, rows)
    sections = [("Result", result), ("Sides", _sides(data)), ("Ratios", _ratios(data["cases"])),
                ("Sizes", _by_size(data["cases"])), ("History", _trends(data, past))]
    body = "\n".join(f"<section><h2>{title}</h2>\n{content}</section>" for title, content in sections if content)
    return ('<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8">'
            f"<title>netvsc-pmd: regression report</title>\n<style>{STYLE}</style></head>\n"
            f"<body><h1>Regression report</h1><p>{escape(data['time'])}. Grey is the base "
            "(in Ratios: beside itself), blue the new driver; a band is what is taken for noise.</p>\n"
            f"{body}\n</body></html>\n")
