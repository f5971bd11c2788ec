"""A repository of images into the backup, beside those who push to it and delete from it.

Tags first, then manifests, then blobs: what a tag names was there before the tag. What has been deleted between two of
these steps is then looked for again, until every tag of the backup leads to all that it needs: by the tag as it is now,
or without it where it is gone.
"""

from __future__ import annotations

import msgspec
from attrs import frozen

from pkgd.backup.copying import Copier
from pkgd.backup.places import OBJECTS
from pkgd.errors import InvalidDigest, InvalidManifest
from pkgd.formats.digest import Digest
from pkgd.formats.names import Origin
from pkgd.formats.oci import parse_manifest
from pkgd.storage import layout

__all__ = ["Needs", "RepositoryCopy", "needs_of", "pointed", "stands_at"]

# How often what has been deleted meanwhile is looked for again.
_ROUNDS = 16


@frozen
class Needs:
    """What a manifest names: blobs that have to be there, and manifests that may."""

    blobs: tuple[Digest, ...]
    children: tuple[Digest, ...]


def needs_of(data: bytes, meta: bytes | None) -> Needs:
    """What a manifest needs.

    :param meta: what stands beside a manifest that doesn't say its media type.
    :raises InvalidManifest: if it is none.
    """
    media_type = ""
    if meta is not None:
        try:
            media_type = str(msgspec.json.decode(meta, type=dict).get("mediaType", ""))
        except ValueError:
            raise InvalidManifest("", "its media type is damaged") from None
    found = parse_manifest(data, media_type)
    blobs = tuple(dict.fromkeys(one.digest for one in found.blobs if not one.is_foreign))
    return Needs(blobs, tuple(dict.fromkeys(one.digest for one in found.children)))


def pointed(data: bytes) -> Digest | None:
    """The digest in a tag's file, or None if that is damaged."""
    try:
        return Digest.parse(str(msgspec.json.decode(data, type=dict).get("digest")))
    except (ValueError, InvalidDigest):
        return None


def stands_at(place: str) -> tuple[list[str], bool]:
    """Where the content of a repository's directory may stand, the directory included; and whether it is hosted."""
    repository = layout.repository_of(place.removeprefix(f"{OBJECTS}/"))
    if repository is None:
        return [place], True
    return [f"{OBJECTS}/{one}" for one in layout.directories(repository)], not isinstance(repository, Origin)


class RepositoryCopy:
    """Copies one repository's directory. `lacking` is what it turned out to name without having it."""

    def __init__(self, copier: Copier, place: str, is_sparse: bool = False) -> None:
        """
        :param is_sparse: whether its manifests may name blobs that are not there.
        """
        self.lacking: set[tuple[str, str]] = set()
        self._copier = copier
        self._place = place
        self._places, is_hosted = stands_at(place)
        self._blobs_may_lack = is_sparse or not is_hosted
        self._is_hosted = is_hosted
        self._tags: dict[str, None] = {}
        self._manifests: dict[str, None] = {}
        self._needs: dict[str, Needs | None] = {}

    def run(self) -> None:
        """Copy it.

        :raises OSError: if a file cannot be read, or written.
        """
        copier, source, place = self._copier, self._copier.source, self._place
        self._tags = dict.fromkeys(one for one in source.files(layout.tags_prefix(place)) if copier.copy(one))
        legacy = [one for one in source.files(layout.legacy_prefix(place)) if copier.copy(one)]
        self._manifests = dict.fromkeys(one for one in legacy if one.endswith(".json"))
        for one in source.files(layout.manifests_prefix(place)):
            if copier.copy(one) and layout.digest_of_file(one.rpartition("/")[2]) is not None:
                self._manifests[one] = None
        beside = source.files(layout.referrers_prefix(place))
        for one in [*beside, layout.private_key(place), layout.fallback_key(place)]:
            copier.copy(one)
        for one in source.files(layout.blobs_prefix(place)):
            copier.copy(one)
        for _ in range(_ROUNDS):
            if not self._mend():
                return

    def _mend(self) -> bool:
        """Look for what is named and not there; whether to do so again."""
        self.lacking.clear()
        again = [self._mend_tag(one) for one in list(self._tags)]
        again += [self._mend_manifest(one) for one in list(self._manifests)]
        return any(again)

    def _mend_tag(self, tag: str) -> bool:
        data = self._copier.target.read(tag)
        digest = None if data is None else pointed(data)
        if digest is None or self._has_manifest(digest):
            return False
        if self._add_manifest(digest):
            return True
        self._copier.drop(tag)
        if not self._is_hosted or not self._copier.copy(tag):
            del self._tags[tag]
            return True
        # Either it has moved, or it was deleted and came back, or the state itself is damaged.
        self.lacking.add((tag, str(digest)))
        return True

    def _mend_manifest(self, manifest: str) -> bool:
        needs = self._read_needs(manifest)
        if needs is None:
            return self._forget_if_gone(manifest)
        again = False
        for digest in needs.children:
            if not self._has_manifest(digest):
                again |= self._add_manifest(digest)
        for digest in needs.blobs:
            if not any(self._copier.copy(layout.blob_key(place, digest)) for place in self._places):
                if self._blobs_may_lack:
                    continue
                if self._forget_if_gone(manifest):
                    return True
                self.lacking.add((manifest, str(digest)))
                again = True
        return again

    def _forget_if_gone(self, manifest: str) -> bool:
        if self._copier.source.is_there(manifest):
            return False
        self._copier.drop(manifest)
        self._copier.drop(f"{manifest}.meta")
        del self._manifests[manifest]
        return True

    def _read_needs(self, manifest: str) -> Needs | None:
        """What a manifest of the backup needs; None if it is damaged."""
        if manifest not in self._needs:
            target = self._copier.target
            try:
                self._needs[manifest] = needs_of(target.read(manifest) or b"", target.read(f"{manifest}.meta"))
            except InvalidManifest:
                self._needs[manifest] = None
        return self._needs[manifest]

    def _has_manifest(self, digest: Digest) -> bool:
        entries = self._copier.entries
        if any(layout.manifest_key(place, digest) in entries for place in self._places):
            return True
        return digest.algorithm == "sha256" and any(
            entries[one].sha256 == digest.encoded for one in self._manifests if one.endswith(".json")
        )

    def _add_manifest(self, digest: Digest) -> bool:
        for place in self._places:
            self._copier.copy(layout.media_type_key(place, digest))
            key = layout.manifest_key(place, digest)
            if self._copier.copy(key):
                self._manifests[key] = None
                return True
        return False
