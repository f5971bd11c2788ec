"""podman, skopeo and buildah: by registries.conf, where the mirror stands for the registry, and by the mirror's name.

Either way the first part of the path names the registry: these clients know no `ns`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from tests.live import buildah, podman, skopeo, upstreams
from tests.live.bench import Bench, Case
from tests.live.containers_storage import ContainersStorage
from tests.live.content import expect, files_below, hash_file
from tests.live.images import TAG
from tests.live.mirror_setup import registries_conf
from tests.live.mirror_stock import Stocked, heavy_of, light_of
from tests.live.tools import run
from tests.live.upstreams import mirroring

PROGRAMS = [*podman.PROGRAMS, *buildah.PROGRAMS, *skopeo.PROGRAMS, *upstreams.PROGRAMS]

Pull = Callable[[str, Stocked], None]
"""Pulls by a name with tag or digest, and compares what comes."""


def cases(bench: Bench) -> Iterator[Case]:
    """Each client in both ways; the first pulls cold."""
    with (
        mirroring(bench) as (mirror, behind),
        registries_conf(mirror.endpoint),
        mirror.folder("podman") as podman_folder,
        mirror.folder("buildah") as buildah_folder,
    ):
        server, light = mirror.server, light_of(mirror.images)
        pulls: dict[str, Pull] = {
            "podman": partial(_pull, podman.Podman(mirror, podman_folder)),
            "buildah": partial(_pull, buildah.Buildah(mirror, buildah_folder)),
            "skopeo": partial(_copy, mirror),
        }
        for client, pull in pulls.items():
            trial = partial(_pull_tags, pull, light)
            yield Case(f"{client} pulls tags of 4 registries by registries.conf", trial, server)
            trial = partial(_pull_digests, pull, f"{mirror.endpoint.address}/", light)
            yield Case(f"{client} pulls digests of 4 by the mirror's name", trial, server)
        heavy = heavy_of(mirror.images)
        yield Case("podman pulls 200 MiB, cold", partial(pulls["podman"], f"{heavy.full_name}:{TAG}", heavy), server)
        yield Case("upstream gave each blob once", behind.each_blob_went_out_once, server)
        behind.stop()
        yield Case("podman pulls all, upstreams gone", partial(_pull_tags, pulls["podman"], light), server)


def _pull_tags(pull: Pull, all_stocked: list[Stocked]) -> None:
    for stocked in all_stocked:
        pull(f"{stocked.full_name}:{TAG}", stocked)


def _pull_digests(pull: Pull, before: str, all_stocked: list[Stocked]) -> None:
    for stocked in all_stocked:
        pull(f"{before}{stocked.full_name}@{stocked.top.digest}", stocked)


def _pull(client: ContainersStorage, name: str, stocked: Stocked) -> None:
    """Pull this machine's image into the client's storage, with no option that says how: its files are there."""
    image = stocked.for_this_machine
    identity = client.run("pull", "--quiet", name)
    expect("image id", identity, image.config.digest.removeprefix("sha256:"))
    with client.mounted(identity) as folder:
        expect("files", files_below(folder), image.files)
    client.run("rmi", "--force", identity)


def _copy(mirror: Bench, name: str, stocked: Stocked) -> None:
    """Copy this machine's image to a folder: every byte is the original's."""
    image = stocked.for_this_machine
    with mirror.folder("copied") as folder:
        run("skopeo", "copy", "--quiet", "--preserve-digests", f"docker://{name}", f"dir:{folder}")
        expect("manifest", hash_file(folder / "manifest.json"), image.manifest.digest[7:])
        for blob in image.blobs:
            expect("blob", hash_file(folder / blob.digest[7:]), blob.digest[7:])
