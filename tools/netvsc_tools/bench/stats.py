# SPDX-License-Identifier: BSD-3-Clause
"""What can be said of samples that scatter. Pure functions; no distribution of the samples is assumed."""
import functools
import math
import random
from collections import Counter
from statistics import median
from typing import Sequence


def pooled(groups: Sequence[Sequence[float]]) -> float:
    """The median of all samples of all groups."""
    return median([sample for group in groups for sample in group])


def pooled_interval(groups: Sequence[Sequence[float]], level: float = 0.95, resamples: int = 1000,
                    seed: int = 1) -> tuple[float, float]:
    """Bootstrap confidence interval of pooled(groups). Whole groups are drawn, as the samples of one process resemble
    each other more than those of another: with few groups an interval is a hint only."""
    draw = random.Random(seed)
    medians = sorted(pooled(draw.choices(groups, k=len(groups))) for _ in range(resamples))
    outside = int(resamples * (1 - level) / 2)
    return medians[outside], medians[-1 - outside]


def ratios(top: Sequence[float], bottom: Sequence[float]) -> list[float]:
    """Of samples that were taken by turns, each with its neighbour."""
    return [a / b for a, b in zip(top, bottom, strict=True)]


def at_least(successes: int, trials: int, chance: float) -> float:
    """Probability of so many successes or more."""
    return sum(math.comb(trials, k) * chance**k * (1 - chance)**(trials - k) for k in range(successes, trials + 1))


def median_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Confidence interval of the median: the innermost pair of values, counted from both ends, that covers it at least
    so often. Where there are too few values for the level, the outermost pair."""
    ordered = sorted(values)
    inside = 0
    while 2 * at_least(len(ordered) - inside - 1, len(ordered), 0.5) <= 1 - level:
        inside += 1
    return ordered[inside], ordered[-1 - inside]


def stray(differences: Sequence[float], draws: int, level: float = 0.99) -> float:
    """How far the median of so many draws strays from 0, at this level, where these are the differences of equals. It
    is the bootstrap's answer without its chance: each difference is drawn with either sign, and counting tells how
    often the median of the draws lies beyond a value. Of an even number of draws it is taken to be the upper of two."""
    sizes = sorted(abs(difference) for difference in differences)
    return next(size for larger, size in zip(range(len(sizes) - 1, -1, -1), sizes)
                if at_least((draws + 1) // 2, draws, larger / (2 * len(sizes))) <= (1 - level) / 2)


@functools.cache
def _arrangements(n: int, m: int) -> list[int]:
    """In how many ways n values among m others have U = 0, 1, ... n*m (the Gaussian binomial coefficient)."""
    ways = [1] + [0] * (n * m)
    for i in range(1, n + 1):
        for u in range(n * m, m + i - 1, -1):
            ways[u] -= ways[u - m - i]
        for u in range(i, n * m + 1):
            ways[u] += ways[u - i]
    return ways


def mann_whitney(a: Sequence[float], b: Sequence[float]) -> float:
    """How probable so large a difference is where both come from one distribution (two-sided). Exact where no two
    values are equal, else by the normal distribution with corrections for ties and continuity."""
    n, m = len(a), len(b)
    u = sum((x > y) + 0.5 * (x == y) for x in a for y in b)
    u = max(u, n * m - u)
    ties = Counter([*a, *b]).values()
    if max(ties) == 1:
        ways = _arrangements(n, m)
        return min(1.0, 2 * sum(ways[int(u):]) / math.comb(n + m, n))
    variance = n * m / 12 * (n + m + 1 - sum(t**3 - t for t in ties) / ((n + m) * (n + m - 1)))
    if variance == 0:
        return 1.0
    z = max(0.0, u - n * m / 2 - 0.5) / math.sqrt(variance)
    return math.erfc(z / math.sqrt(2))


def holm(chances: Sequence[float]) -> list[float]:
    """The same probabilities, each made greater for there being others: below 0.05 is one that holds in spite of
    them."""
    order = sorted(range(len(chances)), key=lambda i: chances[i])
    result = [0.0] * len(chances)
    greatest = 0.0
    for rank, i in enumerate(order):
        greatest = max(greatest, min(1.0, chances[i] * (len(chances) - rank)))
        result[i] = greatest
    return result
