"""What is to be fetched: images as docker writes them, and platforms (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from attrs import frozen

from pkgd.errors import InvalidReference, InvalidRequest, PkgdError
from pkgd.formats.digest import Digest
from pkgd.formats.hosts import parse_configured_host
from pkgd.formats.names import Origin, Reference, RepositoryName, Tag

__all__ = ["Image", "Platform", "Unreadable", "parse_image", "parse_list", "parse_platforms"]

DOCKER_HUB = "docker.io"
_PLATFORM = re.compile(r"[a-z0-9._-]+/[a-z0-9._-]+(?:/[a-z0-9._-]+)?")


@frozen
class Image:
    """A tag or a digest in a repository of an upstream."""

    origin: Origin
    reference: Reference

    def __str__(self) -> str:
        return f"{self.origin}{'@' if isinstance(self.reference, Digest) else ':'}{self.reference}"


@frozen
class Unreadable:
    """A line of a list that names no image."""

    number: int
    text: str
    reason: str


@frozen
class Platform:
    """What an image runs on; without a variant, all of them are meant."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    @classmethod
    def stated(cls, value: object) -> Platform | None:
        """What an index states of a child (image-spec, image-index.md), or None if it states nothing usable."""
        if not isinstance(value, Mapping):
            return None
        found = [value.get(key, "") for key in ("os", "architecture", "variant")]
        return cls._normal(*found) if all(isinstance(one, str) for one in found) else None

    @classmethod
    def _normal(cls, os: str, architecture: str, variant: str = "") -> Platform:
        # v8 is the only variant of arm64, and half of the indexes leave it out.
        return cls(os, architecture, "" if (architecture, variant) == ("arm64", "v8") else variant)

    def covers(self, stated: Platform) -> bool:
        """Whether an image for `stated` is wanted when this is asked for."""
        same = (self.os, self.architecture) == (stated.os, stated.architecture)
        return same and self.variant in ("", stated.variant)


def parse_platforms(text: str) -> tuple[Platform, ...]:
    """Read `os/architecture[/variant]`, several of them separated by commas.

    :raises InvalidRequest: for anything else.
    """
    found = []
    for one in text.split(","):
        if not _PLATFORM.fullmatch(one.strip()):
            raise InvalidRequest(one, "expected a platform such as linux/amd64 or linux/arm/v7")
        found.append(Platform._normal(*one.strip().split("/")))
    return tuple(dict.fromkeys(found))


def parse_image(text: str) -> Image:
    """Read `[host/]name[:tag][@digest]`; the digest counts if both are given, and neither means `latest`.

    :raises PkgdError: naming the part that is wrong.
    """
    if "://" in text:
        raise InvalidReference(text, "an image is written without a scheme")
    name, has_digest, digest = text.partition("@")
    host, slash, path = name.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, path = DOCKER_HUB, name
    path, has_tag, tag = path.partition(":")
    reference: Reference = Tag.parse(tag) if has_tag else Tag("latest")
    if has_digest:
        reference = Digest.parse(digest)
    return Image(_origin(parse_configured_host(host), path), reference)


def _origin(host: str, path: str) -> Origin:
    if host == DOCKER_HUB and "/" not in path:
        path = f"library/{path}" if path else path
    return Origin(host, RepositoryName.parse(path))


def parse_list(lines: Iterable[str]) -> tuple[list[Image], list[Unreadable]]:
    """Read one image a line; `#` begins a comment, and what is named twice is fetched once."""
    images: dict[Image, None] = {}
    unreadable = []
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            images[parse_image(text)] = None
        except PkgdError as error:
            unreadable.append(Unreadable(number, text, error.message))
    return list(images), unreadable
