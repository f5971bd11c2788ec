"""docker and podman that ask `docker-credential-pkgd`: who has logged in by `pkgd login` pushes and pulls.

A program of its own, in namespaces for mounts and processes, so that what the engines leave behind ends with it.
Its home has the login; the pkgd is on 127.0.0.1, whose certificate docker doesn't verify, and podman does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from tests.live.auth_clients import Client, DockerClient, PodmanClient
from tests.live.auth_setup import NOT_LET_IN, refused
from tests.live.bench import Bench
from tests.live.certificates import Certificates
from tests.live.containerd import running_containerd
from tests.live.docker import Docker
from tests.live.images import Images
from tests.live.registry import Endpoint
from tests.live.tools import run, running

PROGRAMS = ["docker", "dockerd", "containerd", "runc", "podman", "skopeo", "unshare"]

# A path that is short: podman takes a run root of at most 50 characters.
_SHORT = Path("/run/suite")


def try_engines(
    home: Path, port: int, certificates: Certificates, credentials: str
) -> subprocess.CompletedProcess[str]:
    """Run all this, with whoever has logged in in that home; returns how it ended, and what was said.

    :param credentials: `user:password` of who may see what has been pushed.
    """
    programs = home / "bin"
    programs.mkdir()
    helper = programs / "docker-credential-pkgd"
    helper.write_text(f'#!/bin/sh\nexec {sys.executable} -m pkgd.login.helper "$@"\n')
    helper.chmod(0o755)
    (home / ".docker").mkdir()
    (home / ".docker/config.json").write_text(json.dumps({"credHelpers": {f"127.0.0.1:{port}": "pkgd"}}))
    (home / "containers.conf").write_text('[engine]\nruntime = "runc"\nevents_logger = "file"\n')
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}:/usr/sbin:/sbin",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(_SHORT),
        "CONTAINERS_CONF": str(home / "containers.conf"),
    }
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    files = [str(one) for one in (certificates.trusted, certificates.chain, certificates.key)]
    command = [*namespaces, sys.executable, "-m", "tests.oidc.engines", str(home), str(port), credentials, *files]
    return subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120
    )


def main(home: str, port: str, credentials: str, *files: str) -> None:
    """Push, pull, log out, and be refused; raises if anything is not as it must be."""
    for folder in ("/run", "/var/lib/containers"):
        Path(folder).mkdir(exist_ok=True)
        run("mount", "-t", "tmpfs", "tmpfs", folder)
    _SHORT.mkdir()
    scratch = Path(home) / "engines"
    scratch.mkdir()
    run("mount", "--bind", str(scratch), str(_SHORT))
    certificates = Certificates(*(Path(one) for one in files))
    no_server: Any = None
    endpoint = Endpoint("127.0.0.1", int(port), certificates)
    bench = Bench(no_server, endpoint, Images(_SHORT / "images"), certificates, _SHORT, credentials)
    with (
        bench.folder("podman") as of_podman,
        bench.folder("docker") as of_docker,
        running_containerd(of_docker, cri=False) as containerd,
    ):
        engine = Docker(bench, of_docker)
        with running(engine.daemon(containerd.socket)) as daemon:
            daemon.wait_until(engine.serves, seconds=60)
            _try([DockerClient(bench, of_docker, engine), PodmanClient(bench, of_podman)], endpoint)


def _try(clients: list[Client], endpoint: Endpoint) -> None:
    images = clients[0].bench.images
    for client in clients:
        image = images.another_small(client.program)
        client.push(image, f"team/{client.program}")
        client.pull(image, client.bench.seed(image))
    assert endpoint.certificates is not None
    authority = str(endpoint.certificates.authority)
    run(sys.executable, "-m", "pkgd", "logout", endpoint.url, "--ca-file", authority)
    for client in clients:
        image = images.another_small(client.program)
        refused(f"{NOT_LET_IN}|credentials are needed", partial(client.pull, image, client.bench.seed(image)))


if __name__ == "__main__":
    main(*sys.argv[1:])
