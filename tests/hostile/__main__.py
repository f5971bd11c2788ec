"""The hostile corpus: `python -m tests.hostile [--server NAME] [--only CATEGORY]`.

Every case is sent raw over a socket to a real server, directly and then through nginx.
A case passes if each request got one of the good answers, in the format of its API, and an honest request on the
same connection was understood afterwards.
Meanwhile `/health` is asked every 10 ms: its slowest answer bounds how long the server's reactor stood still.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.crash.server import SERVERS, NotReady, Pkgd, Server
from tests.hostile.case import Case, shown
from tests.hostile.corpus import quick_cases, slow_cases
from tests.hostile.corpus.slow import BODY_TIMEOUT
from tests.hostile.edge import Edge
from tests.hostile.fixture import Fixture, NotPrepared
from tests.hostile.front import Failure, Front
from tests.hostile.pulse import Delay, Pulse

_PORT = 23000
_LEAST_CASES = 1000
_FAILURES_SHOWN = 12
_LARGEST_MEMORY = 256 << 20


class ImpatientPkgd(Pkgd):
    """pkgd that waits for slow bodies only briefly."""

    limits = {"body_timeout": f"{BODY_TIMEOUT}s"}


_SERVERS: dict[str, type[Server]] = {**SERVERS, Pkgd.name: ImpatientPkgd}


def main() -> int:
    """Run the corpus; returns the exit status."""
    options = _parse_options()
    directory = Path(tempfile.mkdtemp(prefix="pkgd-hostile-"))
    server = _SERVERS[options.server](options.port, directory / "state", directory / "logs")
    edge = Edge(options.port + 1, options.port, directory / "nginx")
    try:
        server.start()
        edge.start()
        failed = asyncio.run(_run(server, edge, options))
    except (NotReady, NotPrepared) as error:
        print(f"{error}\n0 passed, 1 failed")
        failed = 1
    finally:
        edge.stop()
        if server.is_running():
            server.stop()
    if not failed:
        shutil.rmtree(directory)
    else:
        print(f"logs are in {directory}")
    return 1 if failed else 0


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--server", choices=sorted(_SERVERS), default="pkgd", help="the server under test")
    parser.add_argument("--port", type=int, default=_PORT, help="nginx takes the port after it")
    parser.add_argument("--only", default="", help="run only the categories that begin so")
    parser.add_argument("--at-once", type=int, default=8, help="cases at the same time; 1 shows which one stalls")
    parser.add_argument("--shown", type=int, default=_FAILURES_SHOWN, help="how many failures of a category to print")
    return parser.parse_args()


async def _run(server: Server, edge: Edge, options: argparse.Namespace) -> int:
    began = time.monotonic()
    quick = [one for one in quick_cases() if one.category.startswith(options.only)]
    fixture = Fixture(server.port)
    await fixture.push()
    fronts = [
        Front("direct", server.port, False, server, fixture, options.at_once),
        Front("nginx", edge.port, True, server, fixture, options.at_once),
    ]
    pulse = Pulse(server.port, server.health_path, server.pid)
    for front in fronts:
        slow = slow_cases(front.edge) if "slow".startswith(options.only) else []
        await front.run(quick, slow)
    memory = peak_memory(server.pid)
    asked, delays = pulse.stop()
    checks = [(len(quick) >= _LEAST_CASES or bool(options.only), f"{len(quick)} distinct quick cases")]
    checks += [(memory <= _LARGEST_MEMORY, f"peak memory of the server {memory / 2**20:.0f} MiB")]
    checks += [(not edge.upstream_errors(), f"nginx complained {len(edge.upstream_errors())} times about the server")]
    checks += [(server.stop() == server.stop_status, "graceful stop afterwards")]
    failed = sum(_report(front, options.shown) for front in fronts)
    for line in edge.upstream_errors()[: options.shown]:
        print(f"  nginx: {line[:400]}")
    for good, text in checks:
        print(f"{'ok' if good else 'FAILED'}: {text}")
    _print_stall(asked, delays, fronts)
    failed += sum(not good for good, _ in checks)
    passed = sum(front.passed.total() for front in fronts) + sum(good for good, _ in checks)
    print(f"took {time.monotonic() - began:.0f} s\n{passed} passed, {failed} failed")
    return failed


def peak_memory(pid: int) -> int:
    """The largest resident size that the process has had, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0


def _report(front: Front, most: int) -> int:
    """Print what came out on one way to the server; returns how much failed."""
    failed = Counter(failure.case.category for failure in front.failures)
    print(f"{front.name}:")
    for category in sorted(front.passed | failed):
        print(f"  {category:14} {front.passed[category]:5} passed {failed[category]:5} failed")
    shown_so_far: Counter[str] = Counter()
    for failure in front.failures:
        shown_so_far[failure.case.category] += 1
        if shown_so_far[failure.case.category] <= most:
            _print_failure(front, failure)
    for notice, times in front.notices.most_common(most):
        print(f"{front.name}: {times} times: {notice}")
    return len(front.failures) + len(front.notices)


def _print_failure(front: Front, failure: Failure) -> None:
    case = failure.case
    print(f"{front.name}: {case.category}: {case.name}")
    print(f"    sent {_sent(case)}")
    for answer in failure.conversation.answers[:3]:
        print(f"    got {answer.status} {dict(answer.fields)} {shown(answer.body, 120)}")
    for fault in failure.faults:
        print(f"    {fault[:500]}")


def _sent(case: Case) -> str:
    parts = [shown(step, 300) if isinstance(step, bytes) else repr(step)[:60] for step in case.steps[:4]]
    return " | ".join(parts)


def _print_stall(asked: int, delays: list[Delay], fronts: list[Front]) -> None:
    """The slowest answers of `/health`, each with what ran at that time."""
    spans = [(start, f"{front.name} {category}") for front in fronts for start, category in front.spans]
    slowest = sorted(delays, key=lambda delay: -delay.stall)[:5]
    worst = f"{slowest[0].stall * 1000:.0f} ms" if slowest else "under 20 ms"
    print(f"worst stall {worst} in {asked} answers of the health probe")
    for delay in slowest:
        during = [what for start, what in spans if start <= delay.asked]
        less = f"{delay.seconds * 1000:.0f} ms less {delay.waited * 1000:.0f} ms without a processor"
        print(f"  {delay.stall * 1000:.0f} ms ({less}) during {during[-1] if during else 'the start'}")


if __name__ == "__main__":
    sys.exit(main())
