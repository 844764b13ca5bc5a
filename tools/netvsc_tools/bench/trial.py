# SPDX-License-Identifier: BSD-3-Clause
"""Runs two drivers, or one driver twice, side by side."""
from typing import Container, Mapping

from ..console import say
from ..process import ProcessError
from .program import Effort, Measured, Program
from .sides import Pairs, Side


class Trial:
    """Some cases, by group, of two sides."""

    def __init__(self, program: Program, groups: dict[str, list[str]], effort: Effort) -> None:
        self.program, self.groups, self.effort = program, groups, effort
        self.left_out: dict[str, str] = {}  #: cases that a side cannot or did not measure, and why

    def cases(self) -> list[str]:
        return [case for cases in self.groups.values() for case in cases]

    def compared(self) -> list[str]:
        return [case for case in self.cases() if case not in self.left_out]

    def _checked(self, measured: dict[str, Measured], side: Side, base: Side) -> dict[str, Measured]:
        """Without what the base cannot do. What only the other cannot do, or any did wrong, is a failure."""
        for case, result in measured.items():
            if result.error:
                raise ProcessError(f"{case} failed with {side.name}: {result.error}")
            if result.unsupported and side is not base:
                raise ProcessError(f"{case}: {base.name} can do it, but not {side.name}: {result.unsupported}")
            if result.unsupported:
                self.left_out[case] = f"{side.name}: {result.unsupported}"
        return {case: result for case, result in measured.items() if not result.unsupported}

    def _left(self, group: str, cases: Container[str]) -> list[str]:
        return [case for case in self.groups[group] if case in cases and case not in self.left_out]

    def instructions(self, side: Side, base: Side) -> dict[str, float]:
        """Per frame, of each case."""
        if not side.subject:
            return side.counts
        found: dict[str, float] = {}
        for group in self.groups:
            if left := self._left(group, self.cases()):
                say(f"instructions: {side.name}, {group}")
                measured = self._checked(self.program.count(side.subject, group, left), side, base)
                found.update({case: result.instructions for case, result in measured.items()})
        return found

    def _side_by_side(self, base: Side, other: Side, group: str, cases: list[str],
                      number: int) -> list[dict[str, list[float]]]:
        """The samples of one process of each side; of a stored one, of the process that has this number."""
        jobs = [(side.subject, cases) for side in (base, other) if side.subject]
        measured = iter(self.program.measure(jobs, group, self.effort) if jobs else [])
        samples = []
        for side in (base, other):
            if side.subject:
                results = self._checked(next(measured), side, base)
                samples.append({case: result.cycles for case, result in results.items()})
            else:
                samples.append({case: side.pairs[case][number][0] for case in cases})
        return samples

    def pairs(self, base: Side, other: Side, counts: Mapping[str, int], what: str) -> Pairs:
        """The samples of pairs of processes, one of each side: of each case, so many."""
        found: Pairs = {case: [] for case in counts}
        most = max(counts.values(), default=0)
        for number in range(most):
            due = [case for case, count in counts.items() if number < count]
            say(f"{what}: pair {number + 1} of {most}, {len(due)} cases")
            for group in self.groups:
                if left := self._left(group, due):
                    first, second = self._side_by_side(base, other, group, left, number)
                    for case in self._left(group, due):
                        found[case].append((first[case], second[case]))
        return {case: pairs for case, pairs in found.items() if case not in self.left_out}
