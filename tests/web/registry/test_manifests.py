"""Manifests and tags (distribution-spec, "Pulling manifests", "Pushing Manifests", "Deleting")."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.model import Access, Action, Principal
from pkgd.formats.digest import Digest
from pkgd.formats.oci import DOCKER_IMAGE, DOCKER_LIST, IMAGE, INDEX
from tests.web.content import (
    BLOB,
    CONFIG,
    CONFIG_TYPE,
    DOCKER,
    DOCKER_DIGEST,
    LAYER_TYPE,
    PLAIN,
    PLAIN_DIGEST,
    descriptor,
    digest_of,
    image,
    index,
    push_blob,
    push_manifest,
)
from tests.web.fixtures import Edge
from tests.web.messages import Response, Row, chunked, each
from tests.web.policies import Explained

NAME = "team/app"
MANIFESTS = f"/v2/{NAME}/manifests/"
LATEST = f"{MANIFESTS}latest"
ABSENT = digest_of(b"never pushed")
ETAG = f'"{PLAIN_DIGEST}"'
SHA512 = digest_of(PLAIN, "sha512")
FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
# What a pulled manifest's headers are, whoever asks.
PULLED: dict[str, str | None] = {
    "Content-Type": IMAGE,
    "Content-Length": str(len(PLAIN)),
    "Docker-Content-Digest": PLAIN_DIGEST,
    "ETag": ETAG,
    "Content-Encoding": None,
    "X-Content-Type-Options": "nosniff",
}


def pulled(clause: str, reference: str = "latest", **sent: str) -> Row:
    """A GET that is answered with the image."""
    headers = {name.replace("_", "-"): value for name, value in sent.items()}
    return Row(clause, "GET", MANIFESTS + reference, 200, headers, headers=PULLED, answer=PLAIN)


def pushed(clause: str, data: bytes, reference: str = "new", kind: str = IMAGE) -> Row:
    """A PUT that is accepted."""
    digest = digest_of(data, "sha512" if reference.startswith("sha512") else "sha256")
    headers = {"Docker-Content-Digest": digest, "Location": f"{MANIFESTS}{reference}", "Content-Length": "0"}
    return Row(clause, "PUT", MANIFESTS + reference, 201, {"Content-Type": kind}, data, headers=headers)


def refused(
    clause: str,
    data: bytes,
    reference: str = "new",
    kind: str = IMAGE,
    status: int = 400,
    code: str = "MANIFEST_INVALID",
) -> Row:
    """A PUT that is refused."""
    return Row(clause, "PUT", MANIFESTS + reference, status, {"Content-Type": kind}, data, code=code)


PULLS = [
    pulled("A manifest is pulled by its tag"),
    pulled("A manifest is pulled by its digest", PLAIN_DIGEST),
    pulled("A digest may be percent-encoded", PLAIN_DIGEST.replace(":", "%3A")),
    pulled("A manifest is served whatever the client accepts", Accept=DOCKER_IMAGE),
    pulled("A manifest is served whatever list the client accepts", Accept=f"{INDEX}, {DOCKER_LIST};q=0.5"),
    pulled("A compressing client gets the bytes as they are", Accept_Encoding="gzip"),
    pulled("A manifest is served whole", Range="bytes=0-1"),
    pulled("Another ETag gets the manifest", If_None_Match=f'"{ABSENT}"'),
    Row("HEAD has the headers of GET", "HEAD", LATEST, 200, headers=PULLED),
    Row("So has HEAD of a digest", "HEAD", MANIFESTS + PLAIN_DIGEST, 200, headers=PULLED),
    Row("The ETag saves the transfer", "GET", LATEST, 304, {"If-None-Match": ETAG}, headers={"ETag": ETAG}, answer=b""),
    Row("It does so for HEAD", "HEAD", MANIFESTS + PLAIN_DIGEST, 304, {"If-None-Match": f"W/{ETAG}"}),
    Row(
        "A Docker manifest keeps its type",
        "GET",
        f"{MANIFESTS}docker",
        200,
        {"Accept": IMAGE},
        headers={"Content-Type": DOCKER_IMAGE, "Docker-Content-Digest": DOCKER_DIGEST},
        answer=DOCKER,
    ),
    Row("A tag that is not there is unknown", "GET", f"{MANIFESTS}absent", 404, code="MANIFEST_UNKNOWN"),
    Row("HEAD of a tag that is not there", "HEAD", f"{MANIFESTS}absent", 404),
    Row("A digest that is not there is unknown", "GET", MANIFESTS + ABSENT, 404, code="MANIFEST_UNKNOWN"),
    Row(
        "A repository that is not there has none", "GET", "/v2/no/where/manifests/latest", 404, code="MANIFEST_UNKNOWN"
    ),
    Row("Another repository's digest is unknown", "GET", f"/v2/other/manifests/{PLAIN_DIGEST}", 404),
    Row("A malformed digest is refused", "GET", f"{MANIFESTS}sha256:bad", 400, code="DIGEST_INVALID"),
    Row("What is no tag is refused", "GET", f"{MANIFESTS}.hidden", 400, code="MANIFEST_INVALID"),
    Row("A blob is no manifest", "GET", MANIFESTS + digest_of(CONFIG), 404, code="MANIFEST_UNKNOWN"),
    Row("A stray query changes nothing", "GET", f"{LATEST}?ns=docker.io", 200, answer=PLAIN),
]

ARTIFACT = image(config=descriptor("application/vnd.unknown+json", CONFIG), artifactType="application/x")
PUSHES = [
    pushed("A manifest is pushed under a tag", PLAIN),
    pushed("A manifest is pushed under its digest", ARTIFACT, digest_of(ARTIFACT)),
    pushed("A manifest is pushed under its sha512", PLAIN, SHA512),
    pushed("A tag may have 128 characters", PLAIN, "t" * 128),
    pushed("A charset in the Content-Type is no difference", PLAIN, kind=f"{IMAGE}; charset=utf-8"),
    pushed("A Docker manifest is accepted", DOCKER, kind=DOCKER_IMAGE),
    pushed("A Docker list is accepted", index(mediaType=DOCKER_LIST), kind=DOCKER_LIST),
    pushed("Plain JSON goes by what it states", PLAIN, kind="application/json"),
    pushed("A document without mediaType goes by the Content-Type", image(mediaType=None)),
    pushed("A layer with URLs need not be there", image(layers=[descriptor(LAYER_TYPE, b"far", urls=["https://x/y"])])),
    pushed("A layer that may not be distributed need not be there", image(layers=[descriptor(FOREIGN, b"far")])),
    pushed("There may be no layers", image(layers=[])),
    pushed("The layers may be missing", image(layers=None)),
    pushed("An unknown config type is accepted", ARTIFACT),
    pushed("Unknown fields are accepted", image(future={"a": [1, 2.5, None]})),
    pushed("Data in a descriptor is accepted", image(config=descriptor(CONFIG_TYPE, CONFIG, data="e30="))),
    pushed("An empty index is accepted", index(), kind=INDEX),
    pushed("An index of what is there is accepted", index(PLAIN), kind=INDEX),
    pushed("An index of indexes is accepted", index(index(PLAIN)), kind=INDEX),
    pushed("The children of an index may be absent", index(b"absent"), kind=INDEX),
    pushed("Annotations are accepted", image(annotations={"org.example": "ü"})),
]

TWICE = PLAIN.replace(b'{"schemaVersion"', b'{"schemaVersion": 2, "schemaVersion"', 1)
REFUSALS = [
    refused("Another digest than the body's is refused", PLAIN, ABSENT, code="DIGEST_INVALID"),
    refused("A malformed digest is refused in a push", PLAIN, "sha256:bad", code="DIGEST_INVALID"),
    refused("Another algorithm is refused", PLAIN, f"md5:{'0' * 32}", code="DIGEST_INVALID"),
    refused("A tag of 129 characters is refused", PLAIN, "t" * 129),
    refused("A tag that begins with a dash is refused", PLAIN, "-tag"),
    refused(
        "A missing layer is refused",
        image(layers=[descriptor(LAYER_TYPE, b"absent")]),
        status=404,
        code="MANIFEST_BLOB_UNKNOWN",
    ),
    refused(
        "A missing config is refused",
        image(config=descriptor(CONFIG_TYPE, b"absent")),
        status=404,
        code="MANIFEST_BLOB_UNKNOWN",
    ),
    refused("A Content-Type that contradicts the document is refused", PLAIN, kind=INDEX),
    refused("Schema 1 is refused", b'{"schemaVersion": 1, "name": "a"}', kind=SCHEMA_1),
    refused("What is no JSON is refused", b"hello"),
    refused("No body is refused", b""),
    refused("A list is refused", b"[]"),
    refused("A document that is image and index is refused", image(manifests=[])),
    refused("A repeated name is refused", TWICE),
    refused("Another schemaVersion is refused", image(schemaVersion=3)),
    refused(
        "A descriptor's bad digest is refused", image(layers=[{"mediaType": "x", "size": 1, "digest": "sha256:x"}])
    ),
    refused("A descriptor without size is refused", image(subject={"mediaType": "x", "digest": ABSENT})),
    refused("Deep nesting is refused", b'{"a":' * 40 + b"1" + b"}" * 40),
    refused("A further tag is for a push by digest", PLAIN, "new?tag=more", code="UNSUPPORTED"),
    refused("A further tag that is none is refused", PLAIN, f"{PLAIN_DIGEST}?tag=.x"),
    refused(
        "More tags than 50 are refused",
        PLAIN,
        f"{PLAIN_DIGEST}?" + "&".join(f"tag=t{n}" for n in range(51)),
        status=414,
        code="UNSUPPORTED",
    ),
    refused("A push to what is no name is refused", PLAIN, "../../Up/manifests/x", code="UNSUPPORTED"),
    Row(
        "A manifest is not posted",
        "POST",
        LATEST,
        405,
        body=b"x",
        headers={"Allow": "GET, HEAD, PUT, DELETE"},
        code="UNSUPPORTED",
    ),
    Row("A push to a bad name is refused", "PUT", "/v2/Team/manifests/x", 400, body=PLAIN, code="NAME_INVALID"),
    Row("A tag that is not there is not deleted", "DELETE", f"{MANIFESTS}absent", 404, code="MANIFEST_UNKNOWN"),
    Row("A digest that is not there is not deleted", "DELETE", MANIFESTS + ABSENT, 404, code="MANIFEST_UNKNOWN"),
    Row("A malformed digest is not deleted", "DELETE", f"{MANIFESTS}sha256:x", 400, code="DIGEST_INVALID"),
    Row("A tag is deleted", "DELETE", LATEST, 202, headers={"Content-Length": "0"}),
    Row("A manifest is deleted", "DELETE", MANIFESTS + PLAIN_DIGEST, 202),
]


class ManifestCase(SynchronousTestCase):
    """A repository with an image under two tags, and a Docker image under one."""

    def setUp(self) -> None:
        """Push them."""
        self.edge = self.make_edge()
        push_blob(self.edge, NAME, BLOB)
        push_blob(self.edge, NAME, CONFIG)
        push_manifest(self.edge, NAME, "latest", PLAIN)
        push_manifest(self.edge, NAME, "v1", PLAIN)
        push_manifest(self.edge, NAME, "docker", DOCKER, DOCKER_IMAGE)

    def make_edge(self) -> Edge:
        """The edge to push to."""
        return Edge(self)

    def pull(self, reference: str) -> Response:
        """Pull a manifest."""
        return self.edge.call("GET", MANIFESTS + reference)


@each([*PULLS, *PUSHES, *REFUSALS])
class TableTests(ManifestCase):
    """One request each."""


class PushTests(ManifestCase):
    """What a push leaves behind."""

    def test_as_pushed(self) -> None:
        """Every accepted document comes back byte for byte, under the type it was pushed with."""
        for row in PUSHES:
            self.edge.call("PUT", row.target, row.sent, row.body)

            answer = self.edge.call("GET", row.target)

            self.assertEqual((answer.status, answer.body), (200, row.body), row.clause)
            if row.sent["Content-Type"] != "application/json":
                self.assertEqual(answer.header("Content-Type"), row.sent["Content-Type"].partition(";")[0])

    def test_refused(self) -> None:
        """A refused push leaves no tag."""
        for row in REFUSALS:
            if row.method == "PUT":
                self.edge.call("PUT", row.target, row.sent, row.body)

        self.assertEqual(self.pull("new").status, 404)

    def test_type_by_header_alone(self) -> None:
        """Where the document states no type, the one it was pushed with is served."""
        data = json.dumps({"schemaVersion": 2, "manifests": []}).encode()

        push_manifest(self.edge, NAME, "list", data, DOCKER_LIST)

        self.assertEqual(self.pull("list").header("Content-Type"), DOCKER_LIST)

    def test_location(self) -> None:
        """The Location of a push serves what was pushed."""
        for reference in ("again", DOCKER_DIGEST):
            location = self.edge.call("PUT", MANIFESTS + reference, {"Content-Type": DOCKER_IMAGE}, DOCKER)
            self.assertEqual(self.edge.call("GET", location.header("Location") or "").body, DOCKER)

    def test_moved_tag(self) -> None:
        """After a push every request sees the tag's new manifest, also one that knows the old ETag."""
        self.pull("latest")

        push_manifest(self.edge, NAME, "latest", DOCKER, DOCKER_IMAGE)

        self.assertEqual(self.pull("latest").body, DOCKER)
        self.assertEqual(self.edge.call("GET", LATEST, {"If-None-Match": ETAG}).body, DOCKER)
        self.assertEqual(self.pull("v1").body, PLAIN)

    def test_further_tags(self) -> None:
        """A push by digest sets further tags, and lists each once."""
        target = f"{MANIFESTS}{PLAIN_DIGEST}?tag=a&tag=b&tag=a&tag=docker"

        answer = self.edge.call("PUT", target, {"Content-Type": IMAGE}, PLAIN)

        self.assertEqual(answer.all("OCI-Tag"), ["a", "b", "docker"])
        self.assertEqual([self.pull(tag).body for tag in ("a", "b", "docker")], [PLAIN] * 3)

    def test_fifty_tags(self) -> None:
        """Fifty tags in one push are accepted."""
        target = f"{MANIFESTS}{PLAIN_DIGEST}?" + "&".join(f"tag=t{n}" for n in range(50))

        answer = self.edge.call("PUT", target, {"Content-Type": IMAGE}, PLAIN)

        self.assertEqual((answer.status, len(answer.all("OCI-Tag"))), (201, 50))

    def test_tag_of_sha512(self) -> None:
        """A tag knows the digest that it was pushed with."""
        self.edge.call("PUT", f"{MANIFESTS}{SHA512}?tag=strong", {"Content-Type": IMAGE}, PLAIN)

        self.assertEqual(self.pull("strong").header("Docker-Content-Digest"), SHA512)

    def test_subject(self) -> None:
        """The answer to a manifest with a subject names it, whether or not it exists."""
        subject = descriptor(IMAGE, b"absent")
        for data, kind in ((image(subject=subject), IMAGE), (index(subject=subject), INDEX)):
            answer = self.edge.call("PUT", f"{MANIFESTS}new", {"Content-Type": kind}, data)
            self.assertEqual((answer.status, answer.header("OCI-Subject")), (201, subject["digest"]))

    def test_no_subject(self) -> None:
        """No subject, no header."""
        answer = self.edge.call("PUT", f"{MANIFESTS}new", {"Content-Type": IMAGE}, PLAIN)

        self.assertEqual((answer.all("OCI-Subject"), answer.all("OCI-Tag")), ([], []))

    def test_content_type_missing(self) -> None:
        """Without a Content-Type the document's own counts."""
        self.assertEqual(self.edge.call("PUT", f"{MANIFESTS}new", {}, DOCKER).status, 201)
        self.assertEqual(self.pull("new").header("Content-Type"), DOCKER_IMAGE)

    def test_large(self) -> None:
        """A manifest of nearly 4 MiB is stored and served whole."""
        data = image(annotations={f"a{number}": "x" * 10_000 for number in range(390)})

        push_manifest(self.edge, NAME, "large", data)

        self.assertEqual(self.pull("large").body, data)
        self.assertEqual(self.edge.call("HEAD", f"{MANIFESTS}large").header("Content-Length"), str(len(data)))


class SizeTests(SynchronousTestCase):
    """`limits.manifest_size`, here exactly that of the image."""

    def setUp(self) -> None:
        """An empty repository that accepts absent layers."""
        self.edge = Edge(self, manifest_size=len(PLAIN), sparse=("team/*",))

    def test_exactly(self) -> None:
        """A manifest of the limit's size is accepted."""
        self.assertEqual(self.edge.call("PUT", LATEST, {"Content-Type": IMAGE}, PLAIN).status, 201)

    def test_announced(self) -> None:
        """One byte more is refused, before it is read."""
        client = self.edge.connect()

        client.request("PUT", LATEST, {"Content-Length": str(len(PLAIN) + 1), "Expect": "100-continue"})

        self.assertEqual((client.answer.status, client.answer.code), (413, "SIZE_INVALID"))

    def test_stream(self) -> None:
        """A stream that grows beyond the limit is refused."""
        for body in (chunked(PLAIN, b" "), chunked(*[b" "] * (len(PLAIN) + 1))):
            answer = self.edge.call("PUT", LATEST, {"Transfer-Encoding": "chunked", "Content-Type": IMAGE}, body)
            self.assertEqual((answer.status, answer.code), (413, "SIZE_INVALID"))

    def test_sparse(self) -> None:
        """Only where `sparse` says so may layers be absent."""
        self.assertEqual(self.edge.call("PUT", "/v2/team/a/manifests/x", {"Content-Type": IMAGE}, PLAIN).status, 201)
        self.assertEqual(self.edge.call("PUT", "/v2/other/manifests/x", {"Content-Type": IMAGE}, PLAIN).status, 404)


class DeleteTests(ManifestCase):
    """What a deletion leaves behind."""

    def test_tag(self) -> None:
        """A deleted tag is gone at once; its manifest and other tags stay."""
        self.pull("latest")

        self.edge.call("DELETE", LATEST)

        self.assertEqual(self.pull("latest").status, 404)
        self.assertEqual(self.edge.call("DELETE", LATEST).status, 404)
        self.assertEqual([self.pull("v1").status, self.pull(PLAIN_DIGEST).status], [200, 200])

    def test_manifest(self) -> None:
        """A deleted manifest takes every tag on it with it, and no other."""
        self.edge.call("DELETE", MANIFESTS + PLAIN_DIGEST)

        found = [self.pull(one).status for one in ("latest", "v1", PLAIN_DIGEST, "docker")]

        self.assertEqual(found, [404, 404, 404, 200])

    def test_again(self) -> None:
        """What was deleted can be pushed again."""
        self.edge.call("DELETE", MANIFESTS + PLAIN_DIGEST)

        push_manifest(self.edge, NAME, "latest", PLAIN)

        self.assertEqual(self.pull("latest").body, PLAIN)
        self.assertEqual(self.pull("v1").status, 404)


class LeaseTests(ManifestCase):
    """Who is told of a manifest by its digest may count on it for a while."""

    def test_told(self) -> None:
        """Whether it was read for that, was in memory, or was not there: somebody may be about to push it."""
        for digest in (PLAIN_DIGEST, PLAIN_DIGEST, ABSENT):
            self.edge.clock.advance(5)

            self.edge.call("HEAD", MANIFESTS + digest)

            self.assertEqual(self.edge.leases.last_touch(NAME, Digest.parse(digest)), self.edge.clock.seconds(), digest)


class PolicyTests(Explained, ManifestCase):
    """The effect of a push decides what must be allowed; the test is the policy."""

    denied: frozenset[Action] = frozenset()

    def make_edge(self) -> Edge:
        """An edge with that policy."""
        return Edge(self, policy=self)

    def setUp(self) -> None:
        """Push first, then forbid."""
        super().setUp()
        self.denied = frozenset([Action.OVERWRITE, Action.DELETE])

    def allows(self, principal: Principal, access: Access) -> bool:
        """The policy: whatever is not denied."""
        return access.action not in self.denied

    def test_new_tag(self) -> None:
        """Who may push may make new tags, and push a tag's present manifest again."""
        for tag in ("new", "latest"):
            push_manifest(self.edge, NAME, tag, PLAIN)

    def test_move(self) -> None:
        """Who may not overwrite moves no tag, by none of the ways there are."""
        targets = (LATEST, f"{MANIFESTS}{DOCKER_DIGEST}?tag=new&tag=latest")

        for target in targets:
            answer = self.edge.call("PUT", target, {"Content-Type": DOCKER_IMAGE}, DOCKER)
            self.assertEqual((answer.status, answer.code), (403, "DENIED"))

        self.assertEqual([self.pull("latest").body, self.pull("new").status], [PLAIN, 404])

    def test_delete(self) -> None:
        """Who may not delete deletes nothing."""
        for target in (LATEST, MANIFESTS + PLAIN_DIGEST, f"/v2/{NAME}/blobs/{digest_of(BLOB)}"):
            answer = self.edge.call("DELETE", target)
            self.assertEqual((answer.status, answer.code), (403, "DENIED"))

        self.assertEqual(self.pull("latest").body, PLAIN)
