# SPDX-License-Identifier: BSD-3-Clause
"""Plots as inline SVG, which needs nothing but a browser."""
import math
from dataclasses import dataclass
from html import escape
from typing import Sequence

BASE, NEW, LINE, BAND = "#8a8f98", "#1f6fb2", "#d5d8dc", "#eef1f4"
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 420, 220, 58, 14, 26, 34


@dataclass(frozen=True)
class Line:
    """A named series: y by x, None where there is none."""
    name: str
    colour: str
    values: Sequence[float | None]


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers from low to high."""
    raw = (high - low) / most
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str = LINE) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _dot(x: float, y: float, colour: str, tip: str) -> str:
    return (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}" fill-opacity="0.75">'
            f"<title>{escape(tip)}</title></circle>")


def _svg(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'role="img" aria-label="{escape(title)}">{_text(LEFT, 15, title, "start")}{"".join(parts)}</svg>')


def lines(title: str, labels: Sequence[str], series: Sequence[Line]) -> str:
    """Lines over places with labels, from zero up. Of many labels only some are shown."""
    top = 1.1 * max(value for line in series for value in line.values if value is not None)
    inner, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(i: int) -> float:
        return LEFT + inner * (i + 0.5) / len(labels)

    def y(value: float) -> float:
        return TOP + height * (1 - value / top)

    parts = []
    for tick in ticks(0, top):
        parts += [_line(LEFT, y(tick), WIDTH - RIGHT, y(tick)), _text(LEFT - 6, y(tick) + 4, f"{tick:g}", "end")]
    every = math.ceil(len(labels) / 8)
    parts += [_text(x(i), HEIGHT - BOTTOM + 16, label) for i, label in enumerate(labels) if i % every == 0]
    for number, line in enumerate(series):
        points = [(x(i), y(value), value) for i, value in enumerate(line.values) if value is not None]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py, _ in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{line.colour}" stroke-width="1.5"/>')
        parts += [_dot(px, py, line.colour, f"{line.name}: {value:.1f}") for px, py, value in points]
        parts.append(f'<g fill="{line.colour}">{_text(LEFT + 90 * number, HEIGHT - 4, line.name, "start")}</g>')
    return _svg(WIDTH, HEIGHT, title, parts)


@dataclass(frozen=True)
class Strip:
    """A row of dots for each of two sets of changes, and the band in which they are noise."""
    name: str
    calibration: Sequence[float]
    comparison: Sequence[float]
    threshold: float


def strips(title: str, rows: Sequence[Strip]) -> str:
    """All changes under each other, with one axis."""
    width, left, each = 2 * WIDTH, 150, 34
    height = TOP + each * len(rows) + BOTTOM
    reach = 1.1 * max(abs(value) for row in rows for value in (*row.calibration, *row.comparison, row.threshold))

    def x(value: float) -> float:
        return left + (width - left - RIGHT) * (value + reach) / (2 * reach)

    bands, dots = [], []
    for i, row in enumerate(rows):
        y = TOP + each * i
        begin, end = x(-row.threshold), x(row.threshold)
        bands.append(f'<rect x="{begin:.1f}" y="{y + 2}" width="{end - begin:.1f}" height="{each - 4}" fill="{BAND}"/>')
        dots.append(_text(left - 8, y + each / 2 + 4, row.name, "end"))
        dots += [_dot(x(value), y + 11, BASE, f"base against itself: {value:+.1%}") for value in row.calibration]
        dots += [_dot(x(value), y + each - 11, NEW, f"new against base: {value:+.1%}") for value in row.comparison]
    axis = []
    for tick in ticks(-reach, reach, 9):
        axis += [_line(x(tick), TOP, x(tick), height - BOTTOM), _text(x(tick), height - BOTTOM + 16, f"{tick:+.1%}")]
    return _svg(width, height, title, [*bands, *axis, *dots])
