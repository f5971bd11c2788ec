"""Reading and deleting blobs: one row per clause (distribution-spec, "Pulling blobs"; RFC 9110, 13 and 14)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.web.content import BLOB, BLOB_DIGEST, CONFIG, CONFIG_DIGEST, digest_of, push_blob
from tests.web.fixtures import Edge
from tests.web.messages import Row, each

NAME = "team/app"
PATH = f"/v2/{NAME}/blobs/{BLOB_DIGEST}"
SHA512 = digest_of(BLOB, "sha512")
EMPTY = digest_of(b"")
ABSENT = digest_of(b"never pushed")
ETAG = f'"{BLOB_DIGEST}"'


def ranged(clause: str, header: str, status: int, first: int = 0, last: int = 0) -> Row:
    """A GET with a Range, answered by one part of the blob or refused."""
    if status == 206:
        headers = {"Content-Range": f"bytes {first}-{last}/2048", "Content-Length": str(last - first + 1)}
        return Row(clause, "GET", PATH, 206, {"Range": header}, headers=headers, answer=BLOB[first : last + 1])
    if status == 416:
        return Row(
            clause,
            "GET",
            PATH,
            416,
            {"Range": header},
            headers={"Content-Range": "bytes */2048"},
            code="SIZE_INVALID",
        )
    return Row(clause, "GET", PATH, 200, {"Range": header}, headers={"Content-Range": None}, answer=BLOB)


READS = [
    Row(
        "A blob is served whole, under its digest, with its exact length",
        "GET",
        PATH,
        200,
        headers={
            "Content-Length": "2048",
            "Content-Type": "application/octet-stream",
            "Docker-Content-Digest": BLOB_DIGEST,
            "ETag": ETAG,
            "Accept-Ranges": "bytes",
            "Content-Encoding": None,
            "Connection": None,
            "X-Content-Type-Options": "nosniff",
        },
        answer=BLOB,
    ),
    Row(
        "HEAD has the headers of GET and no body",
        "HEAD",
        PATH,
        200,
        headers={"Content-Length": "2048", "Docker-Content-Digest": BLOB_DIGEST, "ETag": ETAG},
    ),
    Row("A digest may be percent-encoded", "GET", PATH.replace(":", "%3A"), 200, answer=BLOB),
    Row("A stray query changes nothing", "GET", f"{PATH}?ns=docker.io", 200, answer=BLOB),
    Row(
        "A blob is also found under the sha512 it was pushed with",
        "GET",
        f"/v2/{NAME}/blobs/{SHA512}",
        200,
        headers={"Docker-Content-Digest": SHA512, "ETag": f'"{SHA512}"'},
        answer=BLOB,
    ),
    Row(
        "A blob of no bytes has length 0",
        "GET",
        f"/v2/{NAME}/blobs/{EMPTY}",
        200,
        headers={"Content-Length": "0"},
        answer=b"",
    ),
    Row("A range of a blob of no bytes does not exist", "GET", f"/v2/{NAME}/blobs/{EMPTY}", 416, {"Range": "bytes=0-"}),
    Row("A compressing client gets the bytes as they are", "GET", PATH, 200, {"Accept-Encoding": "zstd"}, answer=BLOB),
    Row("A blob that is not there is unknown", "GET", f"/v2/{NAME}/blobs/{ABSENT}", 404, code="BLOB_UNKNOWN"),
    Row("HEAD of what is not there has no body", "HEAD", f"/v2/{NAME}/blobs/{ABSENT}", 404),
    Row(
        "Another repository's blob is unknown here", "GET", f"/v2/other/blobs/{CONFIG_DIGEST}", 404, code="BLOB_UNKNOWN"
    ),
    Row("A malformed digest is refused", "GET", f"/v2/{NAME}/blobs/sha256:bad", 400, code="DIGEST_INVALID"),
    Row("Upper-case hex is no digest", "GET", PATH.replace("sha256:", "sha256:A")[:-1], 400, code="DIGEST_INVALID"),
    Row("Another algorithm is refused", "GET", f"/v2/{NAME}/blobs/md5:{'0' * 32}", 400, code="DIGEST_INVALID"),
]

CONDITIONS = [
    Row(
        "The ETag in If-None-Match saves the transfer",
        "GET",
        PATH,
        304,
        {"If-None-Match": ETAG},
        headers={"ETag": ETAG, "Docker-Content-Digest": BLOB_DIGEST, "Content-Length": None},
        answer=b"",
    ),
    Row("So it does for HEAD", "HEAD", PATH, 304, {"If-None-Match": ETAG}),
    Row("The comparison is weak", "GET", PATH, 304, {"If-None-Match": f"W/{ETAG}"}),
    Row("One match in a list is enough", "GET", PATH, 304, {"If-None-Match": f'"x", {ETAG}'}),
    Row("A star matches whatever is there", "GET", PATH, 304, {"If-None-Match": "*"}),
    Row("Another ETag gets the blob", "GET", PATH, 200, {"If-None-Match": f'"{CONFIG_DIGEST}"'}, answer=BLOB),
    Row("An unquoted digest is no ETag", "GET", PATH, 200, {"If-None-Match": BLOB_DIGEST}, answer=BLOB),
    Row("If-None-Match counts before Range", "GET", PATH, 304, {"If-None-Match": ETAG, "Range": "bytes=0-1"}),
    Row("A star does not match what is not there", "GET", f"/v2/{NAME}/blobs/{ABSENT}", 404, {"If-None-Match": "*"}),
]

RANGES = [
    ranged("A range within the blob", "bytes=500-1499", 206, 500, 1499),
    ranged("A range of one byte", "bytes=0-0", 206, 0, 0),
    ranged("The last byte", "bytes=2047-2047", 206, 2047, 2047),
    ranged("A range open to the end", "bytes=500-", 206, 500, 2047),
    ranged("The last bytes", "bytes=-500", 206, 1548, 2047),
    ranged("More last bytes than there are", "bytes=-5000", 206, 0, 2047),
    ranged("An end behind the blob's is the blob's", "bytes=2000-5000", 206, 2000, 2047),
    ranged("The unit in capitals", "Bytes=1-2", 206, 1, 2),
    ranged("Of several ranges only one exists", "bytes=5000-6000,1-2", 206, 1, 2),
    ranged("A range that begins behind the end", "bytes=5000-10000", 416),
    ranged("A range that begins at the end", "bytes=2048-", 416),
    ranged("A range that ends before it begins", "bytes=500-0", 416),
    ranged("The last no bytes", "bytes=-0", 416),
    ranged("Ranges that multiply the traffic", "bytes=" + ",".join(["0-"] * 60), 416),
    ranged("More ranges than any client asks for", "bytes=" + ",".join(f"{n}-{n}" for n in range(1200)), 416),
    ranged("Another unit is ignored", "lines=1-2", 200),
    ranged("What is no range is ignored", "bytes=a-b", 200),
    ranged("No range at all is ignored", "bytes=-", 200),
    Row(
        "If-Range with the present ETag lets the range count",
        "GET",
        PATH,
        206,
        {"Range": "bytes=0-1", "If-Range": ETAG},
        answer=BLOB[:2],
    ),
    Row(
        "If-Range with another ETag gets the whole",
        "GET",
        PATH,
        200,
        {"Range": "bytes=0-1", "If-Range": '"other"'},
        answer=BLOB,
    ),
    Row(
        "If-Range with a weak ETag gets the whole",
        "GET",
        PATH,
        200,
        {"Range": "bytes=0-1", "If-Range": f"W/{ETAG}"},
        answer=BLOB,
    ),
    Row(
        "If-Range with a date gets the whole",
        "GET",
        PATH,
        200,
        {"Range": "bytes=0-1", "If-Range": "Thu, 01 Jan 1970 00:00:00 GMT"},
        answer=BLOB,
    ),
    Row(
        "HEAD ignores a range",
        "HEAD",
        PATH,
        200,
        {"Range": "bytes=0-1"},
        headers={"Content-Length": "2048", "Content-Range": None},
    ),
]

DELETES = [
    Row("A blob is deleted", "DELETE", PATH, 202, headers={"Content-Length": "0"}),
    Row("A blob that is not there is not deleted", "DELETE", f"/v2/{NAME}/blobs/{ABSENT}", 404, code="BLOB_UNKNOWN"),
    Row(
        "Another repository's blob is not deleted", "DELETE", f"/v2/other/blobs/{BLOB_DIGEST}", 404, code="BLOB_UNKNOWN"
    ),
    Row("A malformed digest is not deleted", "DELETE", f"/v2/{NAME}/blobs/sha256:x", 400, code="DIGEST_INVALID"),
    Row(
        "A blob is not put",
        "PUT",
        PATH,
        405,
        headers={"Allow": "GET, HEAD, DELETE"},
        code="UNSUPPORTED",
    ),
]


@each([*READS, *CONDITIONS, *RANGES, *DELETES])
class BlobTests(SynchronousTestCase):
    """A repository with a blob, the same under its sha512, and one of no bytes."""

    def setUp(self) -> None:
        """Push them."""
        self.edge = Edge(self)
        for data, algorithm in ((BLOB, "sha256"), (BLOB, "sha512"), (b"", "sha256"), (CONFIG, "sha256")):
            push_blob(self.edge, NAME, data, algorithm)

    def test_deleted(self) -> None:
        """A deleted blob is gone at once from this repository, and stays in others."""
        self.edge.call("POST", f"/v2/other/blobs/uploads/?mount={BLOB_DIGEST}&from={NAME}")

        self.edge.call("DELETE", PATH)

        self.assertEqual(self.edge.call("HEAD", PATH).status, 404)
        self.assertEqual(self.edge.call("DELETE", PATH).status, 404)
        self.assertEqual(self.edge.call("GET", f"/v2/other/blobs/{BLOB_DIGEST}").body, BLOB)

    def test_pushed_again(self) -> None:
        """A deleted blob can be pushed again."""
        self.edge.call("DELETE", PATH)

        push_blob(self.edge, NAME, BLOB)

        self.assertEqual(self.edge.call("GET", PATH).body, BLOB)


class MultipartTests(SynchronousTestCase):
    """Several ranges at once (RFC 9110, 14.6)."""

    def setUp(self) -> None:
        """Push a blob."""
        self.edge = Edge(self)
        push_blob(self.edge, NAME, BLOB)

    def parts(self, header: str) -> list[tuple[bytes, bytes]]:
        """The Content-Range line and the bytes of each part of the answer."""
        answer = self.edge.call("GET", PATH, {"Range": header})
        self.assertEqual(answer.status, 206)
        kind, _, boundary = (answer.header("Content-Type") or "").partition("; boundary=")
        self.assertEqual(kind, "multipart/byteranges")
        first, *parts, last = answer.body.split(b"--" + boundary.encode())
        self.assertEqual((first, last), (b"", b"--\r\n"))
        split = [part.removeprefix(b"\r\n").removesuffix(b"\r\n").partition(b"\r\n\r\n") for part in parts]
        self.assertEqual({head.split(b"\r\n")[0] for head, _, _ in split}, {b"Content-Type: application/octet-stream"})
        return [(head.split(b"\r\n")[1], data) for head, _, data in split]

    def test_order(self) -> None:
        """Parts come in the client's order, each with its own range."""
        parts = self.parts("bytes=1000-1003, 0-1, -2")

        self.assertEqual(
            parts,
            [
                (b"Content-Range: bytes 1000-1003/2048", BLOB[1000:1004]),
                (b"Content-Range: bytes 0-1/2048", BLOB[:2]),
                (b"Content-Range: bytes 2046-2047/2048", BLOB[-2:]),
            ],
        )

    def test_many(self) -> None:
        """Hundreds of ranges, as containers-storage asks for, are served."""
        parts = self.parts("bytes=" + ",".join(f"{n * 4}-{n * 4 + 1}" for n in range(500)))

        self.assertEqual(b"".join(data for _, data in parts), b"".join(BLOB[n * 4 : n * 4 + 2] for n in range(500)))

    def test_unsatisfiable_one(self) -> None:
        """Ranges that do not exist are left out."""
        parts = self.parts("bytes=0-0,9999-,5-5")

        self.assertEqual([data for _, data in parts], [BLOB[:1], BLOB[5:6]])


class UnreadableTests(SynchronousTestCase):
    """Where the disk cannot read a blob, that is nobody's trouble but of those who ask for it."""

    def setUp(self) -> None:
        """A repository with two blobs."""
        self.edge = Edge(self)
        for one in (BLOB, CONFIG):
            push_blob(self.edge, NAME, one)
        self.name = f"/{BLOB_DIGEST.removeprefix('sha256:')}"

    def cut(self, target: str) -> bool:
        """Whether the connection of a pull is cut before the end of the blob."""
        client = self.edge.connect()
        client.request("GET", target, {})
        self.edge.run()
        return client.transport.aborted

    def test_not_to_be_opened(self) -> None:
        """It is 500, and the blob is a suspect; others are served."""
        self.edge.fs.bad_inode = self.name

        self.assertEqual(self.edge.call("GET", PATH).status, 500)
        self.assertEqual(self.edge.suspects, [(NAME, BLOB_DIGEST)])
        self.assertEqual(self.edge.call("GET", f"/v2/{NAME}/blobs/{CONFIG_DIGEST}").status, 200)

    def test_not_to_be_read(self) -> None:
        """Once the head has been sent, the client sees that the body is short; the blob is a suspect."""
        self.edge.fs.bad_bytes = self.name

        self.assertTrue(self.cut(PATH))
        self.assertFalse(self.cut(f"/v2/{NAME}/blobs/{CONFIG_DIGEST}"))
        self.assertEqual(self.edge.suspects, [(NAME, BLOB_DIGEST)])

    def test_other_troubles(self) -> None:
        """What is absent, or refused for the moment, is no suspect."""
        self.assertEqual(self.edge.call("GET", f"/v2/{NAME}/blobs/{ABSENT}").status, 404)
        self.edge.fs.exhausted = True
        self.assertEqual(self.edge.call("GET", PATH).status, 503)
        self.assertEqual(self.edge.suspects, [])
