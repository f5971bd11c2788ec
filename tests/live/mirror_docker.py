"""The Docker engine, with the mirror in its daemon.json: names without a host are Docker Hub's, and come through it.

docker asks a mirror without saying for which registry, and where the mirror fails, Docker Hub itself:
here that is out of reach, so that what is pulled has come through pkgd.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.live import docker, upstreams
from tests.live.bench import Bench, Case
from tests.live.content import expect
from tests.live.docker import Docker, running_docker
from tests.live.images import TAG
from tests.live.mirror_setup import daemon_json
from tests.live.mirror_stock import Stocked, heavy_of, index_of, light_of
from tests.live.server import LogTail
from tests.live.upstreams import host_tool, mirroring

PROGRAMS = [*docker.PROGRAMS, *upstreams.PROGRAMS]


def cases(bench: Bench) -> Iterator[Case]:
    """Docker Hub's images by their short names, the other registries' by the mirror's."""
    with mirroring(bench) as (mirror, behind), daemon_json(mirror.endpoint), running_docker(mirror) as client:
        server, log = mirror.server, LogTail(mirror.server.log)
        index, heavy = index_of(mirror.images), heavy_of(mirror.images)
        prefix = f"{mirror.endpoint.address}/"
        elsewhere = [stocked for stocked in light_of(mirror.images) if stocked.host != "docker.io"]
        digest = index.top.digest
        yield Case("docker pulls alpine, cold", partial(_pull, client, f"alpine:{TAG}", index), server)
        yield Case("docker pulls alpine by digest", partial(_pull, client, f"alpine@{digest}", index), server)
        yield Case("docker pulls 200 MiB, cold", partial(_pull, client, f"{heavy.name}:{TAG}", heavy), server)
        hosted = host_tool(mirror)
        yield Case(
            "docker pulls pkgd's own image, named alike", partial(_pull, client, f"{hosted.name}:{TAG}", hosted), server
        )
        trial = partial(_pull_all, client, prefix, elsewhere)
        yield Case("docker pulls from 3 more by the mirror's name", trial, server)
        yield Case("upstream gave each blob once", behind.each_blob_went_out_once, server)
        yield Case("all of it came through the mirror", partial(_came_through, mirror, log), server)
        behind.stop()
        yield Case("docker pulls alpine, upstreams gone", partial(_pull, client, f"alpine:{TAG}", index), server)
        trial = partial(_pull_all, client, prefix, elsewhere[:2])
        yield Case("docker pulls two of the others, upstreams gone", trial, server)


def _pull(client: Docker, name: str, stocked: Stocked) -> None:
    client.pull_as(name, stocked.for_this_machine)


def _pull_all(client: Docker, before: str, all_stocked: list[Stocked]) -> None:
    for stocked in all_stocked:
        for reference in (f":{TAG}", f"@{stocked.top.digest}"):
            _pull(client, before + stocked.full_name + reference, stocked)


def _came_through(mirror: Bench, log: LogTail) -> None:
    """pkgd saw docker's requests, and dockerd says nowhere that it went on to Docker Hub."""
    log.wait_for("docker asking for alpine", r'"GET /v2/library/alpine/manifests/\S+ HTTP/[.0-9]+" 200 .*docker/')
    said = (mirror.scratch / "docker/dockerd.log").read_text().splitlines()
    expect("dockerd's lines about Docker Hub", [line for line in said if "registry-1.docker.io" in line], [])
