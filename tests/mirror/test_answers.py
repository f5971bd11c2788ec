"""What upstreams' answers about manifests say, and what of that is believed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import UpstreamCorrupt
from pkgd.formats.digest import Digest
from pkgd.formats.names import Reference, Tag
from pkgd.formats.oci import DOCKER_IMAGE, IMAGE, INDEX
from pkgd.mirror.answers import ManifestHead, read_head, read_manifest
from pkgd.mirror.upstream import Document
from tests.registry.fixtures import image, image_index

LATEST = Tag("latest")
DATA = image(Digest.of(b"config"), Digest.of(b"layer"))
DIGEST = Digest.of(DATA)
STRONG = Digest.of(DATA, "sha512")
UNTYPED = image(Digest.of(b"config"), mediaType=None)
OTHER = Digest.of(b"other")
HTML = b"<!doctype html><title>Sign in</title>"


class Answer:
    """The head of an answer."""

    def __init__(self, status: int, length: int | None, headers: Mapping[str, str]) -> None:
        self.status = status
        self.length = length
        self._headers = headers

    def header(self, name: str) -> str | None:
        """One header."""
        return self._headers.get(name)


def answer(status: int = 200, length: int | None = len(DATA), **headers: str) -> Any:
    """An answer; `_` stands for `-`."""
    return Answer(status, length, {name.replace("_", "-"): value for name, value in headers.items()})


class HeadTests(SynchronousTestCase):
    """`read_head`."""

    def test_told(self) -> None:
        """A digest, a media type and a length are all that there is to know."""
        told = answer(docker_content_digest=str(DIGEST), content_type=f"{IMAGE}; charset=utf-8")

        for reference in (LATEST, DIGEST):
            self.assertEqual(read_head(told, reference, 7.0), ManifestHead(DIGEST, IMAGE, len(DATA), 7.0))

    def test_untold(self) -> None:
        """Where any of them is missing or strange, a client is not told what would be made up."""
        digest, kind = str(DIGEST), IMAGE
        for told in (
            answer(content_type=kind),
            answer(content_type=kind, docker_content_digest="sha256:../../etc/passwd"),
            answer(content_type=kind, docker_content_digest="md5:0123456789abcdef0123456789abcdef"),
            answer(docker_content_digest=digest),
            answer(docker_content_digest=digest, content_type=""),
            answer(docker_content_digest=digest, content_type="application/json"),
            answer(docker_content_digest=digest, content_type="application/octet-stream"),
            answer(docker_content_digest=digest, content_type="text/html; charset=utf-8"),
            answer(length=None, docker_content_digest=digest, content_type=kind),
            answer(length=0, docker_content_digest=digest, content_type=kind),
            answer(206, docker_content_digest=digest, content_type=kind),
        ):
            self.assertIsNone(read_head(told, LATEST, 0.0), vars(told))

    def test_other_digest(self) -> None:
        """Of a digest nothing but itself can be told."""
        told = answer(docker_content_digest=str(DIGEST), content_type=IMAGE)

        self.assertIsNone(read_head(told, OTHER, 0.0))
        self.assertIsNone(read_head(told, STRONG, 0.0))


class ManifestTests(SynchronousTestCase):
    """`read_manifest`."""

    def read(self, reference: Reference, data: bytes = DATA, status: int = 200, **headers: str) -> tuple[Digest, str]:
        """The digest and the media type of a document."""
        headers.setdefault("content_type", IMAGE)
        digest, manifest = read_manifest("docker.io", reference, Document(answer(status, len(data), **headers), data))
        return digest, manifest.media_type

    def refuse(self, reference: Reference, data: bytes = DATA, status: int = 200, **headers: str) -> str:
        """Why a document is none."""
        return self.assertRaises(UpstreamCorrupt, self.read, reference, data, status, **headers).reason

    def test_by_tag(self) -> None:
        """A tag stands for whatever comes, under its sha256 if nothing else is stated."""
        self.assertEqual(self.read(LATEST), (DIGEST, IMAGE))
        self.assertEqual(self.read(LATEST, docker_content_digest=str(DIGEST)), (DIGEST, IMAGE))
        self.assertEqual(self.read(LATEST, docker_content_digest="nonsense"), (DIGEST, IMAGE))

    def test_by_strong_digest(self) -> None:
        """A sha512 is verified and kept as one, asked for or stated."""
        self.assertEqual(self.read(STRONG), (STRONG, IMAGE))
        self.assertEqual(self.read(STRONG, docker_content_digest=str(DIGEST)), (STRONG, IMAGE))
        self.assertEqual(self.read(LATEST, docker_content_digest=str(STRONG)), (STRONG, IMAGE))

    def test_wrong_digest(self) -> None:
        """Other bytes than those that were asked for, or than are stated, are refused."""
        self.assertIn("other bytes", self.refuse(OTHER))
        self.assertIn("other bytes", self.refuse(Digest.of(b"other", "sha512")))
        self.assertIn("do not have", self.refuse(LATEST, docker_content_digest=str(OTHER)))
        self.assertIn("do not have", self.refuse(DIGEST, docker_content_digest=str(OTHER)))
        self.assertIn("other bytes", self.refuse(DIGEST, data=DATA + b"\n"))

    def test_status(self) -> None:
        """A part is not the whole."""
        self.assertEqual(self.refuse(LATEST, status=206), "answers 206")

    def test_media_types(self) -> None:
        """The media type is what the bytes state; what says nothing of the content is passed over."""
        docker = image(Digest.of(b"config"), mediaType=DOCKER_IMAGE)
        index = image_index(DIGEST, mediaType=None)
        for data, told, kind in (
            (DATA, f"{IMAGE};charset=utf-8", IMAGE),
            (DATA, "", IMAGE),
            (DATA, "application/json", IMAGE),
            (DATA, "application/octet-stream", IMAGE),
            (DATA, "text/plain; charset=utf-8", IMAGE),
            (docker, DOCKER_IMAGE, DOCKER_IMAGE),
            (UNTYPED, "application/json", IMAGE),
            (UNTYPED, IMAGE, IMAGE),
            (index, "application/json", INDEX),
            (index, INDEX, INDEX),
            (b'{"schemaVersion":2}', "application/vnd.example.manifest+json", "application/vnd.example.manifest+json"),
        ):
            self.assertEqual(self.read(LATEST, data, content_type=told), (Digest.of(data), kind))

    def test_wrong_media_types(self) -> None:
        """A media type that contradicts the bytes, or that no manifest has, is refused."""
        for data, told in (
            (DATA, INDEX),
            (DATA, "text/html"),
            (UNTYPED, "text/html"),
            (UNTYPED, "image/png"),
            (b'{"any": "thing"}', "text/html; charset=utf-8"),
            (b'{"mediaType": "text/html"}', "text/html"),
            (b'{"mediaType": "Text/HTML"}', "application/json"),
            (b'{"mediaType": "application/json"}', "application/json"),
        ):
            self.refuse(LATEST, data, content_type=told)

    def test_no_manifest(self) -> None:
        """What is no manifest is refused, whatever it is labelled, if only by a tag."""
        for data in (
            b"",
            HTML,
            b"[]",
            b"null",
            b"{}",
            b'{"schemaVersion": 2, "mani',
            b"\x1f\x8b\x08\x00" * 100,
            b"[" * 100_000,
            b'{"schemaVersion":' + b"2" * 100_000 + b"}",
            b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}',
            json.dumps({"schemaVersion": 1, "name": "library/x", "fsLayers": []}).encode(),
            json.dumps({**json.loads(DATA), "manifests": []}).encode(),
        ):
            for told in (IMAGE, "application/json", ""):
                self.refuse(LATEST, data, content_type=told)

    def test_says_nothing_of_the_upstream(self) -> None:
        """The reason holds nothing that the upstream wrote."""
        self.assertNotIn("Sign in", self.refuse(LATEST, HTML, content_type="text/html; Sign in"))
        self.assertNotIn("Sign in", self.refuse(LATEST, b'{"mediaType":"Sign in"}', content_type="application/json"))
