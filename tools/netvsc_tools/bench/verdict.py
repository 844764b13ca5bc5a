# SPDX-License-Identifier: BSD-3-Clause
"""Decides what pairs of measurements mean: slower, faster, the same, or too noisy to tell. Pure functions."""
import math
from dataclasses import dataclass
from statistics import median
from typing import Mapping, Sequence

from . import stats
from .instrument import FAILED, INCONCLUSIVE, OK
from .sides import Pairs

SURE = 0.05          # probability of any false alarm among all cases
LEAST = 0.02         # changes of this size come from how code happens to be placed, on the quietest machine
MUST_SEE = 0.05      # a machine on which such a change could be missed is too noisy
INSTRUCTIONS = 0.01  # more are too many; they do not scatter

SLOWER, FASTER, SAME, NOISY, LEFT_OUT = "slower", "faster", "same", "noisy", "left out"


@dataclass
class Verdict:
    """What was found of a case. Changes are relative: 0.05 is 5 % more."""
    case: str
    state: str = LEFT_OUT
    note: str = ""                      #: by what it is so, or why it is left out
    base: float = 0                     #: cycles per frame, 0 = not compared
    new: float = 0
    change: float = 0
    low: float = 0                      #: its 95 % confidence interval
    high: float = 0
    threshold: float = 0                #: changes up to here are noise
    visible: float = 0                  #: the smallest change that is found for certain
    chance: float = 1                   #: that there is none and it looks so, in view of the number of cases
    base_instructions: float = 0        #: per frame, 0 = not compared
    new_instructions: float = 0

    def instructions(self) -> float:
        """The change of their number."""
        return self.new_instructions / self.base_instructions - 1 if self.base_instructions else 0


def logarithms(pairs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> list[float]:
    """Each pair's ratio, second to first: the median of those of neighbouring samples."""
    return [math.log(median(stats.ratios(second, first))) for first, second in pairs]


def too_noisy(equals: Sequence[tuple[Sequence[float], Sequence[float]]]) -> bool:
    """From pairs of equals: whether as many other pairs would not be enough."""
    stray = stats.stray(logarithms(equals), len(equals))
    return max(stray, LEAST) + stray > MUST_SEE


def judge(cases: Sequence[str], aa: Pairs, ab: Pairs, counts: Mapping[str, tuple[float, float]]) -> list[Verdict]:
    """@param aa, ab: pairs of base and base, of base and new; a case that is in neither is judged by instructions alone
    @param counts: instructions of base and new"""
    ratios = {case: logarithms(pairs) for case, pairs in ab.items()}
    chances = dict(zip(ratios, stats.holm([stats.mann_whitney(logarithms(aa[case]), ratios[case]) for case in ratios])))
    verdicts = []
    for case in cases:
        verdict = Verdict(case)
        if case in ratios:
            _compare(verdict, logarithms(aa[case]), ratios[case], chances[case])
            verdict.base, verdict.new = (stats.pooled([pair[which] for pair in ab[case]]) for which in range(2))
        if case in counts:
            verdict.base_instructions, verdict.new_instructions = counts[case]
            if verdict.state == LEFT_OUT:
                verdict.state = SAME
            if verdict.instructions() > INSTRUCTIONS:
                verdict.note = "cycles and instructions" if verdict.state == SLOWER else "instructions"
                verdict.state = SLOWER
        verdicts.append(verdict)
    return verdicts


def _compare(verdict: Verdict, equals: Sequence[float], ratios: Sequence[float], chance: float) -> None:
    """Judges a case by its cycles: logarithms of ratios of base and base, and of base and new."""
    change, interval = median(ratios), stats.median_interval(ratios)
    verdict.change, verdict.low, verdict.high = (math.expm1(value) for value in (change, *interval))
    verdict.chance = chance
    # Noise may begin when the calibration is over: then the ratios scatter around their own middle.
    stray = max(stats.stray(sample, len(ratios)) for sample in (equals, [ratio - change for ratio in ratios]))
    verdict.threshold = max(stray, LEAST)
    verdict.visible = verdict.threshold + stray
    if chance < SURE and abs(change) > verdict.threshold:
        verdict.state = SLOWER if change > 0 else FASTER
        verdict.note = "cycles"
    else:
        verdict.state = NOISY if verdict.visible > MUST_SEE else SAME


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """Slower is worse than not knowing; and to have compared nothing is not to know."""
    states = {verdict.state for verdict in verdicts} - {LEFT_OUT}
    return FAILED if SLOWER in states else INCONCLUSIVE if NOISY in states or not states else OK
