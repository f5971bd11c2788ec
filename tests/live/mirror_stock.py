"""What the registries behind the mirror have, and pkgd itself: everything by the tag of all images.

Each of them has a repository `org/tool`, and no two of these are the same image.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.live.images import Image, Images, MultiArch
from tests.live.layout import Descriptor

OWN_NAME = "packages.example.com"
"""What the pkgd under test is called: images named so are its own."""

TOOL = "org/tool"
"""The repository that is everywhere, and everywhere another."""


@dataclass(frozen=True)
class Stocked:
    """Something that one of the registries has, by the tag of all images."""

    host: str
    name: str
    content: Image | MultiArch

    @property
    def full_name(self) -> str:
        """The image's name without its reference, as all the world knows it."""
        return f"{self.host}/{self.name}"

    @property
    def top(self) -> Descriptor:
        """The manifest or index that the tag stands for."""
        return self.content.index if isinstance(self.content, MultiArch) else self.content.manifest

    @property
    def for_this_machine(self) -> Image:
        """What a client that wants one platform only gets."""
        return self.content.images[0] if isinstance(self.content, MultiArch) else self.content

    @property
    def images(self) -> tuple[Image, ...]:
        """What a client that wants all platforms gets."""
        return self.content.images if isinstance(self.content, MultiArch) else (self.content,)


def index_of(images: Images) -> Stocked:
    """The index of three architectures."""
    return Stocked("docker.io", "library/alpine", images.multi_arch)


def heavy_of(images: Images) -> Stocked:
    """The image with a layer of 200 MiB."""
    return Stocked("docker.io", TOOL, images.heavy)


def light_of(images: Images) -> list[Stocked]:
    """Everything upstream that is small, from each of the four hosts."""
    return [
        index_of(images),
        Stocked("registry.k8s.io", "pause", images.small),
        Stocked("registry.k8s.io", TOOL, images.untyped),
        Stocked("ghcr.io", TOOL, images.schema2),
        Stocked("quay.io", TOOL, images.another_small("quay")),
        signed_of(images),
    ]


def signed_of(images: Images) -> Stocked:
    """The image that the artifact upstream is about."""
    return Stocked("quay.io", "org/deep/er/signed", images.artifact.subject)


def hosted_of(images: Images) -> Stocked:
    """What pkgd itself has."""
    return Stocked(OWN_NAME, TOOL, images.another_small("hosted"))
