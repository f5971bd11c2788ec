"""pkgd behind an nginx that terminates TLS: clients push through it, and the access log shows the clients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.live import docker, podman, skopeo
from tests.live.bench import Bench, Case
from tests.live.cell import OUTER_ADDRESS
from tests.live.content import expect
from tests.live.registry import Endpoint, Registry
from tests.live.server import LogTail, Setup
from tests.nginx import nginx

PROGRAMS = ["nginx", *skopeo.PROGRAMS, *podman.PROGRAMS, *docker.PROGRAMS]


def cases(bench: Bench) -> Iterator[Case]:
    """Pushes by three clients; the proxy speaks TLS, so all this is done once, and not over plain HTTP."""
    if not bench.secure:
        return
    back = Setup("pkgd-behind-nginx", "127.0.0.1", 21081, behind_proxy=True)
    front = Endpoint(OUTER_ADDRESS, 21444, bench.certificates)
    with bench.folder("nginx") as folder, bench.serving(back) as server, running_nginx(folder, front, back):
        bench = bench.reaching(server, front)
        log = LogTail(server.log)
        yield Case("skopeo pushes and pulls 64 MiB", lambda: _with_skopeo(bench), server)
        yield Case("podman pushes and pulls", lambda: _with_podman(bench), server)
        yield Case("docker pushes and pulls", lambda: _with_docker(bench), server)
        yield Case("the access log shows the client's address", lambda: _log_shows_client(log), server)


def _with_skopeo(bench: Bench) -> None:
    bench.forget_known_blobs()
    client = skopeo.Skopeo(bench)
    client.push(bench.images.resumable, "nginx/skopeo")
    client.pull(bench.images.resumable)


def _with_podman(bench: Bench) -> None:
    bench.forget_known_blobs()
    with bench.folder("podman") as folder:
        client = podman.Podman(bench, folder)
        client.push(bench.images.small, "nginx/podman")
        client.pull(bench.images.small)


def _with_docker(bench: Bench) -> None:
    with docker.running_docker(bench) as client:
        client.push(bench.images.small, "nginx/docker")
        client.pull(bench.images.small)


def _log_shows_client(log: LogTail) -> None:
    """nginx speaks to pkgd from 127.0.0.1, clients to nginx from the outer address; 3 pushes end with a manifest."""
    pushes = log.wait_for("pushes", r'"PUT /v2/nginx/\w+/manifests/', count=3)
    without = [line for line in pushes if OUTER_ADDRESS not in line]
    expect("pushes logged without the client's address", without, [])


@contextmanager
def running_nginx(folder: Path, front: Endpoint, back: Setup, path: str = "/v2/") -> Iterator[None]:
    """nginx for the block, once it gets 200 for that path.

    :param front: where it listens; :param back: what it passes everything to.
    """
    assert front.certificates
    server = [
        f"listen {front.address} ssl;",
        f"ssl_certificate {front.certificates.chain};",
        f"ssl_certificate_key {front.certificates.key};",
        "client_max_body_size 0;",
        "location / {",
        f"    proxy_pass http://{back.endpoint.address};",
        "    proxy_http_version 1.1;",
        "    proxy_request_buffering off;",
        "    proxy_buffering off;",
        "    proxy_read_timeout 900s;",
        "    proxy_set_header Host $http_host;",
        "    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
        "    proxy_set_header X-Forwarded-Proto $scheme;",
        "    proxy_set_header X-Forwarded-Host $http_host;",
        "}",
    ]
    with nginx(folder, *server) as daemon:
        daemon.wait_until(lambda: Registry(front).answers(path))
        yield
