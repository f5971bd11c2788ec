"""What was measured: samples, medians, spreads and ratios, acceptance bars, and the outcome of one scenario."""

from collections.abc import Callable, Sequence
from math import ceil
from random import Random
from statistics import median
from typing import Any, Protocol, TypeVar

from attrs import Factory, frozen

MIB = 1 << 20
GIB = 1 << 30


class Participant(Protocol):
    """Something that takes part in a round, under its label."""

    @property
    def label(self) -> str:
        """The name in tables and ratios."""


P = TypeVar("P", bound=Participant)


@frozen
class Work:
    """One load on one server: how much (bytes or requests), how long, and the CPU seconds it cost the server."""

    amount: float
    seconds: float
    cpu: float
    details: dict[str, float] = Factory(dict)

    @property
    def rate(self) -> float:
        """The amount per second."""
        return self.amount / self.seconds


@frozen
class Sample:
    """What one server did in one round."""

    server: str
    round: int
    work: Work


@frozen
class Table:
    """Rows to be read by people; the first column names the server."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@frozen
class Bar:
    """One acceptance bar: what was measured against what is asked for."""

    text: str
    measured: float
    limit: float
    at_least: bool
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether the figure reaches the bar."""
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit


@frozen
class Outcome:
    """What one scenario has to say: tables and bars for people, raw figures for the JSON file.

    A fault is something wrong whatever the speed: a scenario with one has failed; its figures are printed all the same.
    """

    tables: tuple[Table, ...]
    bars: tuple[Bar, ...]
    raw: dict[str, Any]
    faults: tuple[str, ...] = ()


def interleave(
    participants: Sequence[P], rounds: int, order: Random, load: Callable[[P, int], Work], warm_up: bool = True
) -> list[Sample]:
    """Load every participant once a round, each round in a new random order; a round 0 that warms up isn't kept."""
    samples = []
    for number in range(0 if warm_up else 1, rounds + 1):
        for participant in order.sample(participants, len(participants)):
            work = load(participant, number)
            samples.append(Sample(participant.label, number, work))
    return [sample for sample in samples if sample.round]


def rates(samples: Sequence[Sample], server: str) -> list[float]:
    """The rates of one server, round by round."""
    chosen = [sample for sample in samples if sample.server == server]
    return [sample.work.rate for sample in sorted(chosen, key=lambda sample: sample.round)]


def ratio(samples: Sequence[Sample], server: str, peer: str) -> float:
    """The median over the rounds of how many times faster than its peer a server was in the same round."""
    pairs = zip(rates(samples, server), rates(samples, peer), strict=True)
    return median(ours / theirs for ours, theirs in pairs)


def cpu_per(samples: Sequence[Sample], server: str, amount: float) -> float:
    """The median of the CPU seconds that a server needs for an amount."""
    return median(sample.work.cpu / sample.work.amount * amount for sample in samples if sample.server == server)


def detail(samples: Sequence[Sample], server: str, name: str) -> float:
    """The median of one of the further figures of a server's loads."""
    return median(sample.work.details[name] for sample in samples if sample.server == server)


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Smallest to largest."""
    return f"{min(values):,.{digits}f}..{max(values):,.{digits}f}"


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all values doesn't exceed (nearest rank)."""
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]
