# SPDX-License-Identifier: BSD-3-Clause
"""Progress lines with the elapsed time, and tables."""
import os
import sys
import time
from typing import Sequence

BEGAN = float(os.environ.get("NETVSC_BEGAN", time.time()))


def elapsed() -> float:
    """Seconds since the tool was called."""
    return time.time() - BEGAN


def say(text: str) -> None:
    """Prints a progress line."""
    print(f"[{elapsed():4.0f}s] {text}", flush=True)


def complain(text: str) -> None:
    """Prints an error."""
    sys.stdout.flush()
    print(text, file=sys.stderr, flush=True)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned by blanks, a line under the head."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths)).rstrip()

    return "\n".join([line(head), "  ".join("-" * width for width in widths), *(line(row) for row in rows)])
