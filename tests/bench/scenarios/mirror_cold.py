"""Cold blobs through a mirror: a crowd behind a slow uplink, a race behind a fast one, ranges of what is on its way."""

from collections.abc import Sequence
from statistics import median

from attrs import asdict, evolve

from tests.bench import mirrors
from tests.bench.figures import GIB, MIB, Bar, Outcome, Sample, Table, Work, interleave, percentile, ratio, spread
from tests.bench.mirrors import ColdPull, Mirror
from tests.bench.probe import HealthProbe
from tests.bench.races import BYTES, Race
from tests.bench.servers import DockerRegistry, Nginx, running
from tests.bench.stage import Stage
from tests.bench.upstream import Upstream

CROWD = 50
UPLINK = 100 * MIB
RACERS = (1, 32)
FIRST_BYTE_LIMIT_MS = 100
PEAK_LIMIT_MIB = 160
CONTROL = "an idle nginx beside"


def crowd(stage: Stage) -> Outcome:
    """Fifty clients of one cold layer behind a throttled upstream.

    The server under test takes a large layer. docker-registry fetches it once for every client, so the two are set side
    by side on a smaller one.
    """
    large = stage.layer or (GIB // 8 if stage.quick else GIB)
    small = min(large, (8 if stage.quick else 64) * MIB)
    with mirrors.upstream_of(UPLINK) as upstream:
        alone = _crowd_rounds(stage, upstream, large, max(1, stage.rounds // 5), peer=False)
        beside = _crowd_rounds(stage, upstream, small, max(1, stage.rounds // 3), peer=True)
    tables = (_crowd_table(alone, large), _crowd_table(beside, small), _health_table([*alone, *beside]))
    ours = [one for one in alone if one.server == stage.subject_label]
    raw = {"crowd": [_raw(one) for one in [*alone, *beside]]}
    return Outcome(tables, _crowd_bars(ours), raw, tuple(_crowd_faults(stage, ours, [*alone, *beside])))


def race(stage: Stage) -> Outcome:
    """One client and many of one cold layer, the upstream as fast as it can."""
    size = (64 if stage.quick else 256) * MIB
    with mirrors.upstream_of() as upstream:
        outcomes = [_race(stage, upstream, size, clients) for clients in RACERS]
    tables = tuple(table for one in outcomes for table in one.tables)
    raw = {name: figures for one in outcomes for name, figures in one.raw.items()}
    return Outcome(tables, (), raw, tuple(fault for one in outcomes for fault in one.faults))


def ranges(stage: Stage) -> Outcome:
    """Clients that want the end of a cold blob, beside some that want all of it."""
    size = (32 if stage.quick else 128) * MIB
    starts = [None, None, 1, size // 4, size // 2, 3 * size // 4, size - MIB]
    with mirrors.upstream_of(UPLINK) as upstream:
        servers = mirrors.lineup(stage, upstream)
        with running(servers):
            pulls = [mirrors.cold_pull(stage, upstream, one, stage.content.blob(size), starts) for one in servers]
        stage.discard(servers)
    faults = mirrors.faults_of(pulls, stage.subject_label)
    if any(one.status != 206 for one in pulls[0].load.arrivals[2:]):
        faults.append("a Range of a cold blob is not answered with 206")
    title = f"{len(starts) - 2} ranges and 2 whole of one cold blob of {size // MIB} MiB, uplink {UPLINK // MIB} MiB/s"
    columns = ("server", "upstream GETs", "answers", "behind the upstream: median ms", "max ms", "seconds")
    table = Table(title, columns, tuple(_range_row(one) for one in pulls))
    return Outcome((table,), (), {"ranges": [_raw(one) for one in pulls]}, tuple(faults))


# -- the crowd --


def _crowd_rounds(stage: Stage, upstream: Upstream, size: int, rounds: int, *, peer: bool) -> list[ColdPull]:
    """Rounds in which every server is fresh, so that its peak memory is the crowd's doing."""
    pulls = []
    for _ in range(rounds):
        servers = mirrors.lineup(stage, upstream, peer=peer)
        for server in stage.order.sample(servers, len(servers)):
            pulls.append(_crowd_pull(stage, upstream, server, size))
        stage.discard(servers)
    return pulls


def _crowd_pull(stage: Stage, upstream: Upstream, server: Mirror, size: int) -> ColdPull:
    control = stage.server(Nginx, "control")
    with running([server, control]):
        probe, aside = HealthProbe(server.port, server.health_target), HealthProbe(control.port, control.health_target)
        with probe, aside:
            pull = mirrors.cold_pull(stage, upstream, server, stage.content.blob(size), [None] * CROWD)
    stage.discard([control])
    if probe.failures:
        raise OSError(f"{len(probe.failures)} health probes failed: {probe.failures[0]}")
    return evolve(pull, health=probe.latencies, control=aside.latencies)


def _crowd_table(pulls: Sequence[ColdPull], size: int) -> Table:
    title = f"{CROWD} clients of one cold layer of {size // MIB} MiB, uplink {UPLINK // MIB} MiB/s"
    first = ("first byte median ms", "max ms")
    labels = _labels(pulls)
    ratios = [f"x {label}" for label in labels]
    columns = (
        "server",
        "upstream GETs",
        "seconds",
        "spread",
        *first,
        "MiB/s in all",
        *ratios,
        "CPU s/GiB",
        "peak RSS MiB",
    )
    return Table(title, columns, tuple(_crowd_row(label, labels, pulls) for label in labels))


def _crowd_row(label: str, labels: Sequence[str], pulls: Sequence[ColdPull]) -> tuple[str, ...]:
    ours = [pull for pull in pulls if pull.server == label]
    seconds = [pull.load.seconds for pull in ours]
    first = (median(median(pull.delays) for pull in ours), max(max(pull.delays) for pull in ours))
    rate = median(pull.work.rate for pull in ours) / MIB
    samples = [Sample(pull.server, number, pull.work) for number, pull in enumerate(pulls)]
    ratios = ["1" if peer == label else f"{ratio(samples, label, peer):.2f}" for peer in labels]
    cpu = median(pull.cpu / pull.load.bytes for pull in ours) * GIB
    peak = max(pull.peak_rss for pull in ours) / MIB
    times = (f"{median(seconds):.2f}", spread(seconds, 2), *(f"{delay * 1000:.1f}" for delay in first))
    return (label, _gets(ours), *times, f"{rate:,.0f}", *ratios, f"{cpu:.2f}", f"{peak:.0f}")


def _crowd_bars(ours: Sequence[ColdPull]) -> tuple[Bar, ...]:
    delays = [delay * 1000 for pull in ours for delay in pull.delays]
    size, label = ours[0].size // MIB, ours[0].server
    text = f"{label}, {CROWD} clients of {size} MiB"
    figures = {f"{text}: slowest first byte": max(delays), f"{text}: median first byte": median(delays)}
    first = [Bar(name, delay, FIRST_BYTE_LIMIT_MS, at_least=False, unit=" ms") for name, delay in figures.items()]
    peak = max(pull.peak_rss for pull in ours) / MIB
    return (*first, Bar(f"{text}: peak RSS", peak, PEAK_LIMIT_MIB, at_least=False, unit=" MiB"))


def _crowd_faults(stage: Stage, ours: Sequence[ColdPull], pulls: Sequence[ColdPull]) -> list[str]:
    peak = max(pull.peak_rss for pull in ours) / MIB
    fat = [f"peak RSS {peak:.0f} MiB, more than {PEAK_LIMIT_MIB}"] if peak > PEAK_LIMIT_MIB else []
    return mirrors.faults_of(pulls, stage.subject_label) + fat


def _health_table(pulls: Sequence[ColdPull]) -> Table:
    columns = ("server", "probes", "median ms", "p99 ms", "worst ms", f"{CONTROL}: p99 ms", "worst ms")
    rows = []
    for label, size in dict.fromkeys((pull.server, pull.size) for pull in pulls):
        ours = [pull for pull in pulls if (pull.server, pull.size) == (label, size)]
        health = [latency * 1000 for pull in ours for latency in pull.health]
        control = [latency * 1000 for pull in ours for latency in pull.control]
        figures = (
            percentile(health, 0.5),
            percentile(health, 0.99),
            max(health),
            percentile(control, 0.99),
            max(control),
        )
        rows.append((f"{label}, {size // MIB} MiB", str(len(health)), *(f"{figure:.1f}" for figure in figures)))
    return Table("health answered meanwhile, asked every 20 ms", columns, tuple(rows))


# -- the race --


def _race(stage: Stage, upstream: Upstream, size: int, clients: int) -> Outcome:
    servers = mirrors.lineup(stage, upstream)
    pulls: list[ColdPull] = []

    def load(server: Mirror, _round: int) -> Work:
        pulls.append(mirrors.cold_pull(stage, upstream, server, stage.content.blob(size), [None] * clients))
        return pulls[-1].work

    with running(servers):
        samples: list[Sample] = interleave(servers, stage.rounds, stage.order, load)
        peaks = {server.label: server.peak_rss() for server in servers}
    stage.discard(servers)
    title = f"cold GET of {size // MIB} MiB, {clients} client{'s' if clients > 1 else ''}"
    result = Race(title, BYTES, stage.subject_label, samples, peaks, ("first byte",))
    rows = tuple((label, _gets([one for one in pulls if one.server == label])) for label in result.labels())
    gets = Table(f"{title}: upstream GETs per pull", ("server", "GETs"), rows)
    return Outcome(
        (result.table(), gets), (), {title: result.raw()}, tuple(mirrors.faults_of(pulls, stage.subject_label))
    )


# -- words --


def _range_row(pull: ColdPull) -> tuple[str, ...]:
    statuses = [arrival.status for arrival in pull.load.arrivals]
    answers = " ".join(f"{statuses.count(status)} x {status}" for status in sorted(set(statuses)))
    delays = [delay * 1000 for delay in pull.delays]
    figures = (f"{median(delays):.1f}", f"{max(delays):.1f}", f"{pull.load.seconds:.2f}")
    return (pull.server, str(len(pull.gets)), answers, *figures)


def _gets(pulls: Sequence[ColdPull]) -> str:
    counts = sorted({len(pull.gets) for pull in pulls})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]}..{counts[-1]}"


def _labels(pulls: Sequence[ColdPull]) -> list[str]:
    """The peer last."""
    return sorted({pull.server for pull in pulls}, key=lambda label: label == DockerRegistry.kind)


def _raw(pull: ColdPull) -> dict[str, object]:
    figures = {"server": pull.server, "size": pull.size, "cpu": pull.cpu, "gets": len(pull.gets)}
    return figures | {
        "load": asdict(pull.load),
        "delays": pull.delays,
        "peak_rss": pull.peak_rss,
        "health": pull.health,
    }
