# SPDX-License-Identifier: BSD-3-Clause
"""Drivers run by turns, each in a process of its own, and what can be said of pairs of their runs."""
import random
from dataclasses import dataclass, field
from statistics import median
from typing import Callable, Generic, Mapping, Protocol, Sequence, TypeVar

from ..console import complain, say
from ..process import ProcessError
from . import stats
from .rig import Subject

ENOUGH = 3          # rounds, of which an interval can be told
DISTURBED = 0.05    # part of the time for which a thread may have had to wait for its CPU


class Run(Protocol):
    """What came of one run."""

    without_cpu: float  #: part of the time in which something else had the CPU of one of the threads
    wrong: list[str]    #: frames that were lost, damaged or reordered; or why there is nothing


R = TypeVar("R", bound=Run)


@dataclass
class Series(Generic[R]):
    """The runs of one driver in one case, by round."""
    runs: list[R] = field(default_factory=list)

    def wrong(self) -> list[str]:
        return list(dict.fromkeys(text for run in self.runs for text in run.wrong))

    def good(self) -> bool:
        return bool(self.runs) and not self.wrong()


@dataclass(frozen=True)
class Ratio:
    """The median of rounds' ratios, and its 95 % confidence interval."""
    value: float
    low: float
    high: float
    rounds: int

    def times(self, factor: float) -> "Ratio":
        return Ratio(self.value * factor, self.low * factor, self.high * factor, self.rounds)

    def text(self, sign: str = "") -> str:
        interval = f" ({self.low:.2f}-{self.high:.2f})" if self.rounds >= ENOUGH else ""
        return f"{sign}{self.value:.2f}{interval}"


def ratio_of(top: Series[R], bottom: Series[R] | None, value: Callable[[R], float | None]) -> Ratio | None:
    """By bootstrap over rounds. None: one of them was not measured, or both are the same."""
    if bottom is None or bottom is top or not top.good() or not bottom.good():
        return None
    pairs = [(value(a), value(b)) for a, b in zip(top.runs, bottom.runs)]
    ratios = [a / b for a, b in pairs if a and b]
    if not ratios:
        return None
    low, high = stats.pooled_interval([[ratio] for ratio in ratios])
    return Ratio(median(ratios), low, high, len(ratios))


def gather(cases: Mapping[str, Sequence[Subject]], rounds: int, run: Callable[[Subject, str], R],
           failed: Callable[[str], R], tell: Callable[[R], str]) -> dict[str, dict[str, Series[R]]]:
    """In each round every driver runs each case once, one right after the other, in an order that chance decides. Who
    does something wrong does not run that case again. @return the runs by case and driver
    @param failed: makes a run of the reason why there is none"""
    results: dict[str, dict[str, Series[R]]] = {case: {subject.name: Series() for subject in subjects}
                                                for case, subjects in cases.items()}
    for number in range(1, rounds + 1):
        for case, subjects in cases.items():
            for subject in random.sample(subjects, len(subjects)):
                series = results[case][subject.name]
                if series.wrong():
                    continue
                try:
                    done = run(subject, case)
                except ProcessError as error:
                    complain(str(error))
                    done = failed(str(error).splitlines()[0].partition("; its last lines")[0])
                series.runs.append(done)
                said = f"FAILED: {'; '.join(done.wrong)}" if done.wrong else tell(done)
                say(f"round {number} of {rounds}: {case} {subject.name}: {said}")
    return results


def disturbed(runs: Sequence[Run]) -> str:
    """A sentence on runs beside which the machine did other things, empty if there were none."""
    found = [run.without_cpu for run in runs if run.without_cpu > DISTURBED]
    if not found:
        return ""
    return (f"{len(found)} of {len(runs)} runs were disturbed: something else had one of their CPUs for up to "
            f"{max(found):.0%} of the time. Their numbers tell more of that than of the driver.")
