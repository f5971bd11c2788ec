"""Trees as the original server left them, mounted read-only and served in place to podman, ctr and CRI.

Three repositories, one of each form: manifests by digest with their `.meta`, the same without, and the older
form that knows tags only (`manifests/<tag>.json`).
A stored manifest without `mediaType` is found only by its shape there where no `.meta` says what it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.live import ctr, podman
from tests.live.bench import Bench, Case
from tests.live.cell import mount_read_only
from tests.live.containerd import Containerd, running_containerd
from tests.live.content import expect
from tests.live.cri import CallRefused, ImageService
from tests.live.images import Image, MultiArch
from tests.live.layout import Descriptor, Layout
from tests.live.server import Setup

Pull = Callable[[str, Image], None]
"""Pulls by a full name, and compares what comes with the image."""

PROGRAMS = [*podman.PROGRAMS, *ctr.PROGRAMS]

FORMS = {"with-meta": "golden/with-meta", "without-meta": "golden/without-meta", "legacy": "golden/a/b/c/legacy"}
"""Each form of the tree, and the repository that has it."""


def cases(bench: Bench) -> Iterator[Case]:
    """Every stored image of every form, by tag and by digest, with every client."""
    images: dict[str, Image | MultiArch] = {
        "small": bench.images.small,
        "untyped": bench.images.untyped,
        "schema2": bench.images.schema2,
        "multi": bench.images.multi_arch,
    }
    with bench.folder("golden") as folder:
        tree = write_tree(folder / "tree", images)
        setup = Setup("pkgd-golden", bench.endpoint.host, 21090, bench.endpoint.certificates, tree)
        with bench.serving(setup) as server, running_containerd(folder / "containerd", cri=True) as containerd:
            pulls = _pulls(bench.reaching(server, setup.endpoint), containerd, folder / "podman")
            for form, repository in FORMS.items():
                for tag, image in images.items():
                    names = [
                        f"{setup.endpoint.address}/{repository}{reference}" for reference in _references(tag, image)
                    ]
                    for client, pull in pulls.items():
                        trial = partial(_pull_each, pull, names, _for_this_machine(image))
                        yield Case(f"{client} pulls {form} {tag} by tag and by digest", trial, server)


def _references(tag: str, image: Image | MultiArch) -> list[str]:
    return [f":{tag}", f"@{_top(image).digest}"]


def _top(image: Image | MultiArch) -> Descriptor:
    return image.index if isinstance(image, MultiArch) else image.manifest


def _for_this_machine(image: Image | MultiArch) -> Image:
    return image.images[0] if isinstance(image, MultiArch) else image


def _pull_each(pull: Pull, names: list[str], image: Image) -> None:
    for name in names:
        pull(name, image)


def _pulls(bench: Bench, containerd: Containerd, podman_folder: Path) -> dict[str, Pull]:
    return {
        "podman": podman.Podman(bench, podman_folder).pull_as,
        "ctr": ctr.Ctr(bench, containerd).pull_as,
        "CRI": partial(_pull_with_cri, containerd),
    }


def _pull_with_cri(containerd: Containerd, full_name: str, image: Image) -> None:
    service = ImageService(containerd.socket)
    try:
        identity = service.pull(full_name)
    except CallRefused as error:
        raise CallRefused(f"{error} {full_name}\n{containerd.last_lines()}") from None
    expect("image id", identity, image.config.digest)
    containerd.holds("k8s.io", [image.manifest, *image.blobs])
    service.remove(full_name)


def write_tree(root: Path, images: dict[str, Image | MultiArch]) -> Path:
    """Write every image in every form, and make the tree read-only for as long as its folder is there."""
    for form, repository in FORMS.items():
        stored = StoredRepository(root / repository, form)
        for tag, image in images.items():
            stored.add(tag, image)
    mount_read_only(root)
    return root


class StoredRepository:
    """One repository of a tree, in one of the forms."""

    def __init__(self, folder: Path, form: str) -> None:
        self._folder = folder
        self._form = form
        for part in ("blobs", "manifests"):
            (folder / part).mkdir(parents=True)

    def add(self, tag: str, image: Image | MultiArch) -> None:
        """Write an image and all that it consists of."""
        if isinstance(image, Image):
            self._add_image(tag, image)
            return
        for number, child in enumerate(image.images):
            self._add_image(f"{tag}-{number}", child)
        self._add_manifest(tag, image.layout, image.index)

    def _add_image(self, tag: str, image: Image) -> None:
        for blob in image.blobs:
            (self._folder / "blobs" / blob.digest[7:]).write_bytes(image.layout.read(blob.digest))
        self._add_manifest(tag, image.layout, image.manifest)

    def _add_manifest(self, tag: str, layout: Layout, manifest: Descriptor) -> None:
        body, manifests = layout.read(manifest.digest), self._folder / "manifests"
        if self._form == "legacy":
            (manifests / f"{tag}.json").write_bytes(body)
            return
        by_digest, by_tag = manifests / "by-digest", manifests / "by-tag"
        by_digest.mkdir(exist_ok=True)
        by_tag.mkdir(exist_ok=True)
        (by_digest / manifest.digest[7:]).write_bytes(body)
        (by_tag / tag).write_text(json.dumps({"digest": manifest.digest}))
        if self._form == "with-meta":
            (by_digest / f"{manifest.digest[7:]}.meta").write_text(json.dumps({"mediaType": manifest.media_type}))
