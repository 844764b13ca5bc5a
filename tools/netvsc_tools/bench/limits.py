# SPDX-License-Identifier: BSD-3-Clause
"""Whether a rate is that of the driver, or of what it was measured with. Pure functions.

Driver and host each have a CPU, and the slower of them never waits for the other one. So both are asked how long they
waited; docs/performance.md tells how that is known, and why the threshold is what it is.
"""
from dataclasses import dataclass

DRIVER, HOST, BOTH = "driver", "host", "both"
SOME = 0.2  # of the time: who waits for longer is not the limit


@dataclass(frozen=True)
class Waits:
    """Which part of the time was spent waiting for the other side."""
    driver: float
    host: float

    def limit(self) -> str:
        """Who was the limit. Both: they waited for each other, as where only so many frames are on their way."""
        if self.driver <= SOME:
            return DRIVER
        return HOST if self.host <= SOME else BOTH


def known(top: Waits, bottom: Waits) -> tuple[str, float]:
    """What is certain of the ratio of two drivers' rates: a sign to be put before it, and a factor for it. Had the upper
    one not waited it would be faster, by who knows how much; the lower one by no more than it waited."""
    return ("", 1.0) if top.limit() == bottom.limit() == DRIVER else (">= ", 1 - bottom.driver)


def share(part: float, whole: float) -> float:
    """part / whole, in 0..1; 0 of nothing."""
    return min(max(part / whole, 0.0), 1.0) if whole > 0 else 0.0


def waited_receiving(cycles: float, seconds: float, hertz: float) -> float:
    """Of who receives: all the time but that in which it had frames, which testpmd counts."""
    return 1 - share(cycles, seconds * hertz) if cycles else 1.0


def waited_sending(sent: float, refused: float) -> float:
    """Of who only sends, as much as it can: what it made in vain for want of room."""
    return share(refused, sent + refused)
