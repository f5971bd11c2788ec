"""Manifests and indexes (OCI image-spec; Docker image manifest version 2, schema 2).

The bytes are the manifest: they are parsed to be checked and understood, and never written anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from attrs import frozen

from pkgd.errors import InvalidDigest, InvalidManifest
from pkgd.formats.digest import Digest

__all__ = ["INDEX", "Descriptor", "Manifest", "detect_media_type", "parse_manifest", "plain_media_type"]

INDEX = "application/vnd.oci.image.index.v1+json"
IMAGE = "application/vnd.oci.image.manifest.v1+json"
ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"

_INDEXES = frozenset([INDEX, DOCKER_LIST])
_IMAGES = frozenset([IMAGE, DOCKER_IMAGE])
_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1"
# Layers under these types may never be pushed (image-spec, layer.md, "Non-Distributable Layers").
_FOREIGN = ("application/vnd.oci.image.layer.nondistributable.", "application/vnd.docker.image.rootfs.foreign.")
# Nobody nests deeper; what does is an attack on parsers.
MAX_DEPTH = 32
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


@frozen
class Descriptor:
    """What a manifest says of another object."""

    media_type: str
    digest: Digest
    size: int
    has_urls: bool

    @property
    def is_foreign(self) -> bool:
        """Whether the content may live elsewhere and never be pushed."""
        return self.has_urls or self.media_type.startswith(_FOREIGN)


@frozen
class Manifest:
    """What is known of a manifest's content.

    `blobs` are config and layers; `children` an index's manifests; `artifact_type` is what the
    referrers API shows; `states_type` whether the bytes themselves say `media_type`.
    """

    media_type: str
    states_type: bool
    blobs: tuple[Descriptor, ...]
    children: tuple[Descriptor, ...]
    subject: Descriptor | None
    artifact_type: str | None
    annotations: dict[str, str]


def plain_media_type(content_type: str) -> str:
    """A Content-Type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def detect_media_type(data: bytes) -> str:
    """The media type that the bytes state, or that their shape shows.

    :raises InvalidManifest: if they show none.
    """
    return _media_type(_load(data), "")


def parse_manifest(data: bytes, content_type: str) -> Manifest:
    """Check a manifest and read what it refers to.

    :param content_type: the Content-Type it came with, or "" to go by the bytes alone.
    :raises InvalidManifest: if it is malformed, ambiguous, or not what the Content-Type says.
    """
    document = _load(data)
    media_type = _media_type(document, plain_media_type(content_type))
    if media_type.lower().startswith(_SCHEMA_1) or document.get("schemaVersion") == 1:
        raise InvalidManifest(media_type, "Docker schema 1 is not supported")
    if "manifests" in document and ("layers" in document or "config" in document):
        # One digest with two meanings (GHSA-qq97-vm5h-rrhg).
        raise InvalidManifest(media_type, "a document is an image or an index, not both")
    kind = media_type.lower()
    known = kind in _INDEXES or kind in _IMAGES
    if known and document.get("schemaVersion") != 2:
        raise InvalidManifest(media_type, "schemaVersion must be 2")
    config, layers, children = _references(document, kind)
    subject = document.get("subject")
    return Manifest(
        media_type=media_type,
        states_type=document.get("mediaType") == media_type,
        blobs=(*config, *layers),
        children=children,
        subject=_descriptor(subject, "subject") if subject is not None else None,
        artifact_type=_artifact_type(document, config),
        annotations=_annotations(document),
    )


def _references(
    document: dict[str, Any], media_type: str
) -> tuple[tuple[Descriptor, ...], tuple[Descriptor, ...], tuple[Descriptor, ...]]:
    """Config, layers and children, as far as the type is known; of an unknown type, nothing."""
    if media_type in _INDEXES:
        return (), (), _descriptors(document, "manifests", required=True)
    if media_type in _IMAGES:
        config = document.get("config")
        if not isinstance(config, dict):
            raise InvalidManifest(media_type, "config is missing")
        return (_descriptor(config, "config"),), _descriptors(document, "layers"), ()
    if media_type == ARTIFACT:
        return (), _descriptors(document, "blobs"), ()
    return (), (), ()


def _artifact_type(document: dict[str, Any], config: tuple[Descriptor, ...]) -> str | None:
    """What the referrers API shows (distribution-spec, "Listing Referrers")."""
    stated = document.get("artifactType")
    if isinstance(stated, str) and stated:
        return stated
    return config[0].media_type if config else None


def _annotations(document: dict[str, Any]) -> dict[str, str]:
    found = document.get("annotations")
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise InvalidManifest("annotations", "must map names to strings")
    return found


def _media_type(document: dict[str, Any], claimed: str) -> str:
    """Agree on the media type between the Content-Type, the document and its shape."""
    stated = document.get("mediaType")
    if stated is not None and not isinstance(stated, str):
        raise InvalidManifest("mediaType", "must be a string")
    if stated and claimed and claimed not in (stated.lower(), "application/json"):
        raise InvalidManifest(stated, f"mediaType differs from the Content-Type {claimed}")
    if stated:
        return stated
    if claimed and claimed != "application/json":
        return claimed
    if isinstance(document.get("manifests"), list):
        return INDEX
    if isinstance(document.get("config"), dict):
        return IMAGE
    raise InvalidManifest("", "it states no mediaType and has the shape of none")


def _descriptors(document: dict[str, Any], key: str, required: bool = False) -> tuple[Descriptor, ...]:
    found = document.get(key)
    if found is None and not required:
        return ()
    if not isinstance(found, list):
        raise InvalidManifest(key, "must be a list")
    return tuple(_descriptor(one, key) for one in found)


def _descriptor(value: Any, where: str) -> Descriptor:
    if not isinstance(value, dict):
        raise InvalidManifest(where, "a descriptor must be an object")
    media_type, size = value.get("mediaType", ""), value.get("size")
    if not isinstance(media_type, str):
        raise InvalidManifest(where, "a descriptor's mediaType must be a string")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise InvalidManifest(where, "a descriptor's size must be a number of bytes")
    try:
        digest = Digest.parse(str(value.get("digest")))
    except InvalidDigest as error:
        raise InvalidManifest(where, error.message) from error
    return Descriptor(media_type, digest, size, bool(value.get("urls")))


def _load(data: bytes) -> dict[str, Any]:
    """Read strict JSON: UTF-8, no duplicate names, no NaN, no half characters, bounded depth; an object at the top."""
    try:
        text = data.decode("utf-8")
        document = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except InvalidManifest:
        raise
    except (ValueError, RecursionError) as error:
        raise InvalidManifest("", "it is not JSON") from error
    if not isinstance(document, dict):
        raise InvalidManifest("", "it is not a JSON object")
    if _depth_exceeds(document, MAX_DEPTH):
        raise InvalidManifest("", f"it nests deeper than {MAX_DEPTH}")
    if _SURROGATE.search(text) and not _is_text(document):
        raise InvalidManifest("", "it has half of a surrogate pair")
    return document


def _is_text(document: dict[str, Any]) -> bool:
    """Whether every string could be written in UTF-8 again, as the referrers list has to."""
    try:
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise InvalidManifest("", "it repeats a name")
    return document


def _refuse_constant(name: str) -> None:
    raise InvalidManifest("", f"{name} is not JSON")


def _depth_exceeds(document: Any, limit: int) -> bool:
    """Whether objects and lists nest deeper than `limit`; level by level, without recursion."""
    level = [document]
    for _ in range(limit):
        level = list(_nested(level))
        if not level:
            return False
    return True


def _nested(level: list[Any]) -> Iterator[Any]:
    for one in level:
        values = one.values() if isinstance(one, dict) else one
        yield from (value for value in values if isinstance(value, dict | list))
