"""Races: servers under the same load in interleaved rounds, as a table and as bars on the ratios between them."""

from collections.abc import Mapping, Sequence
from statistics import median

from attrs import asdict, frozen

from tests.bench.figures import GIB, MIB, Bar, Sample, Table, cpu_per, detail, rates, ratio, spread


@frozen
class Unit:
    """How a race's amounts read: the rate's unit with its divisor, and the amount that CPU time is given for."""

    rate: str
    divisor: float
    cpu: str
    cpu_amount: float
    cpu_scale: float = 1.0


BYTES = Unit("MiB/s", MIB, "CPU s/GiB", GIB)
REQUESTS = Unit("requests/s", 1, "CPU µs/request", 1, 1e6)


@frozen
class Race:
    """The samples of one race and the peak memory of the servers in it."""

    title: str
    unit: Unit
    subject: str
    samples: Sequence[Sample]
    peaks: Mapping[str, int]
    details: tuple[str, ...] = ()

    def table(self) -> Table:
        """One row per server: figure, spread, the ratio to each other server, cost, memory."""
        labels = self.labels()
        ratios = tuple(f"x {label}" for label in labels)
        seconds = tuple(f"{name} s" for name in self.details)
        columns = ("server", self.unit.rate, "spread", *ratios, self.unit.cpu, *seconds, "peak RSS MiB")
        return Table(self.title, columns, tuple(self._row(label, labels) for label in labels))

    def bar(self, peer: str, times: float) -> Bar:
        """The bar that the subject is so many times as fast as its peer, as the median of the rounds' ratios."""
        text = f"{self.title}: {self.subject} / {peer}"
        return Bar(text, ratio(self.samples, self.subject, peer), times, at_least=True, unit="x")

    def raw(self) -> dict[str, object]:
        """Every sample."""
        return {"samples": [asdict(sample) for sample in self.samples], "peak_rss": dict(self.peaks)}

    def labels(self) -> list[str]:
        """The server under test, then the others."""
        return list(dict.fromkeys([self.subject, *sorted(sample.server for sample in self.samples)]))

    def _row(self, label: str, labels: Sequence[str]) -> tuple[str, ...]:
        speeds = [rate / self.unit.divisor for rate in rates(self.samples, label)]
        ratios = (f"{ratio(self.samples, label, peer):.2f}" if peer != label else "1" for peer in labels)
        cpu = cpu_per(self.samples, label, self.unit.cpu_amount) * self.unit.cpu_scale
        seconds = (f"{detail(self.samples, label, name):.3f}" for name in self.details)
        peak = f"{self.peaks[label] / MIB:.0f}" if label in self.peaks else "-"
        return (label, f"{median(speeds):,.0f}", spread(speeds), *ratios, f"{cpu:,.2f}", *seconds, peak)
