"""The recipe `air-gap`: filled outside, carried across, and used where nothing else can be reached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from tests.cookbook.engines import containerd_node
from tests.cookbook.internet import internet
from tests.cookbook.laptop import forget_clients, installed_deb, installed_rpm
from tests.cookbook.markdown import Recipe
from tests.cookbook.public_mirror import ALPINE, CONTAINERD, HOSTS, PAUSE, REGISTRIES, client_files, pull_by_cri
from tests.cookbook.servers import CONFIGURATION, Server, serving
from tests.cookbook.village import Village, empty
from tests.live.bench import Case
from tests.live.content import expect
from tests.live.tools import run

_LIST = "/root/images.txt"
_DISK = Path("/media/disk")
_FIRST, _SECOND = _DISK / "2026-11-27", _DISK / "2026-12-04"


def cases(village: Village) -> Iterator[Case]:
    """Outside, across, inside."""
    recipe = Recipe.read("air-gap")
    village.write(_LIST, recipe.file(_LIST))
    with village.state(), _disk():
        with internet(village, "air-gap"), serving(village, recipe.file(f"outside:{CONFIGURATION}")):
            yield Case("images are fetched, packages added", lambda: village.shell(recipe.command("prefetch")))
            commands = recipe.command(f"backup -c {CONFIGURATION} {_FIRST}")
            yield Case("the state is put on the disk", partial(village.shell, commands))
            yield Case("a week later, too", partial(_once_more, village, recipe.command("--previous")))
        empty(Path("/var/lib/pkgd"))
        village.write(CONFIGURATION, recipe.file(f"inside:{CONFIGURATION}"))
        first = recipe.command(f"restore -c {CONFIGURATION} {_FIRST}").rpartition("pkgd serve")[0]
        yield Case("the disk is read", partial(village.shell, first))
        with ExitStack() as stack:
            server = stack.enter_context(serving(village, recipe.file(f"inside:{CONFIGURATION}")))
            mirror = client_files(Recipe.read("public-mirror"))
            files = {path: mirror[path] for path in (CONTAINERD, REGISTRIES)} | {HOSTS: recipe.file(HOSTS)}
            stack.enter_context(village.installed(files))
            node = stack.enter_context(containerd_node(village, "air-gap"))
            yield Case("containerd pulls", partial(pull_by_cri, node, ALPINE, PAUSE))
            yield Case("podman pulls", lambda: village.shell(f"podman pull {ALPINE} {PAUSE}; podman rmi -a -f"))
            yield Case("what was not carried is not there", partial(_absent, server))
            yield Case("apt installs", partial(_apt, village))
            yield Case("dnf installs", partial(_dnf, village))
            yield Case("the next disk takes its place", partial(_next_disk, village, recipe, server))
            yield Case("and has the same", partial(pull_by_cri, node, ALPINE, PAUSE))
    forget_clients(village)


@contextmanager
def _disk() -> Iterator[None]:
    """A disk, for the block."""
    _DISK.mkdir(parents=True, exist_ok=True)
    run("mount", "-t", "tmpfs", "tmpfs", str(_DISK))
    try:
        yield
    finally:
        run("umount", str(_DISK))


def _once_more(village: Village, commands: str) -> None:
    """What is on the disk already takes no space again."""
    village.shell(commands)
    blobs = [path for path in _SECOND.rglob("blobs/*") if path.is_file()]
    expect("blobs", len(blobs) > 0, True)
    expect("blobs that are there twice", [str(path) for path in blobs if path.stat().st_nlink == 1], [])


def _next_disk(village: Village, recipe: Recipe, server: Server) -> None:
    village.shell(recipe.command("PKGD_STATE_DIR"))
    expect("still served", server.status("/ready"), 200)
    server.stop()
    village.shell(recipe.command("mv "))
    server.start()


def _absent(server: Server) -> None:
    expect("status", server.status("/v2/library/other/manifests/1?ns=docker.io"), 404)


def _apt(village: Village) -> None:
    setup = "pkgd client-setup apt --url https://pkg.example.com --install"
    village.shell(f"{setup}; apt-get update; apt-get install -y hello")
    expect("installed", installed_deb(village), "hello 1.0")


def _dnf(village: Village) -> None:
    village.shell("pkgd client-setup dnf --url https://pkg.example.com --install; dnf install -y hello")
    expect("installed", installed_rpm().exists(), True)
