"""Pulls through a mirror that asks who somebody is, by clients that show it their credentials for Docker Hub."""

from __future__ import annotations

import json
import os
import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from tests.live import docker, mirror_node, upstreams
from tests.live.auth_setup import NOT_LET_IN, PASSWORDS, asking_sections, refused
from tests.live.bench import Bench, Case
from tests.live.content import expect
from tests.live.docker import Docker, running_docker
from tests.live.images import TAG
from tests.live.mirror_node import Node, running_node
from tests.live.mirror_setup import daemon_json, hosts_toml
from tests.live.mirror_stock import Stocked, index_of, light_of
from tests.live.registry import basic
from tests.live.server import LogTail
from tests.live.upstreams import mirror_setup, running_upstreams

PROGRAMS = [*docker.PROGRAMS, *mirror_node.PROGRAMS, *upstreams.PROGRAMS]

_FOREIGN = "somebody:known to Docker Hub"
_ALICE = f"alice:{PASSWORDS['alice']}"


def cases(bench: Bench) -> Iterator[Case]:
    """docker and containerd: what anybody may pull comes, whatever they show."""
    with running_upstreams(bench) as behind, bench.folder("users") as folder:
        setup = mirror_setup(bench, "mirror", 21700, registries=behind.registries())
        with bench.serving(replace(setup, more=asking_sections(folder))) as server:
            mirror = bench.reaching(server, setup.endpoint)
            index = index_of(mirror.images)
            closed = next(stocked for stocked in light_of(mirror.images) if stocked.host == "registry.k8s.io")
            with daemon_json(mirror.endpoint), running_docker(mirror) as client:
                yield Case("docker pulls alpine, logged in nowhere", partial(_pull, client, index), server)
                trial = partial(_pull_as_foreigner, client, index, LogTail(server.log))
                yield Case("docker pulls alpine, logged in to Docker Hub", trial, server)
            with running_node(mirror, "node") as node:
                yield Case("containerd pulls alpine, showing nothing", partial(node.pull_with_ctr, index), server)
                trial = partial(_closed, node, closed)
                yield Case("containerd gets nothing that isn't for everybody", trial, server)
                for user, known_as in ((_FOREIGN, "-"), (_ALICE, "alice")):
                    _always_show(node, mirror, user)
                    trial = partial(_pull_showing, node, index, known_as, LogTail(server.log))
                    yield Case(f"containerd pulls alpine, showing {user.partition(':')[0]}", trial, server)
                yield Case("containerd pulls what alice alone may", partial(node.pull_with_ctr, closed), server)


def _pull(client: Docker, stocked: Stocked) -> None:
    client.pull_as(f"alpine:{TAG}", stocked.for_this_machine)


def _pull_as_foreigner(client: Docker, stocked: Stocked, log: LogTail) -> None:
    """docker shows them to the mirror's token service, and gets the token that is for anybody."""
    with _logged_in_to_docker_hub():
        _pull(client, stocked)
    log.wait_for("docker showing them", r'"GET /auth/token\?account=somebody&\S+ HTTP/[.0-9]+" 200')


def _always_show(node: Node, mirror: Bench, user: str) -> None:
    """A header for every registry: containerd itself shows credentials only where it is asked for them."""
    file = node.hosts / "_default/hosts.toml"
    file.write_text(
        hosts_toml(mirror.endpoint) + f'[host."{mirror.endpoint.url}".header]\n  Authorization = "{basic(user)}"\n'
    )


def _pull_showing(node: Node, stocked: Stocked, known_as: str, log: LogTail) -> None:
    """Not one request is refused, after which containerd would come back without the header."""
    node.pull_with_ctr(stocked)
    log.wait_for("the pull", rf' - {known_as} \[[^]]+\] "GET /v2/library/alpine/manifests/\S+ HTTP/[.0-9]+" 200')
    refusal = r'/v2/library/alpine/\S+ HTTP/[.0-9]+" 401 '
    expect("refusals", [line for line in log.lines() if re.search(refusal, line)], [])


def _closed(node: Node, stocked: Stocked) -> None:
    """Neither without credentials nor with foreign ones."""
    for user in (None, _FOREIGN):
        refused(f"{NOT_LET_IN}|authorization failed|failed to resolve", partial(node.pull_with_ctr, stocked, user=user))


@contextmanager
def _logged_in_to_docker_hub() -> Iterator[None]:
    """For the block, what `docker login` leaves."""
    file = Path(os.environ["HOME"], ".docker/config.json")
    file.parent.mkdir(exist_ok=True)
    before = file.read_text() if file.exists() else "{}"
    login = {"auth": b64encode(_FOREIGN.encode()).decode()}
    file.write_text(json.dumps({"auths": {"https://index.docker.io/v1/": login}}))
    try:
        yield
    finally:
        file.write_text(before)
