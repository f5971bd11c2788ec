"""What an upstream's answer says of a manifest, believed as far as it can be checked (pure)."""

from __future__ import annotations

from attrs import frozen

from pkgd.errors import InvalidDigest, InvalidManifest, UpstreamCorrupt
from pkgd.formats.digest import Digest
from pkgd.formats.names import Reference
from pkgd.formats.oci import Manifest, parse_manifest, plain_media_type
from pkgd.mirror.upstream import Document
from pkgd.outbound.client import Answer

__all__ = ["ACCEPT", "ManifestHead", "read_head", "read_manifest"]

# Everything that is stored is accepted: nothing is to be converted for us.
ACCEPT = ", ".join(
    [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.artifact.manifest.v1+json",
        "*/*",
    ]
)
# Types that say nothing of the content: the bytes decide then.
_UNTYPED = frozenset(["", "application/json", "application/octet-stream", "text/plain", "binary/octet-stream"])


@frozen
class ManifestHead:
    """What a HEAD of a manifest tells; `told_at` is when."""

    digest: Digest
    media_type: str
    size: int
    told_at: float = 0.0


def read_head(answer: Answer, reference: Reference, now: float) -> ManifestHead | None:
    """What the answer to a HEAD tells; None if that is too little to be passed on."""
    digest = _stated_digest(answer)
    media_type = plain_media_type(answer.header("content-type") or "")
    if answer.status != 200 or digest is None or not answer.length or not _is_manifest_type(media_type):
        return None
    if isinstance(reference, Digest) and digest != reference:
        return None
    return ManifestHead(digest, media_type, answer.length, now)


def read_manifest(host: str, reference: Reference, document: Document) -> tuple[Digest, Manifest]:
    """Make sure that the bytes are what was asked for, and a manifest. Takes time if there are many.

    :raises UpstreamCorrupt: if not.
    """
    answer, data = document.answer, document.data
    if answer.status != 200:
        raise UpstreamCorrupt(host, f"answers {answer.status}")
    stated = _stated_digest(answer)
    if stated is not None and Digest.of(data, stated.algorithm) != stated:
        raise UpstreamCorrupt(host, "states a digest that its bytes do not have")
    wanted = reference if isinstance(reference, Digest) else stated
    digest = Digest.of(data, "sha256" if wanted is None else wanted.algorithm)
    if wanted is not None and digest != wanted:
        raise UpstreamCorrupt(host, f"sends other bytes than those of {wanted}")
    media_type = plain_media_type(answer.header("content-type") or "")
    try:
        manifest = parse_manifest(data, "" if media_type in _UNTYPED else media_type)
    except InvalidManifest as error:
        raise UpstreamCorrupt(host, "sends no manifest") from error
    if not _is_manifest_type(plain_media_type(manifest.media_type)):
        raise UpstreamCorrupt(host, "sends something else than a manifest")
    return digest, manifest


def _is_manifest_type(media_type: str) -> bool:
    return media_type not in _UNTYPED and media_type.startswith("application/")


def _stated_digest(answer: Answer) -> Digest | None:
    """The digest that the upstream states; None if it states none, or one that we don't know."""
    try:
        return Digest.parse(answer.header("docker-content-digest") or "")
    except InvalidDigest:
        return None
