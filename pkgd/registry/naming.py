"""What the manifests of a repository name, read from their text.

Every digest in it counts, whatever it stands for: more than config, layers, children and subject is taken for named
rather than less. Where one manifest cannot be read, nobody knows what it named, and so nothing is known at all.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence

import msgspec
from attrs import field, frozen

from pkgd.blocking import Blocking
from pkgd.formats.digest import Digest
from pkgd.formats.names import RepositoryName
from pkgd.storage.interfaces import ObjectStore
from pkgd.storage.layout import (
    digest_of_file,
    directories,
    legacy_prefix,
    manifests_prefix,
    quarantine_key,
    tag_of_legacy,
)
from pkgd.storage.whole import read_object

__all__ = ["Naming", "UnreadableManifest", "namings"]

_DIGEST = re.compile(rb"sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128})")

_Key = tuple[str, Digest | None]


class UnreadableManifest(Exception):
    """A manifest of the repository cannot be read: nothing is known to be named by none."""


@frozen
class Naming:
    """A manifest, by its digest, and every digest that it names; the one that is its subject is among them."""

    digest: str
    names: frozenset[str] = field(repr=False)
    subject: str | None = None


async def namings(store: ObjectStore, blocking: Blocking, name: RepositoryName) -> AsyncIterator[Naming]:
    """Every manifest of a repository, legacy ones too.

    :raises UnreadableManifest: if one of them is damaged, or was set aside by the scrub and has not come back.
    :raises Storage: if the machine refuses.
    """
    keys: list[_Key] = []
    for place in directories(name):
        for prefix in (manifests_prefix(place), legacy_prefix(place)):
            for entry in await store.list(prefix):
                digest = digest_of_file(entry.name) if prefix == manifests_prefix(place) else None
                if digest is not None or (prefix == legacy_prefix(place) and tag_of_legacy(entry.name)):
                    keys.append((f"{prefix}/{entry.name}", digest))
    await _check_quarantine(store, name, keys)
    for key, digest in keys:
        data = await read_object(store, blocking, key)
        if data is not None:  # else it has just been deleted
            yield await blocking.work(_read, key, digest, data)


async def _check_quarantine(store: ObjectStore, name: RepositoryName, keys: Sequence[_Key]) -> None:
    """
    :raises UnreadableManifest: if a manifest has been set aside, and not come back: nobody knows what it named.
    """
    present = {key for key, _ in keys}
    for place in directories(name):
        prefix = manifests_prefix(place)
        for entry in await store.list(quarantine_key(prefix)):
            if not entry.is_prefix and f"{prefix}/{entry.name}" not in present:
                raise UnreadableManifest(f"the manifest {prefix}/{entry.name} was damaged, and is in quarantine")


def _read(key: str, digest: Digest | None, data: bytes) -> Naming:
    """
    :raises UnreadableManifest: if the bytes are not those of the digest, or no JSON.
    """
    if digest is not None and Digest.of(data, digest.algorithm) != digest:
        raise UnreadableManifest(f"the manifest {key} is damaged")
    try:
        document = msgspec.json.decode(data)
        # Written anew, so that no escape hides a digest.
        plain = msgspec.json.encode(document)
    except (ValueError, RecursionError) as error:
        raise UnreadableManifest(f"the manifest {key} is no JSON") from error
    subject = document.get("subject") if isinstance(document, dict) else None
    about = subject.get("digest") if isinstance(subject, dict) else None
    names = frozenset(one.decode() for one in _DIGEST.findall(plain))
    return Naming(str(digest or Digest.of(data)), names, about if isinstance(about, str) and about in names else None)
