"""The recipe `behind-a-proxy`: nginx and HAProxy pass on what clients send, and say who they are."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import yaml

from tests.cookbook.markdown import Recipe
from tests.cookbook.proxies import haproxy, nginx
from tests.cookbook.servers import CONFIGURATION, Server, get, serving
from tests.cookbook.village import ELSEWHERE, Village
from tests.live.bench import Case
from tests.live.content import expect
from tests.live.tools import run

_URL = "https://pkg.example.com"
_TYPE = "Content-Type: application/octet-stream"
_MIB = 1 << 20

_Proxy = Callable[[Village, str, Callable[[], bool]], AbstractContextManager[None]]


def cases(village: Village) -> Iterator[Case]:
    """The same for each proxy."""
    recipe = Recipe.read("behind-a-proxy")
    proxies: dict[str, tuple[_Proxy, str]] = {
        "nginx": (nginx, recipe.file("/etc/nginx/conf.d/pkgd.conf")),
        "haproxy": (haproxy, recipe.file("/etc/haproxy/haproxy.cfg")),
    }
    with village.state():
        pem = Path("/etc/haproxy/pkg.example.com.pem")
        pem.parent.mkdir(exist_ok=True)
        village.shell(f"cd /etc/pkgd; cat tls.crt tls.key > {pem}")
        for name, (proxy, configuration) in proxies.items():
            with (
                serving(village, recipe.file(CONFIGURATION)) as server,
                proxy(village, configuration, lambda: get(f"{_URL}/ready")[0] == 200),
            ):
                yield Case(f"{name}: podman pushes and pulls", partial(_podman, village))
                trial = partial(_big, village, name)
                yield Case(f"{name}: a layer of {village.layer} MiB, pushed and pulled", trial)
                yield Case(f"{name}: the log has the client's address, whatever it says", partial(_log, server))
                yield Case(f"{name}: curl uploads, apt finds the URL", partial(_packages, village))
    yield Case("traefik: the files are of one mind", partial(_traefik, recipe))


def _podman(village: Village) -> None:
    image = village.images.small
    name = "pkg.example.com/team/app:1"
    village.shell(
        f"identity=$(podman pull --quiet {image.source})\n"
        f'podman push --quiet "$identity" docker://{name}\npodman rmi -a -f\n'
        f"podman pull --quiet {name}\npodman rmi -a -f"
    )


# A push in one piece, as docker sends it, and the pull of it.
_PUSH = r"""
location() { tr -d '\r' | awk -v root="$ROOT" 'tolower($1) == "location:" { sub(root, "", $2); print root $2 }'; }
digest=sha256:$(sha256sum "$LAYER" | cut -d' ' -f1)
place=$(curl -fsS -X POST -o /dev/null -D - "$BASE/uploads/" | location)
place=$(curl -fsS -X PATCH -T "$LAYER" -H "$TYPE" -o /dev/null -D - "$place" | location)
curl -fsS -X PUT -o /dev/null "$place?digest=$digest"
curl -fsS "$BASE/$digest" | sha256sum | grep -q "^${digest#sha256:}"
"""


def _big(village: Village, name: str) -> None:
    file = village.scratch / "layer"
    if not file.exists():
        with file.open("wb") as out:
            for _ in range(village.layer):
                out.write(os.urandom(_MIB))
    village.shell(_PUSH, LAYER=str(file), BASE=f"{_URL}/v2/{name}/big/blobs", ROOT=_URL, TYPE=_TYPE)


def _log(server: Server) -> None:
    """What a client writes into X-Forwarded-For itself is not believed."""
    path = "/v2/_catalog?seen-from-outside"
    curl = ["curl", "-fsS", "-o", "/dev/null", "--interface", ELSEWHERE]
    run(*curl, "-H", "X-Forwarded-For: 192.0.2.66", f"{_URL}{path}")
    (line,) = server.wait_for_lines(path)
    expect("the address in the log", line.split()[0], ELSEWHERE)


def _packages(village: Village) -> None:
    village.shell(f"curl -fsS -T hello_1.0_amd64.deb {_URL}/apt/main/stable/main/")
    said = village.shell(f"pkgd client-setup apt --url {_URL}")
    expect("the URL in the source", f"URIs: {_URL}/apt/main\n" in said, True)


def _traefik(recipe: Recipe) -> None:
    """It cannot be run here; but routers, services and entry points name each other."""
    static = yaml.safe_load(recipe.file("/etc/traefik/traefik.yml"))
    dynamic = yaml.safe_load(recipe.file("/etc/traefik/dynamic/pkgd.yml"))
    (router,) = dynamic["http"]["routers"].values()
    expect("entry points", set(router["entryPoints"]), set(static["entryPoints"]))
    (server,) = dynamic["http"]["services"][router["service"]]["loadBalancer"]["servers"]
    (listen,) = yaml.safe_load(recipe.file(CONFIGURATION))["server"]["listen"]
    expect("the server's port", server["url"].rpartition(":")[2], re.findall(r"tcp:(\d+)", listen)[0])
    expect("the folder", static["providers"]["file"]["directory"], "/etc/traefik/dynamic")
