"""Packages of apt and rpm: what it costs until clients see one more, beside reprepro, aptly and createrepo_c.

All write the same: gz alone, signed by an RSA key, clients see the package when the command or the upload ends. Each
repository is filled once. pkgd has its packages by uploads over the loopback.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

from attrs import asdict, define, frozen

from tests.bench.archives.archive import Archive, check_visible
from tests.bench.archives.made import made, name_of
from tests.bench.archives.peers import Aptly, CreaterepoC, Keys, Peer, Reprepro
from tests.bench.archives.uploads import PackagesPkgd, PkgdArchive
from tests.bench.figures import MIB, Bar, Outcome, Sample, Table, Work, cpu_per, interleave, rates, spread
from tests.bench.servers import running
from tests.bench.stage import Stage

SIZES, QUICK_SIZES = (1000, 10_000, 60_000), (1000,)
PEERS: Mapping[str, tuple[type[Peer], ...]] = {"deb": (Reprepro, Aptly), "rpm": (CreaterepoC,)}
# By size: at most so much of a peer's CPU time for a package.
LIMITS = {10_000: {Reprepro.label: 0.5, Aptly.label: 0.05}, 60_000: {Reprepro.label: 0.5, CreaterepoC.label: 0.15}}
# What one package costs pkgd is less than what /proc can tell.
ADDED, ADDED_TO_PEERS = 20, 1
BULK, QUICK_BULK, CONNECTIONS = 1000, 200, 100
TIMES_ONE_BY_ONE = 5


@define
class Supply:
    """Packages that have not been added anywhere yet; each archive has its own way through them."""

    folder: Path
    kind: str
    next: int

    def take(self, count: int) -> list[int]:
        """Numbers of new packages."""
        start, self.next = self.next, self.next + count
        return list(range(start, self.next))


@frozen
class Race:
    """What the archives of one kind and size came to."""

    kind: str
    size: int
    subject: str
    samples: Sequence[Sample]
    bulk: tuple[Work, Work] | None

    @property
    def title(self) -> str:
        """What was done."""
        return f"one more .{self.kind} among {self.size:,}"

    def table(self) -> Table:
        """A row for each archive."""
        columns = ("server", "CPU ms", "spread", f"CPU / {self.subject}'s", "ms until visible")
        return Table(self.title, columns, tuple(self._row(label) for label in self._labels()))

    def bars(self) -> Iterator[Bar]:
        """The bars of this size."""
        for peer, limit in LIMITS.get(self.size, {}).items():
            if peer in self._labels():
                text = f"{self.title}: CPU time of {self.subject} / {peer}"
                yield Bar(text, self._cpu(self.subject) / self._cpu(peer), limit, at_least=False, unit="x")
        if self.bulk:
            one, many = self.bulk
            text = f"{one.amount:,.0f} .{self.kind} into {self.size:,}, {CONNECTIONS} connections / one by one"
            yield Bar(text, one.seconds / many.seconds, TIMES_ONE_BY_ONE, at_least=True, unit="x")

    def raw(self) -> dict[str, object]:
        """Every sample."""
        bulk = [asdict(work) for work in self.bulk or ()]
        return {"samples": [asdict(sample) for sample in self.samples], "bulk": bulk}

    def _labels(self) -> list[str]:
        return list(dict.fromkeys([self.subject, *(sample.server for sample in self.samples)]))

    def _cpu(self, label: str) -> float:
        return cpu_per(self.samples, label, 1)

    def _row(self, label: str) -> tuple[str, ...]:
        each = [one.work.cpu / one.work.amount * 1000 for one in self.samples if one.server == label]
        seconds = median(1 / rate for rate in rates(self.samples, label))
        times = self._cpu(label) / self._cpu(self.subject)
        return (label, f"{median(each):,.1f}", spread(each, 1), f"{times:,.1f}", f"{seconds * 1000:,.0f}")


def run(stage: Stage) -> Outcome:
    """Race all archives of each kind and size."""
    keys = Keys(stage.scratch / "gnupg")
    sizes = stage.sizes or (QUICK_SIZES if stage.quick else SIZES)
    server = stage.server(PackagesPkgd, PackagesPkgd.kind)
    server.sizes = sizes
    try:
        with running([server]):
            races = [_race(stage, server, keys, kind, size) for size in sizes for kind in PEERS]
            peak = server.peak_rss()
    finally:
        keys.close()
    stage.discard([server])
    bulk = Table("packages that come at once", _BULK_COLUMNS, tuple(_bulk_row(one) for one in races if one.bulk))
    bars = tuple(bar for race in races for bar in race.bars())
    raw = {race.title: race.raw() for race in races} | {"peak_rss": {server.label: peak}}
    memory = Table("memory", ("server", "peak RSS MiB"), ((server.label, f"{peak / MIB:.0f}"),))
    return Outcome((*(race.table() for race in races), bulk, memory), bars, raw)


def _race(stage: Stage, server: PackagesPkgd, keys: Keys, kind: str, size: int) -> Race:
    files = stage.scratch / f"{kind}s"
    ours = PkgdArchive(server, kind, size)
    peers = [peer(stage.scratch / f"{peer.label}-{size}", keys) for peer in PEERS[kind]]
    archives: list[Archive] = [ours, *peers]
    packages = list(made(kind, files, range(size)))
    for archive in archives:
        archive.fill(packages)
    supplies = {archive.label: Supply(files, kind, size) for archive in archives}

    def load(archive: Archive, number: int) -> Work:
        supply = supplies[archive.label]
        numbers = supply.take(ADDED if archive is ours else ADDED_TO_PEERS)
        work = archive.add(list(made(kind, files, range(numbers[0], numbers[-1] + 1))))
        check_visible(archive, kind, [name_of(one) for one in numbers], supply.next)
        return work

    samples = interleave(archives, stage.rounds, stage.order, load)
    bulk = _bulk(stage, ours, supplies[ours.label])
    stage.discard(peers)
    return Race(kind, size, server.label, samples, bulk)


def _bulk(stage: Stage, archive: PkgdArchive, supply: Supply) -> tuple[Work, Work]:
    """The same number of packages, one after the other and many at once."""
    works = []
    for connections in (1, CONNECTIONS):
        numbers = supply.take(QUICK_BULK if stage.quick else BULK)
        packages = list(made(supply.kind, supply.folder, range(numbers[0], numbers[-1] + 1)))
        works.append(archive.bulk(packages, connections))
        check_visible(archive, supply.kind, [name_of(one) for one in numbers], supply.next)
    return works[0], works[1]


_BULK_COLUMNS = ("packages", "one by one s", "CPU s", f"{CONNECTIONS} connections s", "CPU s", "times as fast")


def _bulk_row(race: Race) -> tuple[str, ...]:
    assert race.bulk
    one, many = race.bulk
    return (
        f"{one.amount:,.0f} .{race.kind} into {race.size:,}",
        *(f"{figure:,.2f}" for work in race.bulk for figure in (work.seconds, work.cpu)),
        f"{one.seconds / many.seconds:,.1f}",
    )
