"""containerd with one `_default/hosts.toml` for everything: four public registries and pkgd's own, told apart by `ns`.

Tags are fresh for a second only, so that every later pull of one makes pkgd ask upstream whether it still holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from tests.live import mirror_node, upstreams
from tests.live.bench import Bench, Case
from tests.live.content import expect
from tests.live.images import TAG
from tests.live.mirror_node import Pull, running_node
from tests.live.mirror_stock import Stocked, heavy_of, light_of
from tests.live.server import LogTail
from tests.live.upstreams import Upstreams, host_tool, mirroring

PROGRAMS = [*mirror_node.PROGRAMS, *upstreams.PROGRAMS]

Wanted = list[tuple[Stocked, str]]
"""Images, each with the tag or digest by which it is pulled."""


def cases(bench: Bench) -> Iterator[Case]:
    """Cold, again, and with nothing left upstream."""
    with mirroring(bench, tag_ttl="1s") as (mirror, behind), running_node(mirror) as node:
        server, log = mirror.server, LogTail(mirror.server.log)
        light, heavy = [*light_of(mirror.images), host_tool(mirror)], heavy_of(mirror.images)
        for stocked in (*light, heavy):
            yield Case(f"ctr pulls {stocked.full_name}, cold", partial(node.pull_with_ctr, stocked), server)
        yield Case("upstream gave each blob once", behind.each_blob_went_out_once, server)
        both = [(stocked, reference) for stocked in light for reference in (TAG, stocked.top.digest)]
        trial = partial(_pull_again, node.pull_with_ctr, [*both, (heavy, TAG)], behind)
        yield Case("ctr pulls by tag and digest, nothing is fetched again", trial, server)
        trial = partial(_pull_again, node.pull_with_cri, both, behind)
        yield Case("CRI pulls by tag and digest, nothing is fetched again", trial, server)
        yield Case("every request named its registry by ns", partial(_each_named, log, [*light, heavy]), server)
        behind.stop()
        trial = partial(_pull_all, node.pull_with_ctr, both)
        yield Case("ctr pulls by tag and digest, upstreams gone", trial, server)
        trial = partial(_pull_all, node.pull_with_cri, [(stocked, TAG) for stocked in (*light, heavy)])
        yield Case("CRI pulls by tag, upstreams gone", trial, server)


def _pull_again(pull: Pull, wanted: Wanted, behind: Upstreams) -> None:
    with behind.untouched():
        _pull_all(pull, wanted)


def _pull_all(pull: Pull, wanted: Wanted) -> None:
    for stocked, reference in wanted:
        pull(stocked, reference)


def _each_named(log: LogTail, pulled: list[Stocked]) -> None:
    """No request of containerd's came without `ns`, and each registry was named by some."""
    for host in {stocked.host for stocked in pulled}:
        log.wait_for(f"a request to {host}", rf'"GET /v2/\S+\?ns={re.escape(host)} .*containerd/')
    requests = log.wait_for("requests of containerd", r'"(?:GET|HEAD) /v2/.*containerd/')
    expect("requests without ns", [line for line in requests if not re.search(r"\?ns=[a-z0-9.]+ HTTP", line)], [])
