"""Manifests and indexes: what is taken, what is read from them, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidManifest
from pkgd.formats.digest import Digest
from pkgd.formats.oci import (
    ARTIFACT,
    DOCKER_IMAGE,
    DOCKER_LIST,
    IMAGE,
    INDEX,
    MAX_DEPTH,
    Descriptor,
    Manifest,
    detect_media_type,
    parse_manifest,
    plain_media_type,
)
from tests.properties import ANY_TEXT, bounded

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"


def entry(content: bytes = b"", media_type: str = LAYER, **more: Any) -> dict[str, Any]:
    """A descriptor of `content`, as JSON has it."""
    return {"mediaType": media_type, "digest": str(Digest.of(content)), "size": len(content), **more}


def image(**more: Any) -> dict[str, Any]:
    """An image manifest with a config and one layer."""
    document = {"schemaVersion": 2, "mediaType": IMAGE, "config": entry(b"{}", CONFIG), "layers": [entry(b"layer")]}
    return document | more


def index(**more: Any) -> dict[str, Any]:
    """An index of one image."""
    return {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry(b"child", IMAGE)]} | more


def without(document: dict[str, Any], key: str) -> dict[str, Any]:
    """The document less one key."""
    return {name: value for name, value in document.items() if name != key}


def dump(document: object) -> bytes:
    """A document as the bytes that are pushed."""
    return json.dumps(document).encode("utf-8")


def parse(document: object, content_type: str = "") -> Manifest:
    """Parse a document given as a value."""
    return parse_manifest(dump(document), content_type)


class ImageTests(SynchronousTestCase):
    """What is read from an image manifest."""

    def test_references(self) -> None:
        """Config and layers are the blobs, in order; an image has no children."""
        found = parse(image(), IMAGE)

        self.assertEqual([blob.digest for blob in found.blobs], [Digest.of(b"{}"), Digest.of(b"layer")])
        self.assertEqual([blob.size for blob in found.blobs], [2, 5])
        self.assertEqual(found.children, ())

    def test_docker(self) -> None:
        """Docker's schema 2 manifest is read the same way."""
        found = parse(image(mediaType=DOCKER_IMAGE), DOCKER_IMAGE)

        self.assertEqual((found.media_type, len(found.blobs)), (DOCKER_IMAGE, 2))

    def test_no_layers(self) -> None:
        """Layers may be an empty list, or absent, as artifacts have it."""
        self.assertEqual(len(parse(image(layers=[])).blobs), 1)
        self.assertEqual(len(parse(without(image(), "layers")).blobs), 1)

    def test_no_config(self) -> None:
        """An image without a config is refused."""
        self.assertRaises(InvalidManifest, parse, without(image(), "config"))
        self.assertRaises(InvalidManifest, parse, image(config=None))

    def test_foreign_layers(self) -> None:
        """Layers with `urls`, or of a non-distributable type, may live elsewhere; others may not."""
        layers = [entry(b"1"), entry(b"2", urls=["https://example.com/2"]), entry(b"3", FOREIGN), entry(b"4", urls=[])]

        found = parse(image(layers=layers))

        self.assertEqual([blob.is_foreign for blob in found.blobs[1:]], [False, True, True, False])

    def test_unknown_fields(self) -> None:
        """Unknown fields, embedded data and unknown types of config and layer are no offence."""
        layer = entry(b"x", "application/x-my-layer", data="eA==", annotations={"a": "b"}, platform={"os": "linux"})

        found = parse(image(layers=[layer], config=entry(b"", "application/x-my-config"), future={"a": [1, None]}))

        self.assertEqual(found.blobs[1].media_type, "application/x-my-layer")

    def test_sha512(self) -> None:
        """Descriptors may use sha512."""
        digest = Digest.of(b"layer", "sha512")

        found = parse(image(layers=[{"mediaType": LAYER, "digest": str(digest), "size": 5}]))

        self.assertEqual(found.blobs[1], Descriptor(LAYER, digest, 5, False))


class IndexTests(SynchronousTestCase):
    """What is read from an index."""

    def test_children(self) -> None:
        """The manifests of an index are its children; it has no blobs."""
        for kind in (INDEX, DOCKER_LIST):
            found = parse(index(mediaType=kind), kind)
            self.assertEqual([child.digest for child in found.children], [Digest.of(b"child")])
            self.assertEqual(found.blobs, ())

    def test_nested_and_empty(self) -> None:
        """An index may list indexes, and it may list nothing."""
        self.assertEqual(parse(index(manifests=[entry(b"", INDEX)])).children[0].media_type, INDEX)
        self.assertEqual(parse(index(manifests=[])).children, ())

    def test_no_list(self) -> None:
        """An index without a list is refused."""
        for document in (without(index(), "manifests"), index(manifests=None), index(manifests={})):
            self.assertRaises(InvalidManifest, parse, document, INDEX)


class ArtifactTests(SynchronousTestCase):
    """Subject, artifact type and annotations: what the referrers API shows."""

    def test_subject(self) -> None:
        """An image or an index may name a subject, which need not be known."""
        for document in (image(subject=entry(b"s", IMAGE)), index(subject=entry(b"s", IMAGE))):
            subject = parse(document).subject
            assert subject is not None
            self.assertEqual(subject.digest, Digest.of(b"s"))

    def test_no_subject(self) -> None:
        """No subject, or null, is none; any other value that is no descriptor is refused."""
        self.assertIsNone(parse(image()).subject)
        self.assertIsNone(parse(image(subject=None)).subject)
        bad: list[Any] = ["", [], {}, 0, False, {"digest": "sha256:x"}]
        for value in bad:
            self.assertRaises(InvalidManifest, parse, image(subject=value))

    def test_artifact_type(self) -> None:
        """The stated artifactType counts, else an image's config type; an index without one has none."""
        self.assertEqual(parse(image(artifactType="application/x-sbom")).artifact_type, "application/x-sbom")
        self.assertEqual(parse(image()).artifact_type, CONFIG)
        self.assertEqual(parse(image(artifactType="")).artifact_type, CONFIG)
        self.assertEqual(parse(index(artifactType="application/x-sbom")).artifact_type, "application/x-sbom")
        self.assertIsNone(parse(index()).artifact_type)

    def test_annotations(self) -> None:
        """Annotations are kept; they map strings to strings."""
        self.assertEqual(parse(image(annotations={"a": "ä"})).annotations, {"a": "ä"})
        self.assertEqual(parse(image(annotations=None)).annotations, {})
        bad: list[Any] = [[], "a", {"a": 1}, {"a": None}, {"a": {}}]
        for value in bad:
            self.assertRaises(InvalidManifest, parse, image(annotations=value))

    def test_artifact_manifest(self) -> None:
        """The withdrawn artifact manifest is still read: its blobs are checked like layers."""
        document = {"mediaType": ARTIFACT, "artifactType": "application/x", "blobs": [entry(b"b")]}

        found = parse(document, ARTIFACT)

        self.assertEqual([blob.digest for blob in found.blobs], [Digest.of(b"b")])

    def test_unknown_type(self) -> None:
        """Of a type that nobody knows, nothing is read but subject, artifactType and annotations."""
        found = parse({"subject": entry(b"s"), "layers": "nonsense"}, "application/x-future+json")

        self.assertEqual((found.blobs, found.children), ((), ()))
        assert found.subject is not None


class MediaTypeTests(SynchronousTestCase):
    """How Content-Type, `mediaType` and the document's shape agree on one media type."""

    def test_agreement(self) -> None:
        """Both may say the same; parameters and case of the Content-Type don't matter."""
        for claimed in (IMAGE, f"{IMAGE}; charset=utf-8", IMAGE.upper(), f" {IMAGE} "):
            self.assertEqual(parse(image(), claimed).media_type, IMAGE)

    def test_case(self) -> None:
        """A media type in another case is the same one: its blobs are checked too."""
        document = image(mediaType=IMAGE.upper())
        self.assertEqual(len(parse(document, "").blobs), 2)

    def test_contradiction(self) -> None:
        """One digest must not have two meanings: if they differ, the manifest is refused."""
        for document, claimed in ((image(), INDEX), (index(), IMAGE), (image(), DOCKER_IMAGE), (image(), "text/html")):
            self.assertRaises(InvalidManifest, parse, document, claimed)

    def test_one_says_it(self) -> None:
        """One of them is enough; `states_type` tells whether the bytes do."""
        by_header = parse(without(image(), "mediaType"), IMAGE)
        by_bytes = parse(image(), "")

        self.assertEqual((by_header.media_type, by_header.states_type), (IMAGE, False))
        self.assertEqual((by_bytes.media_type, by_bytes.states_type), (IMAGE, True))

    def test_generic_content_type(self) -> None:
        """`application/json` says nothing: the document does, or its shape."""
        self.assertEqual(parse(index(), "application/json").media_type, INDEX)
        self.assertEqual(parse(without(index(), "mediaType"), "application/json").media_type, INDEX)
        self.assertEqual(parse(without(image(), "mediaType"), "application/json").media_type, IMAGE)

    def test_no_type_at_all(self) -> None:
        """What says no type and has the shape of none is refused."""
        bad: list[Any] = [{}, {"schemaVersion": 2}, {"layers": []}, {"mediaType": ""}, {"manifests": {}}]
        for document in bad:
            self.assertRaises(InvalidManifest, parse, document)

    def test_not_a_string(self) -> None:
        """A `mediaType` that is no string is refused."""
        bad: list[Any] = [1, [], {}, True]
        for value in bad:
            self.assertRaises(InvalidManifest, parse, image(mediaType=value), IMAGE)

    def test_detection(self) -> None:
        """The type of stored bytes is what they state, else what they look like."""
        self.assertEqual(detect_media_type(dump(image(mediaType=DOCKER_IMAGE))), DOCKER_IMAGE)
        self.assertEqual(detect_media_type(dump(without(index(), "mediaType"))), INDEX)
        self.assertEqual(detect_media_type(dump(without(image(), "mediaType"))), IMAGE)
        self.assertRaises(InvalidManifest, detect_media_type, b"{}")

    def test_plain(self) -> None:
        """A Content-Type is compared without parameters, in lower case."""
        self.assertEqual(plain_media_type("Application/JSON ; charset=UTF-8"), "application/json")
        self.assertEqual(plain_media_type(""), "")


class RefusalTests(SynchronousTestCase):
    """What is no manifest, however well it is dressed."""

    def assert_refused(self, data: bytes, content_type: str = IMAGE) -> None:
        """The bytes are refused as InvalidManifest."""
        self.assertRaises(InvalidManifest, parse_manifest, data, content_type)

    def test_both(self) -> None:
        """A document with the members of an image and of an index is refused (GHSA-qq97-vm5h-rrhg)."""
        self.assert_refused(dump(image(manifests=[])))
        self.assert_refused(dump(index(layers=[])), INDEX)
        self.assert_refused(dump(index(config=entry())), INDEX)

    def test_schema_1(self) -> None:
        """Docker's schema 1 is refused under each of its names, and by its version alone."""
        old = "application/vnd.docker.distribution.manifest.v1"
        for kind in (f"{old}+json", f"{old}+prettyjws"):
            self.assert_refused(dump({"schemaVersion": 1, "name": "a", "tag": "b", "fsLayers": []}), kind)
        self.assert_refused(dump(image(schemaVersion=1)))

    def test_schema_version(self) -> None:
        """The known types have schemaVersion 2."""
        for version in (None, 0, 3, "2", [2]):
            self.assert_refused(dump(image(schemaVersion=version)))
        self.assert_refused(dump(without(index(), "schemaVersion")), INDEX)

    def test_descriptors(self) -> None:
        """A descriptor is an object with a digest that is one and a size that can be one."""
        bad: list[Any] = [None, "x", 1, [], {}, entry(size=-1), entry(size="1"), entry(size=1.5), entry(size=True)]
        bad += [entry(size=None), entry(digest=""), entry(digest=None), entry(digest=5), entry(digest="sha256:x")]
        bad += [entry(digest=f"{Digest.of(b'')}\n"), entry(mediaType=1), entry(digest="../../etc/passwd")]
        for value in bad:
            self.assert_refused(dump(image(layers=[value])))
            self.assert_refused(dump(image(config=value)))
            self.assert_refused(dump(index(manifests=[value])), INDEX)

    def test_lists(self) -> None:
        """Layers are a list."""
        for value in ({}, "x", 1, True, entry()):
            self.assert_refused(dump(image(layers=value)))

    def test_not_json(self) -> None:
        """What is not one JSON object in UTF-8 is refused."""
        for data in [
            b"",
            b" ",
            b"null",
            b"[]",
            b'"x"',
            b"1",
            b"{",
            b"{}{}",
            b"{'a':1}",
            b'{"a":1,}',
            b"\xff\xfe{}",
            b"\x00",
        ]:
            self.assert_refused(data)
        self.assert_refused(b"\xef\xbb\xbf" + dump(image()))
        self.assert_refused(json.dumps(image()).encode("utf-16"))
        self.assert_refused(dump(image()) + b"\x00")

    def test_repeated_names(self) -> None:
        """A name that is given twice, at any depth, is refused: readers differ in which one counts."""
        plain = dump(image()).decode("ascii")

        self.assert_refused(plain.replace('"layers"', '"layers": [], "layers"').encode("ascii"))
        self.assert_refused(plain.replace('"size"', '"size": 0, "size"').encode("ascii"))
        self.assert_refused(plain.replace('"size"', r'"s\u0069ze": 0, "size"').encode("ascii"))

    def test_not_a_number(self) -> None:
        """NaN and the infinities are no JSON, wherever they stand."""
        for value in (b"NaN", b"Infinity", b"-Infinity"):
            self.assert_refused(dump(image())[:-1] + b', "x": ' + value + b"}")

    def test_lone_surrogates(self) -> None:
        """Half a character is no text and could not be given out again: it is refused in names and in values."""
        for text in ("\ud800", "a\udfffb", "\udc00\ud800"):
            self.assert_refused(dump(image(annotations={"a": text})))
            self.assert_refused(dump(image(annotations={text: "a"})))
            self.assert_refused(dump(image(artifactType=text)))
        self.assertEqual(parse(image(annotations={"a": "😀"})).annotations, {"a": "😀"})

    def test_depth(self) -> None:
        """Nesting is bounded, and what would exhaust a recursive parser is refused as well."""

        def nested(depth: int) -> Any:
            return [nested(depth - 1)] if depth else []

        self.assertIsNotNone(parse(image(x=nested(MAX_DEPTH - 2))))
        self.assert_refused(dump(image(x=nested(MAX_DEPTH - 1))))
        self.assert_refused(b'{"x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}")
        self.assert_refused(b'{"x":' * 100_000)

    def test_long_numbers(self) -> None:
        """A number of thousands of digits is refused, not computed."""
        self.assert_refused(dump(image())[:-1] + b', "x": ' + b"9" * 100_000 + b"}")


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats()
    | st.sampled_from(["", "\ud800", IMAGE, INDEX, "a\r\nb: c"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["digest", "size", "urls", "\ud800"]), inner)
    ),
    max_leaves=6,
)
KEYS = [
    "schemaVersion",
    "mediaType",
    "config",
    "layers",
    "manifests",
    "subject",
    "annotations",
    "artifactType",
    "blobs",
    "x",
]
TYPES = st.sampled_from(["", IMAGE, INDEX, DOCKER_IMAGE, DOCKER_LIST, ARTIFACT, "application/json", "text/html"])


class HostileBytesTests(SynchronousTestCase):
    """Any bytes are a manifest or refused as InvalidManifest; and what is taken can be given out again."""

    def check(self, data: bytes, content_type: str) -> None:
        """Parse; whatever is accepted must be fit for a referrers list."""
        try:
            found = parse_manifest(data, content_type)
        except InvalidManifest as error:
            self.assertTrue(error.message)
            return
        msgspec.json.encode([found.media_type, found.artifact_type, found.annotations])
        self.assertTrue(all(one.size >= 0 for one in (*found.blobs, *found.children)))

    @bounded
    @given(st.binary(max_size=200), TYPES | ANY_TEXT)
    def test_any_bytes(self, data: bytes, content_type: str) -> None:
        """Arbitrary bytes under an arbitrary Content-Type."""
        self.check(data, content_type)

    @bounded
    @given(st.sampled_from([image(), index()]), st.dictionaries(st.sampled_from(KEYS), JSON_VALUES, max_size=3), TYPES)
    def test_any_values(self, document: dict[str, Any], changes: dict[str, Any], content_type: str) -> None:
        """A good manifest with some members changed into anything."""
        self.check(dump(document | changes), content_type)

    @bounded
    @given(
        st.sampled_from([dump(image()), dump(index())]), st.integers(0, 400), st.integers(0, 5), st.binary(max_size=5)
    )
    def test_any_damage(self, data: bytes, at: int, length: int, replacement: bytes) -> None:
        """A good manifest with some bytes overwritten, inserted or removed."""
        self.check(data[:at] + replacement + data[at + length :], "")
