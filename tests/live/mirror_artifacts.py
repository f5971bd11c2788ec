"""What is more than one image, through the mirror: indexes to the byte, lists of tags, and what refers to an image.

The registry with the artifact has no referrers API: clients that push leave the list under a tag made of the digest.
pkgd makes of it what its own API promises, so that a signature is found behind the mirror as in a hosted repository.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

from tests.live import skopeo, upstreams
from tests.live.bench import Bench, Case
from tests.live.content import expect, hash_file
from tests.live.images import TAG, Artifact
from tests.live.mirror_setup import registries_conf
from tests.live.mirror_stock import Stocked, index_of, light_of, signed_of
from tests.live.skopeo import Skopeo
from tests.live.tools import must_be_there, run
from tests.live.upstreams import mirroring

PROGRAMS = ["oras", "curl", *skopeo.PROGRAMS, *upstreams.PROGRAMS]


def cases(bench: Bench) -> Iterator[Case]:
    """skopeo, curl and oras, then all of them again with nothing left upstream: of tags, those that were pulled."""
    yield Case("oras is there", partial(must_be_there, "oras"))
    with mirroring(bench) as (mirror, behind), registries_conf(mirror.endpoint):
        reader = Reader(mirror)
        yield from _cases(reader, mirror, light_of(mirror.images), "")
        yield Case("upstream gave each blob once", behind.each_blob_went_out_once, mirror.server)
        behind.stop()
        yield from _cases(reader, mirror, [index_of(mirror.images)], ", upstreams gone")


def _cases(reader: Reader, mirror: Bench, listed: list[Stocked], when: str) -> Iterator[Case]:
    server, signed, artifact = mirror.server, signed_of(mirror.images), mirror.images.artifact
    trials = {
        "skopeo copies a whole index, to the byte": partial(reader.copies_index, index_of(mirror.images)),
        "skopeo list-tags": partial(reader.lists_tags, listed),
        "curl sees a referrer": partial(reader.sees_referrer, signed, artifact),
        "oras discovers a referrer": partial(reader.discovers, signed, artifact),
        "oras pulls an artifact": partial(reader.pulls_artifact, signed, artifact),
    }
    for name, trial in trials.items():
        yield Case(name + when, trial, server)


class Reader:
    """Several clients against one mirror."""

    def __init__(self, mirror: Bench) -> None:
        self._mirror = mirror
        self._certificates = mirror.endpoint.certificates

    def copies_index(self, stocked: Stocked) -> None:
        """The index, every image of it and every blob are the upstream's, byte for byte."""
        with self._mirror.folder("copied") as folder:
            Skopeo(self._mirror).copy_from(stocked.full_name, folder, "--all")
            expect(stocked.full_name, hash_file(folder / "manifest.json"), stocked.top.digest[7:])
            for image in stocked.images:
                child = image.manifest.digest[7:]
                expect("child manifest", hash_file(folder / f"{child}.manifest.json"), child)
                for blob in image.blobs:
                    expect("blob", hash_file(folder / blob.digest[7:]), blob.digest[7:])

    def lists_tags(self, all_stocked: list[Stocked]) -> None:
        """Each repository has the upstream's tags."""
        for stocked in all_stocked:
            listed = run("skopeo", "list-tags", f"docker://{self._mirror.endpoint.address}/{stocked.full_name}")
            expect(f"whether {TAG} is listed in {stocked.full_name}", TAG in json.loads(listed)["Tags"], True)

    def sees_referrer(self, stocked: Stocked, artifact: Artifact) -> None:
        """The referrers API shows the artifact, whether the registry is named by `ns` or by the path."""
        trust = ["--cacert", str(self._certificates.authority)] if self._certificates else []
        by_ns = f"{stocked.name}/referrers/{stocked.top.digest}?ns={stocked.host}"
        by_path = f"{stocked.full_name}/referrers/{stocked.top.digest}"
        for path in (by_ns, by_path):
            url = f"{self._mirror.endpoint.url}/v2/{path}"
            listed = json.loads(run("curl", "--silent", "--show-error", "--fail", *trust, url))["manifests"]
            expect(path, [_shown(entry) for entry in listed], [(artifact.manifest.digest, artifact.artifact_type)])

    def discovers(self, stocked: Stocked, artifact: Artifact) -> None:
        """`oras discover` finds the artifact by the image's tag."""
        found = self._oras("discover", "--format=json", self._mirror.full_name(stocked.full_name))
        listed = [_shown(entry) for entry in json.loads(found)["referrers"]]
        expect("referrers", listed, [(artifact.manifest.digest, artifact.artifact_type)])

    def pulls_artifact(self, stocked: Stocked, artifact: Artifact) -> None:
        """oras fetches the artifact by the digest that it found, and all its blobs."""
        with self._mirror.folder("oras") as folder:
            name = self._mirror.full_name(stocked.full_name, artifact.manifest.digest)
            self._oras("manifest", "fetch", "--output", str(folder / "manifest"), name)
            expect("artifact", hash_file(folder / "manifest"), artifact.manifest.digest[7:])
            for blob in artifact.blobs:
                name = self._mirror.full_name(stocked.full_name, blob.digest)
                self._oras("blob", "fetch", "--output", str(folder / "blob"), name)
                expect("blob", hash_file(folder / "blob"), blob.digest[7:])

    def _oras(self, *arguments: str) -> str:
        certificates = self._certificates
        access = f"--ca-file={certificates.authority}" if certificates else "--plain-http"
        return run("oras", *arguments, access)


def _shown(entry: dict[str, str]) -> tuple[str, str]:
    return entry["digest"], entry["artifactType"]
