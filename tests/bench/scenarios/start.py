"""How long a start takes until the first 200 of the readiness probe, and how much memory an idle server holds."""

import time
from statistics import median

from attrs import asdict, frozen

from tests.bench.figures import MIB, Bar, Outcome, Table, spread
from tests.bench.servers import DockerRegistry, Server
from tests.bench.stage import Stage

IDLE_BEFORE_LOOKING = 1.0
STARTS = 7
QUICK_STARTS = 2


@frozen
class Start:
    """One start on an empty folder."""

    server: str
    seconds: float
    idle_rss: int


def run(stage: Stage) -> Outcome:
    """Start each server several times, in turns; the first turn warms the page cache and isn't kept."""
    turns = QUICK_STARTS if stage.quick else STARTS
    starts = [one for turn in range(turns + 1) for one in _turn(stage) if turn]
    labels = [stage.subject_label, DockerRegistry.kind]
    rows = tuple(_row(label, starts) for label in labels)
    columns = ("server", "ready after s", "spread", "idle RSS MiB", "spread")
    table = Table(f"exec to first 200 of the readiness probe, {turns} starts", columns, rows)
    return Outcome((table,), _bars(stage.subject_label, starts), {"starts": [asdict(one) for one in starts]})


def _turn(stage: Stage) -> list[Start]:
    servers = stage.lineup(DockerRegistry)
    starts = [_start(server) for server in stage.order.sample(servers, len(servers))]
    stage.discard(servers)
    return starts


def _start(server: Server) -> Start:
    try:
        seconds = server.start()
        time.sleep(IDLE_BEFORE_LOOKING)
        return Start(server.label, seconds, server.rss())
    finally:
        server.stop()


def _seconds(label: str, starts: list[Start]) -> list[float]:
    return [one.seconds for one in starts if one.server == label]


def _idle_mib(label: str, starts: list[Start]) -> list[float]:
    return [one.idle_rss / MIB for one in starts if one.server == label]


def _row(label: str, starts: list[Start]) -> tuple[str, ...]:
    seconds, idle = _seconds(label, starts), _idle_mib(label, starts)
    return (label, f"{median(seconds):.3f}", spread(seconds, 3), f"{median(idle):.1f}", spread(idle, 1))


def _bars(label: str, starts: list[Start]) -> tuple[Bar, ...]:
    return (
        Bar("ready after the start", median(_seconds(label, starts)), 1.0, at_least=False, unit=" s"),
        Bar("idle RSS", median(_idle_mib(label, starts)), 70, at_least=False, unit=" MiB"),
    )
