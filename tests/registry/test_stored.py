"""Stored manifests of hosted repositories and of upstreams: what their tags say, and what is remembered of them."""

from __future__ import annotations

import json

from pkgd.blocking import InlineBlocking
from pkgd.errors import UnknownManifest
from pkgd.formats.digest import Digest
from pkgd.formats.names import Origin, Repository, RepositoryName, Tag
from pkgd.formats.oci import IMAGE, parse_manifest
from pkgd.registry.stored import StoredManifest, encode_pointer, write_manifest
from pkgd.storage.layout import directory, manifest_key, media_type_key, tag_key
from tests.registry.fixtures import APP, RegistryCase, image

DATA = image(Digest.of(b"{}"))
DIGEST = Digest.of(DATA)
UNTYPED = image(Digest.of(b"{}"), mediaType=None)
LATEST = Tag("latest")
HUB = Origin("docker.io", APP)
QUAY = Origin("quay.io", APP)


class StoredCase(RegistryCase):
    """With manifests."""

    def keep(self, name: Repository, data: bytes = DATA) -> None:
        """Store a manifest."""
        store, manifest = self.registry.place.store, parse_manifest(data, IMAGE)
        self.do(write_manifest(store, InlineBlocking(), name, Digest.of(data), manifest, data))

    def point(self, name: Repository, pointer: bytes) -> None:
        """Write a tag's file."""
        self.write(tag_key(directory(name), LATEST), pointer)

    def get(self, name: Repository, reference: Tag | Digest = LATEST) -> StoredManifest:
        """Read a manifest."""
        return self.do(self.registry.stored.get(name, reference))


class PointerTests(StoredCase):
    """A tag's file."""

    def test_hosted(self) -> None:
        """That of a hosted repository holds a digest and nothing else, as the original server expects it."""
        self.assertEqual(json.loads(encode_pointer(DIGEST)), {"digest": str(DIGEST)})

    def test_upstream(self) -> None:
        """That of an upstream's repository says when the upstream has told it."""
        self.assertEqual(json.loads(encode_pointer(DIGEST, 7.5)), {"digest": str(DIGEST), "validated": 7.5})

    def test_read(self) -> None:
        """Both are read, and keys that nobody knows yet are passed over."""
        self.keep(HUB)
        for pointer, validated in (
            (encode_pointer(DIGEST), 0.0),
            (encode_pointer(DIGEST, 7.5), 7.5),
            (json.dumps({"digest": str(DIGEST), "validated": 7, "later": []}).encode(), 7.0),
        ):
            self.point(HUB, pointer)
            self.assertEqual((self.get(HUB).digest, self.get(HUB).validated), (DIGEST, validated))

    def test_confirmed(self) -> None:
        """A tag that is written anew is read anew, though it stands for the same."""
        self.keep(HUB)
        self.point(HUB, encode_pointer(DIGEST, 7.5))
        self.get(HUB)

        self.point(HUB, encode_pointer(DIGEST, 307.5))

        self.assertEqual(self.get(HUB).validated, 307.5)

    def test_by_digest(self) -> None:
        """What is found by its digest was confirmed by nobody, nor has to be."""
        self.keep(HUB)

        self.assertEqual(self.get(HUB, DIGEST).validated, 0.0)


class RepositoryTests(StoredCase):
    """Repositories of the same name."""

    def test_apart(self) -> None:
        """Hosted and of one upstream or the other, they are different ones, on disk and in memory."""
        self.keep(HUB)
        self.point(HUB, encode_pointer(DIGEST))

        self.assertEqual((self.get(HUB).digest, self.get(HUB, DIGEST).digest), (DIGEST, DIGEST))
        for name in (APP, QUAY, RepositoryName(f"docker.io/{APP}")):
            self.refusal(self.registry.stored.get(name, LATEST), UnknownManifest)
            self.refusal(self.registry.stored.get(name, DIGEST), UnknownManifest)
            self.assertIsNone(self.registry.stored.cached(name, "latest"))


class WritingTests(StoredCase):
    """`write_manifest`."""

    def test_media_type(self) -> None:
        """What the bytes say is not written twice; what they don't is kept beside them."""
        for data, beside in ((DATA, False), (UNTYPED, True)):
            self.keep(HUB, data)
            reader = self.do(self.registry.place.store.open(media_type_key(directory(HUB), Digest.of(data))))
            self.assertEqual((reader is not None, self.get(HUB, Digest.of(data)).media_type), (beside, IMAGE))
            if reader is not None:
                reader.close()

    def test_heals(self) -> None:
        """A damaged file is written anew, one of the same size as well."""
        key = manifest_key(directory(HUB), DIGEST)
        for damaged in (b"", b"x" * len(DATA), DATA + b" "):
            self.write(key, damaged)

            self.keep(HUB)

            self.assertEqual(self.read(key), DATA)

    def test_written_once(self) -> None:
        """What is there already is not touched."""
        self.keep(HUB)
        before = self.registry.place.store.version(manifest_key(directory(HUB), DIGEST))

        self.keep(HUB)

        self.assertEqual(self.registry.place.store.version(manifest_key(directory(HUB), DIGEST)), before)
