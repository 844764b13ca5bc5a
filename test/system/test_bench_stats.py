#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What tools/bench concludes from samples: the statistics, and the verdicts on made-up measurements of known noise."""
import math
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from netvsc_tools import harness  # noqa: E402
from netvsc_tools.bench import stats  # noqa: E402
from netvsc_tools.bench.sides import Pairs  # noqa: E402
from netvsc_tools.bench.verdict import (FASTER, LEAST, NOISY, SAME, SLOWER, Verdict, exit_code, judge,  # noqa: E402
                                        too_noisy)

CASES = [f"case/{i}" for i in range(6)]


class Statistics(harness.Case):
    def setUp(self) -> None:
        """No plugin is needed here."""

    def test_mann_whitney(self) -> None:
        """Against published values, and against counting all arrangements."""
        males, females = [19, 22, 16, 29, 24], [20, 11, 17, 12]  # of SciPy's documentation
        self.assertAlmostEqual(stats.mann_whitney(males, females), 1 / 9, 12)
        self.assertAlmostEqual(stats.mann_whitney([1, 2, 3], [4, 5, 6]), 2 / math.comb(6, 3), 12)
        self.assertAlmostEqual(stats.mann_whitney(range(10), range(10, 20)), 2 / math.comb(20, 10), 12)
        self.assertEqual(stats.mann_whitney([1, 4], [2, 3]), 1)

    def test_mann_whitney_ties(self) -> None:
        """z by hand: U = 23 of 25, variance 25 / 12 * (11 - 12 / 90), continuity 1/2."""
        expected = math.erfc((23 - 12.5 - 0.5) / math.sqrt(25 / 12 * (11 - 12 / 90)) / math.sqrt(2))
        self.assertAlmostEqual(stats.mann_whitney([5, 6, 7, 8, 9], [1, 2, 3, 5, 6]), expected, 12)
        self.assertEqual(stats.mann_whitney([5, 5, 5], [5, 5, 5, 5]), 1)

    def test_mann_whitney_of_equals(self) -> None:
        """Of equals, no more than a share p gets a p that small."""
        draw = random.Random(2)
        chances = [stats.mann_whitney([draw.gauss(0, 1) for _ in range(10)], [draw.gauss(0, 1) for _ in range(15)])
                   for _ in range(400)]
        for level in (0.01, 0.05, 0.2):
            self.assertLessEqual(sum(chance <= level for chance in chances) / len(chances), 1.4 * level + 0.005)
        self.assertGreater(sum(chance <= 0.2 for chance in chances), 40)

    def test_holm(self) -> None:
        for chances, adjusted in (([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]), ([0.5, 0.5, 0.9], [1, 1, 1]),
                                  ([0.04], [0.04]), ([], [])):
            self.assertEqual([round(chance, 12) for chance in stats.holm(chances)], adjusted)

    def test_stray(self) -> None:
        """Two signs, and the upper of the middle two: with one draw it is the largest, with many a middling one."""
        self.assertEqual(stats.stray([0.03, -0.01, 0.02], 1), 0.03)
        self.assertEqual(stats.stray([0.0] * 10, 10), 0)
        # Of 15 draws, 8 or more are among the 6 largest of 15, with one sign, with a chance below 0.005; not so of 7.
        self.assertLess(stats.at_least(8, 15, 6 / 30), 0.005)
        self.assertGreater(stats.at_least(8, 15, 7 / 30), 0.005)
        self.assertEqual(stats.stray([(-1) ** i * i / 100 for i in range(1, 16)], 15), 0.09)

    def test_stray_is_seldom_exceeded(self) -> None:
        """The median of as many other differences of equals lies beyond it about once in a hundred times."""
        draw = random.Random(3)
        beyond = 0
        for _ in range(600):
            equals, others = ([draw.gauss(0, 1) for _ in range(15)] for _ in range(2))
            beyond += abs(stats.median(others)) > stats.stray(equals, 15)
        self.assertLess(beyond / 600, 0.06)  # it is an estimate from 15 values itself

    def test_median_interval(self) -> None:
        self.assertEqual(stats.median_interval(range(10)), (1, 8))   # tables of the sign test: 0.9785
        self.assertEqual(stats.median_interval(range(15)), (3, 11))  # 0.9648
        self.assertEqual(stats.median_interval([3, 1, 2]), (1, 3))   # too few: all of them
        draw = random.Random(4)
        covered = 0
        for _ in range(500):
            low, high = stats.median_interval([draw.expovariate(1) for _ in range(15)])
            covered += low <= math.log(2) <= high
        self.assertGreater(covered / 500, 0.94)

    def test_pooled_interval(self) -> None:
        """Coverage where processes differ more than a process's samples: near the nominal 95 %."""
        draw = random.Random(5)
        covered = 0
        for _ in range(200):
            groups = []
            for _ in range(12):
                middle = draw.gauss(100, 2)
                groups.append([draw.gauss(middle, 1) for _ in range(9)])
            low, high = stats.pooled_interval(groups, resamples=200)
            covered += low <= 100 <= high
        self.assertGreater(covered / 200, 0.87)
        self.assertLess(covered / 200, 0.995)

    def test_ratios(self) -> None:
        self.assertEqual(stats.ratios([2, 9], [1, 3]), [2, 3])
        with self.assertRaises(ValueError):
            stats.ratios([1, 2], [1])


def measured(draw: random.Random, noise: float, factor: float,
             count: int = 15) -> list[tuple[list[float], list[float]]]:
    """Pairs of processes that differ by chance, and the second by a factor. Half of the time both are slowed down."""
    pairs = []
    for _ in range(count):
        shared = draw.choice([1, 1.5]) * 100
        first, second = shared * (1 + draw.gauss(0, noise)), shared * (1 + draw.gauss(0, noise)) * factor
        pairs.append(([first * (1 + draw.gauss(0, noise / 2)) for _ in range(5)],
                      [second * (1 + draw.gauss(0, noise / 2)) for _ in range(5)]))
    return pairs


def trial(seed: int, noise: float, factor: float = 1, changed: int = 1, later: float = 0,
          counts: dict[str, tuple[float, float]] | None = None) -> list[Verdict]:
    """Verdicts on six cases, of which some are changed. later: the noise once the calibration is over"""
    draw = random.Random(seed)
    aa: Pairs = {case: measured(draw, noise, 1) for case in CASES}
    ab: Pairs = {case: measured(draw, later or noise, factor if i < changed else 1) for i, case in enumerate(CASES)}
    return judge(CASES, aa, ab, {case: (200, 200) for case in CASES} | (counts or {}))


class Verdicts(harness.Case):
    def setUp(self) -> None:
        """No plugin is needed here."""

    def test_equals_are_not_slower(self) -> None:
        """Whatever the noise: fewer than the nominal 5 % of runs find any of six equal cases slower or faster."""
        for noise in (0.002, 0.02, 0.2):
            alarms = sum(any(verdict.state in (SLOWER, FASTER) for verdict in trial(seed, noise))
                         for seed in range(100))
            self.assertLessEqual(alarms, 5, f"of 100 with noise {noise}")

    def test_slowdown_is_found(self) -> None:
        """5 % with moderate noise."""
        for noise in (0.002, 0.01):
            found = [trial(seed, noise, 1.05) for seed in range(40)]
            self.assertGreaterEqual(sum(verdicts[0].state == SLOWER for verdicts in found), 39, f"with noise {noise}")
            self.assertTrue(all(exit_code(verdicts) == 1 for verdicts in found if verdicts[0].state == SLOWER))
            for verdicts in found:
                self.assertAlmostEqual(verdicts[0].change, 0.05, delta=0.025)

    def test_gain_is_found(self) -> None:
        found = [trial(seed, 0.01, 0.93) for seed in range(20)]
        self.assertGreaterEqual(sum(verdicts[0].state == FASTER for verdicts in found), 19)
        self.assertTrue(any(exit_code(verdicts) == 0 for verdicts in found))

    def test_small_change_is_no_news(self) -> None:
        """However sure it is."""
        verdict = trial(1, 0.001, 1 + 0.7 * LEAST)[0]
        self.assertEqual((verdict.state, verdict.threshold), (SAME, LEAST))
        self.assertLess(verdict.chance, 0.001)

    def test_noise_is_inconclusive(self) -> None:
        """Where 5 % cannot be seen, neither equals nor such a slowdown are called the same."""
        for factor in (1, 1.05):
            for seed in range(20):
                verdicts = trial(seed, 0.08, factor, changed=6)
                self.assertEqual({verdict.state for verdict in verdicts} - {NOISY, SLOWER, FASTER}, set())
                self.assertIn(exit_code(verdicts), (1, 3))
        self.assertEqual(exit_code(trial(1, 0.08)), 3)

    def test_great_slowdown_is_found_in_noise(self) -> None:
        verdict = trial(1, 0.05, 1.5)[0]
        self.assertEqual(verdict.state, SLOWER)
        self.assertGreater(verdict.visible, 0.05)

    def test_noise_that_begins_late(self) -> None:
        """The calibration was quiet, the comparison was not."""
        codes = [exit_code(trial(seed, 0.002, later=0.1)) for seed in range(60)]
        self.assertLessEqual(codes.count(1), 3)
        self.assertEqual(codes.count(0), 0)

    def test_too_noisy(self) -> None:
        draw = random.Random(6)
        self.assertFalse(too_noisy(measured(draw, 0.005, 1)))
        self.assertTrue(too_noisy(measured(draw, 0.05, 1)))
        self.assertFalse(too_noisy(measured(draw, 0.03, 1, 200)), "more pairs see more")

    def test_instructions(self) -> None:
        """They are judged by themselves, and even where cycles cannot be."""
        for counts, state, note in (((200, 203), SLOWER, "instructions"), ((200, 201.9), SAME, ""),
                                    ((200, 100), SAME, "")):
            verdict = trial(1, 0.002, counts={CASES[0]: counts})[0]
            self.assertEqual((verdict.state, verdict.note), (state, note))
        verdict = trial(1, 0.002, 1.2, counts={CASES[0]: (200, 240)})[0]
        self.assertEqual((verdict.state, verdict.note), (SLOWER, "cycles and instructions"))
        alone = judge(CASES[:2], {}, {}, {CASES[0]: (200, 203), CASES[1]: (200, 200)})
        self.assertEqual([verdict.state for verdict in alone], [SLOWER, SAME])

    def test_nothing_compared_is_inconclusive(self) -> None:
        self.assertEqual(exit_code(judge(CASES, {}, {}, {})), 3)
        self.assertEqual(exit_code([]), 3)


harness.main(__name__)
