"""A registry far away: 200 MiB at 40 MiB/s, pulled by two nodes at once while nothing of it is cached.

Every client follows the one transfer from upstream, at its pace, from the first byte on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from tests.live import mirror_node, upstreams
from tests.live.bench import Bench, Case
from tests.live.content import expect
from tests.live.mirror_node import Node, running_node
from tests.live.mirror_stock import Stocked, heavy_of
from tests.live.registry import Endpoint, Registry
from tests.live.tools import run
from tests.live.upstreams import Upstream, mirror_setup, running_upstreams
from tests.nginx import nginx

PROGRAMS = ["nginx", "curl", *mirror_node.PROGRAMS, *upstreams.PROGRAMS]

_PIECE = 64 << 10


def cases(bench: Bench) -> Iterator[Case]:
    """Cold by two nodes and a curl, then again."""
    with running_upstreams(bench) as behind, _throttled(bench, behind["docker.io"]) as slow:
        registries = behind.registries()
        registries["docker.io"]["url"] = slow.url
        with bench.serving(mirror_setup(bench, "mirror", 21700, registries=registries)) as server:
            mirror, heavy = bench.reaching(server, server.setup.endpoint), heavy_of(bench.images)
            with running_node(mirror, "node-1") as one, running_node(mirror, "node-2") as other:
                trial = partial(_pull_at_once, mirror, [one, other], heavy)
                yield Case("two nodes pull 200 MiB cold, first bytes at once", trial, server)
                yield Case("upstream gave each blob once", behind.each_blob_went_out_once, server)


def _pull_at_once(mirror: Bench, nodes: list[Node], stocked: Stocked) -> None:
    """Pull with all nodes; meanwhile curl has the first bytes long before upstream has sent the last."""
    with ThreadPoolExecutor(len(nodes)) as threads:
        pulls = [threads.submit(node.pull_with_ctr, stocked) for node in nodes]
        _first_bytes_come(mirror, stocked)
        ended = [pull for pull in pulls if pull.done()]
    for pull in pulls:
        pull.result()
    expect("pulls that had ended by then", ended, [])


def _first_bytes_come(mirror: Bench, stocked: Stocked) -> None:
    """Read the beginning of the large layer, and leave."""
    image, certificates = stocked.for_this_machine, mirror.endpoint.certificates
    layer = image.layers[0].blob
    url = f"{mirror.endpoint.url}/v2/{stocked.name}/blobs/{layer.digest}?ns={stocked.host}"
    trust = ["--cacert", str(certificates.authority)] if certificates else []
    with mirror.folder("curl") as folder:
        out = folder / "beginning"
        limits = ["--max-time", "3", "--range", f"0-{_PIECE - 1}"]
        run("curl", "--silent", "--show-error", "--fail", *limits, *trust, "--output", str(out), url)
        with image.layout.path(layer.digest).open("rb") as original:
            expect("beginning of the layer", _hash(out.read_bytes()), _hash(original.read(_PIECE)))


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextmanager
def _throttled(bench: Bench, upstream: Upstream) -> Iterator[Endpoint]:
    """An nginx before the registry that lets through 40 MiB a second on each connection."""
    front = Endpoint("127.0.0.1", 21605, None)
    with bench.folder("throttle") as folder:
        server = [
            f"listen {front.address};",
            "limit_rate 40m;",
            "location / {",
            f"    proxy_pass http://{upstream.setup.endpoint.address};",
            "    proxy_http_version 1.1;",
            "    proxy_set_header Host $http_host;",
            "}",
        ]
        with nginx(folder, *server) as daemon:
            daemon.wait_until(lambda: Registry(front).answers("/v2/"))
            yield front
