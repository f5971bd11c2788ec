"""crane, which speaks the protocol and nothing else: it reads the mirrored registries by the mirror's name.

crane takes loopback for plain HTTP, and trusts the CA in SSL_CERT_FILE.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial

from tests.live import upstreams
from tests.live.bench import Bench, Case
from tests.live.content import expect, hash_file
from tests.live.images import TAG
from tests.live.mirror_stock import Stocked, index_of, light_of
from tests.live.tools import must_be_there, run
from tests.live.upstreams import mirroring

PROGRAMS = ["crane", *upstreams.PROGRAMS]


def cases(bench: Bench) -> Iterator[Case]:
    """Every command that reads, and a copy from the mirror to pkgd's own repositories."""
    yield Case("crane is there", partial(must_be_there, "crane"))
    with mirroring(bench) as (mirror, behind):
        crane, server, index = Crane(mirror), mirror.server, index_of(mirror.images)
        light = light_of(mirror.images)
        yield Case("crane digest", partial(crane.tells_digests, light), server)
        yield Case("crane manifest", partial(crane.shows_manifests, light), server)
        yield Case("crane ls", partial(crane.lists_tags, light), server)
        yield Case("crane pull of all platforms", partial(crane.pulls, light), server)
        yield Case("crane validate", partial(crane.validates, light), server)
        yield Case("crane copy to a hosted repository", partial(crane.copies, index, "crane/copied"), server)
        yield Case("upstream gave each blob once", behind.each_blob_went_out_once, server)
        behind.stop()
        yield Case("crane pull, upstreams gone", partial(crane.pulls, light), server)


class Crane:
    """crane against one mirror."""

    def __init__(self, mirror: Bench) -> None:
        self._mirror = mirror

    def _run(self, *arguments: str) -> str:
        certificates = self._mirror.endpoint.certificates
        trust = [f"SSL_CERT_FILE={certificates.authority}"] if certificates else []
        return run("env", *trust, "crane", *arguments, timeout=60)  # it asks again and again where it is refused

    def _name(self, stocked: Stocked) -> str:
        return self._mirror.full_name(stocked.full_name)

    def tells_digests(self, all_stocked: list[Stocked]) -> None:
        """`crane digest` gives the upstream's digest."""
        for stocked in all_stocked:
            expect(stocked.full_name, self._run("digest", self._name(stocked)).strip(), stocked.top.digest)

    def shows_manifests(self, all_stocked: list[Stocked]) -> None:
        """`crane manifest` gives the upstream's bytes."""
        for stocked in all_stocked:
            shown = hashlib.sha256(self._run("manifest", self._name(stocked)).encode()).hexdigest()
            expect(stocked.full_name, f"sha256:{shown}", stocked.top.digest)

    def lists_tags(self, all_stocked: list[Stocked]) -> None:
        """`crane ls` lists the upstream's tags."""
        for stocked in all_stocked:
            listed = self._run("ls", f"{self._mirror.endpoint.address}/{stocked.full_name}").split()
            expect(f"whether {TAG} is listed in {stocked.full_name}", TAG in listed, True)

    def pulls(self, all_stocked: list[Stocked]) -> None:
        """`crane pull` writes a layout with every manifest and blob of the original."""
        for stocked in all_stocked:
            with self._mirror.folder("crane-pulled") as folder:
                self._run("pull", "--format=oci", self._name(stocked), str(folder))
                blobs = [stocked.top, *(blob for image in stocked.images for blob in (image.manifest, *image.blobs))]
                for digest in {blob.digest[7:] for blob in blobs}:
                    expect(stocked.full_name, hash_file(folder / "blobs/sha256" / digest), digest)

    def validates(self, all_stocked: list[Stocked]) -> None:
        """`crane validate` finds nothing wrong with any image, layer by layer."""
        for stocked in all_stocked:
            self._run("validate", "--remote", self._name(stocked))

    def copies(self, stocked: Stocked, name: str) -> None:
        """`crane copy` brings an index with all its images into a repository of pkgd's own."""
        self._run("copy", self._name(stocked), self._mirror.full_name(name))
        self._mirror.pushed(name).is_exact_index(self._mirror.images.multi_arch, TAG)
