"""Tests of the arithmetic behind the bench's tables and bars."""

from random import Random

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from tests.bench.figures import Bar, Sample, Work, interleave, percentile, ratio


@frozen
class Runner:
    """A participant that is only a name."""

    label: str


def sample(server: str, number: int, rate: float) -> Sample:
    """A sample of one second."""
    return Sample(server, number, Work(rate, 1.0, 0.0))


class FiguresTests(SynchronousTestCase):
    """Ratios, percentiles, rounds and bars."""

    def test_ratio_pairs_the_rounds(self) -> None:
        """A machine that is slow in one round is slow for both: the median is of each round's ratio."""
        samples = [sample("a", 1, 20), sample("a", 2, 2), sample("b", 2, 1), sample("b", 1, 10)]

        self.assertEqual(ratio(samples, "a", "b"), 2.0)

    def test_percentile_is_a_value_that_occurred(self) -> None:
        """The nearest rank, without interpolation."""
        values = [float(number) for number in range(100, 0, -1)]

        self.assertEqual(
            [percentile(values, 0.5), percentile(values, 0.99), percentile([7.0], 0.99)], [50.0, 99.0, 7.0]
        )

    def test_every_round_has_everyone_and_the_first_does_not_count(self) -> None:
        """All take part in the warm-up too, but its samples aren't kept."""
        loads: list[tuple[int, str]] = []

        def load(runner: Runner, number: int) -> Work:
            loads.append((number, runner.label))
            return Work(1.0, 1.0, 0.0)

        samples = interleave([Runner("a"), Runner("b")], 2, Random(0), load)

        self.assertEqual(sorted(loads), [(number, label) for number in range(3) for label in "ab"])
        self.assertEqual(sorted({one.round for one in samples}), [1, 2])

    def test_bars_have_a_direction(self) -> None:
        """The limit itself meets a bar of either kind."""
        met = [Bar("", measured, 1.0, at_least).met for at_least in (True, False) for measured in (0.9, 1.0, 1.1)]

        self.assertEqual(met, [False, True, True, True, True, False])
