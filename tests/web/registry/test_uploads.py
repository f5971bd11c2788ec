"""Pushing blobs: sessions, chunks, single requests, mounts (distribution-spec, "Pushing blobs")."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.model import Access, Action, Principal
from tests.web.content import BLOB, BLOB_DIGEST, digest_of, push_blob, start
from tests.web.fixtures import Edge
from tests.web.messages import Response, Row, chunked, each, request_bytes
from tests.web.policies import Explained

NAME = "team/app"
SOURCE = "team/base"
UPLOADS = f"/v2/{NAME}/blobs/uploads/"
PULL = f"/v2/{NAME}/blobs/{BLOB_DIGEST}"
EMPTY = digest_of(b"")
ABSENT = digest_of(b"never pushed")
UNKNOWN = f"{UPLOADS}{'0' * 32}"
WHOLE = f"{UPLOADS}?digest={BLOB_DIGEST}"


def started(clause: str, target: str, body: bytes = b"", **sent: str) -> Row:
    """A POST that begins a session."""
    headers = {"Range": "0-0", "Content-Length": "0", "Docker-Content-Digest": None}
    return Row(clause, "POST", target, 202, sent, body, headers=headers)


def refused(clause: str, target: str, status: int, code: str, body: bytes = b"") -> Row:
    """A POST that is refused."""
    return Row(clause, "POST", target, status, body=body, code=code)


STARTS = [
    started("A POST begins a session", UPLOADS),
    started("So it does without the last slash", UPLOADS[:-1]),
    started("A body that means nothing is read and dropped", UPLOADS, b"{}", **{"Content-Type": "application/json"}),
    started("The algorithm of the digest may be announced", f"{UPLOADS}?digest-algorithm=sha512"),
    started("A mount of what the source does not have is a session", f"{UPLOADS}?mount={ABSENT}&from={SOURCE}"),
    started("A mount from no repository is a session", f"{UPLOADS}?mount={BLOB_DIGEST}&from=not/there"),
    started("A mount from what is no name is a session", f"{UPLOADS}?mount={BLOB_DIGEST}&from=NO"),
    started("A mount of what nobody has is a session", f"{UPLOADS}?mount={ABSENT}"),
    started("A failed mount is no upload of the digest beside it", f"{UPLOADS}?mount={ABSENT}&digest={EMPTY}"),
    refused("An unknown algorithm is refused", f"{UPLOADS}?digest-algorithm=md5", 400, "DIGEST_INVALID"),
    refused("An algorithm given twice is refused", f"{UPLOADS}?{'digest-algorithm=sha256&' * 2}", 400, "UNSUPPORTED"),
    refused("A malformed mount is refused", f"{UPLOADS}?mount=sha256:x&from={SOURCE}", 400, "DIGEST_INVALID"),
    refused("A mount given twice is refused", f"{UPLOADS}?mount={BLOB_DIGEST}&mount={EMPTY}", 400, "UNSUPPORTED"),
    refused(
        "A source given twice is refused", f"{UPLOADS}?mount={BLOB_DIGEST}&from={SOURCE}&from=a", 400, "UNSUPPORTED"
    ),
    refused("A session of what is no name is refused", "/v2/Team/blobs/uploads/", 400, "NAME_INVALID"),
    refused("A body that means nothing has a limit", UPLOADS, 413, "SIZE_INVALID", b"x" * 65537),
    refused("A malformed digest of a whole blob is refused", f"{UPLOADS}?digest=sha256:x", 400, "DIGEST_INVALID", BLOB),
    refused("Another digest than the body's is refused", f"{UPLOADS}?digest={ABSENT}", 400, "DIGEST_INVALID", BLOB),
    refused("A digest given twice is refused", f"{WHOLE}&digest={BLOB_DIGEST}", 400, "UNSUPPORTED", BLOB),
]

CREATED = {"Location": PULL, "Docker-Content-Digest": BLOB_DIGEST, "Content-Length": "0"}
WHOLES = [
    Row("A blob may be pushed in one request", "POST", WHOLE, 201, body=BLOB, headers=CREATED),
    Row("The digest may be percent-encoded", "POST", WHOLE.replace(":", "%3A"), 201, body=BLOB, headers=CREATED),
    Row("A blob may be mounted", "POST", f"{UPLOADS}?mount={BLOB_DIGEST}&from={SOURCE}", 201, headers=CREATED),
    Row("The source may be encoded", "POST", f"{UPLOADS}?mount={BLOB_DIGEST}&from=team%2Fbase", 201, headers=CREATED),
    Row("A blob may be mounted from anywhere", "POST", f"{UPLOADS}?mount={BLOB_DIGEST}", 201, headers=CREATED),
    Row(
        "The blob of no bytes may be pushed in one request",
        "POST",
        f"{UPLOADS}?digest={EMPTY}",
        201,
        headers={"Location": f"/v2/{NAME}/blobs/{EMPTY}"},
    ),
    Row(
        "A whole blob may have a sha512",
        "POST",
        f"{UPLOADS}?digest={digest_of(BLOB, 'sha512')}",
        201,
        body=BLOB,
        headers={"Docker-Content-Digest": digest_of(BLOB, "sha512")},
    ),
]

STRANGERS = [
    Row("An unknown session has no status", "GET", UNKNOWN, 404, code="BLOB_UPLOAD_UNKNOWN"),
    Row("An unknown session is not written to", "PATCH", UNKNOWN, 404, body=b"x", code="BLOB_UPLOAD_UNKNOWN"),
    Row("An unknown session is not completed", "PUT", f"{UNKNOWN}?digest={EMPTY}", 404, code="BLOB_UPLOAD_UNKNOWN"),
    Row("An unknown session is not canceled", "DELETE", UNKNOWN, 404, code="BLOB_UPLOAD_UNKNOWN"),
    Row("What is no session's name is unknown", "GET", f"{UPLOADS}..x", 404, code="BLOB_UPLOAD_UNKNOWN"),
    Row("A digest is no session's name", "GET", f"{UPLOADS}{BLOB_DIGEST}", 404, code="BLOB_UPLOAD_UNKNOWN"),
    Row("Sessions are not listed", "GET", UPLOADS, 405, headers={"Allow": "POST"}, code="UNSUPPORTED"),
    Row(
        "A session is not posted to",
        "POST",
        UNKNOWN,
        405,
        headers={"Allow": "GET, PATCH, PUT, DELETE"},
        code="UNSUPPORTED",
    ),
]


@each([*STARTS, *WHOLES, *STRANGERS])
class StartTests(SynchronousTestCase):
    """Requests that need no session before them; `SOURCE` has the blob."""

    def setUp(self) -> None:
        """Push the blob to the source."""
        self.edge = Edge(self)
        push_blob(self.edge, SOURCE, BLOB)

    def test_session(self) -> None:
        """A session has a location that is a path, and an id."""
        answer = self.edge.call("POST", UPLOADS)

        upload_id = answer.header("Docker-Upload-UUID") or ""
        self.assertRegex(upload_id, r"\A[0-9a-f]{32}\Z")
        self.assertEqual(answer.header("Location"), UPLOADS + upload_id)

    def test_mounted(self) -> None:
        """A mounted blob can be pulled."""
        self.edge.call("POST", f"{UPLOADS}?mount={BLOB_DIGEST}&from={SOURCE}")

        self.assertEqual(self.edge.call("GET", PULL).body, BLOB)

    def test_whole_and_wrong(self) -> None:
        """What a refused single POST has sent is not kept."""
        self.edge.call("POST", f"{UPLOADS}?digest={ABSENT}", {}, BLOB)

        self.assertEqual(os.listdir(self.edge.tree.path("__spool__/uploads")), [])
        self.assertEqual(self.edge.call("HEAD", PULL).status, 404)


class MountPolicyTests(SynchronousTestCase):
    """A mount shows nothing that the client may not pull."""

    def setUp(self) -> None:
        """A repository that may be pulled by nobody has the blob."""
        self.edge = Edge(self, policy=NoPull(SOURCE))
        push_blob(self.edge, SOURCE, BLOB)

    def test_named(self) -> None:
        """A mount from a repository that may not be pulled is a session, as if nothing were there."""
        answer = self.edge.call("POST", f"{UPLOADS}?mount={BLOB_DIGEST}&from={SOURCE}")

        self.assertEqual(answer.status, 202)

    def test_anonymous(self) -> None:
        """A mount from anywhere does not find what may not be pulled."""
        answer = self.edge.call("POST", f"{UPLOADS}?mount={BLOB_DIGEST}")

        self.assertEqual(answer.status, 202)


class NoPull(Explained):
    """A policy: everything is allowed but the pull of one repository."""

    def __init__(self, name: str) -> None:
        self._denied = Access(f"oci:{name}", Action.PULL)

    def allows(self, principal: Principal, access: Access) -> bool:
        """Whether it is anything else."""
        return access != self._denied


class SessionTests(SynchronousTestCase):
    """One session, and everything that can be done with it."""

    def setUp(self) -> None:
        """Begin it."""
        self.edge = Edge(self)
        self.location = start(self.edge, NAME)

    def append(self, body: bytes, place: str | None = None) -> Response:
        """Send a chunk."""
        return self.edge.call("PATCH", self.location, {"Content-Range": place} if place else {}, body)

    def put(self, body: bytes = b"", digest: str = BLOB_DIGEST, place: str | None = None) -> Response:
        """End the session."""
        target = f"{self.location}?digest={digest}"
        return self.edge.call("PUT", target, {"Content-Range": place} if place else {}, body)

    def assertStands(self, end: str, answer: Response | None = None) -> None:
        """The session has the bytes `0-end`, as the answer or its status says."""
        found = answer or self.edge.call("GET", self.location)
        self.assertEqual((found.header("Location"), found.header("Range")), (self.location, f"0-{end}"))

    def assertStored(self) -> None:
        """The blob can be pulled."""
        self.assertEqual(self.edge.call("GET", PULL).body, BLOB)

    def test_stream(self) -> None:
        """A PATCH of unknown length adds all that it sends."""
        body = chunked(BLOB[:1000], BLOB[1000:])

        answer = self.edge.call("PATCH", self.location, {"Transfer-Encoding": "chunked"}, body)

        self.assertEqual(answer.status, 202)
        self.assertStands("2047", answer)
        self.assertEqual(self.put().status, 201)
        self.assertStored()

    def test_chunks(self) -> None:
        """Chunks in order make up the blob."""
        first, second = self.append(BLOB[:1000], "0-999"), self.append(BLOB[1000:], "1000-2047")

        self.assertEqual((first.status, second.status), (202, 202))
        self.assertStands("999", first)
        self.assertStands("2047", second)
        self.assertEqual(self.put().status, 201)
        self.assertStored()

    def test_chunk_id(self) -> None:
        """The answer to a chunk names the session."""
        answer = self.append(b"x")

        self.assertEqual(answer.header("Docker-Upload-UUID"), self.location.rpartition("/")[2])

    def test_put_whole(self) -> None:
        """A session may get all its bytes from the PUT."""
        answer = self.put(BLOB)

        self.assertEqual(answer.status, 201)
        self.assertEqual((answer.header("Location"), answer.header("Docker-Content-Digest")), (PULL, BLOB_DIGEST))
        self.assertStored()

    def test_put_last_chunk(self) -> None:
        """A PUT may carry the last chunk, and say where it belongs."""
        self.append(BLOB[:1000], "0-999")

        self.assertEqual(self.put(BLOB[1000:], place="1000-2047").status, 201)
        self.assertStored()

    def test_put_chunked(self) -> None:
        """A PUT may be of unknown length."""
        target = f"{self.location}?digest={BLOB_DIGEST}"

        answer = self.edge.call("PUT", target, {"Transfer-Encoding": "chunked"}, chunked(BLOB))

        self.assertEqual(answer.status, 201)
        self.assertStored()

    def test_put_encoded(self) -> None:
        """The digest of a PUT may be percent-encoded, behind a query that is not ours."""
        target = f"{self.location}?_state=a%3Db&digest={BLOB_DIGEST.replace(':', '%3A')}"

        self.assertEqual(self.edge.call("PUT", target, {}, BLOB).status, 201)
        self.assertStored()

    def test_put_sha512(self) -> None:
        """A session that was begun without an algorithm may end with a sha512."""
        digest = digest_of(BLOB, "sha512")
        self.append(BLOB[:7])

        answer = self.put(BLOB[7:], digest)

        self.assertEqual((answer.status, answer.header("Docker-Content-Digest")), (201, digest))
        self.assertEqual(self.edge.call("GET", f"/v2/{NAME}/blobs/{digest}").body, BLOB)

    def test_put_empty(self) -> None:
        """A session without bytes ends as the blob of no bytes."""
        self.assertEqual(self.put(digest=EMPTY).status, 201)
        self.assertEqual(self.edge.call("GET", f"/v2/{NAME}/blobs/{EMPTY}").body, b"")

    def test_ahead(self) -> None:
        """A first chunk that is not the first is refused, and says where the session stands."""
        answer = self.append(BLOB[:10], "10-19")

        self.assertEqual((answer.status, answer.code), (416, "BLOB_UPLOAD_INVALID"))
        self.assertStands("0", answer)
        self.assertStands("0")

    def test_again(self) -> None:
        """A chunk that is there already is refused, and the session goes on."""
        self.append(BLOB[:10], "0-9")

        answer = self.append(BLOB[:10], "0-9")

        self.assertEqual(answer.status, 416)
        self.assertStands("9", answer)
        self.assertEqual(self.append(BLOB[10:], "10-2047").status, 202)
        self.assertEqual(self.put().status, 201)

    def test_put_ahead(self) -> None:
        """A PUT with a chunk out of order is refused, and the session goes on."""
        self.append(BLOB[:10], "0-9")

        answer = self.put(BLOB[20:], place="20-2047")

        self.assertEqual(answer.status, 416)
        self.assertStands("9", answer)
        self.assertEqual(self.put(BLOB[10:], place="10-2047").status, 201)
        self.assertStored()

    def test_place_malformed(self) -> None:
        """A Content-Range of another form is refused, and nothing is added."""
        for place in ("bytes 0-9/10", "bytes=0-9", "0-9/10", "9-0", "0-", "-9", "a-b", " ", "0-" + "9" * 30):
            answer = self.edge.call("PATCH", self.location, {"Content-Range": place}, BLOB[:10])
            self.assertEqual((answer.status, answer.code), (400, "BLOB_UPLOAD_INVALID"), place)
        self.assertStands("0")

    def test_length_differs(self) -> None:
        """A Content-Length that is not the range's is refused, and nothing is added."""
        for place in ("0-8", "0-10"):
            answer = self.append(BLOB[:10], place)
            self.assertEqual((answer.status, answer.code), (400, "SIZE_INVALID"))
        self.assertStands("0")

    def test_stream_too_short(self) -> None:
        """A chunk of unknown length that is shorter than its range is refused, and nothing is added."""
        headers = {"Transfer-Encoding": "chunked", "Content-Range": "0-9"}

        answer = self.edge.call("PATCH", self.location, headers, chunked(BLOB[:4]))

        self.assertEqual((answer.status, answer.code), (400, "SIZE_INVALID"))
        self.assertStands("0")

    def test_stream_too_long(self) -> None:
        """A chunk of unknown length that is longer than its range is refused, and nothing is added."""
        headers = {"Transfer-Encoding": "chunked", "Content-Range": "0-9"}
        client = self.edge.connect()
        client.send(request_bytes("PATCH", self.location, headers) + b"4\r\nabcd\r\n")

        client.send(b"8\r\nefghijkl\r\n0\r\n\r\n")

        self.assertEqual((client.answer.status, client.answer.code), (400, "SIZE_INVALID"))
        self.assertStands("0")

    def test_status(self) -> None:
        """The status is 204 with location, range and id, whatever the query."""
        self.append(BLOB[:10])

        answer = self.edge.call("GET", f"{self.location}?digest={BLOB_DIGEST}")

        self.assertEqual(answer.status, 204)
        self.assertStands("9", answer)
        self.assertEqual(answer.header("Docker-Upload-UUID"), self.location.rpartition("/")[2])

    def test_cancel(self) -> None:
        """A canceled session is gone, with its bytes."""
        self.append(BLOB)

        self.assertEqual(self.edge.call("DELETE", self.location).status, 204)

        self.assertEqual(self.edge.call("GET", self.location).code, "BLOB_UPLOAD_UNKNOWN")
        self.assertEqual(self.edge.call("DELETE", self.location).status, 404)
        self.assertEqual(os.listdir(self.edge.tree.path("__spool__/uploads")), [])

    def test_other_repository(self) -> None:
        """Through another repository the session is unknown to every method, and untouched."""
        self.append(BLOB[:10])
        other = self.location.replace(NAME, "team/other")

        for method in ("GET", "PATCH", "PUT", "DELETE"):
            answer = self.edge.call(method, f"{other}?digest={BLOB_DIGEST}", {}, b"" if method == "GET" else b"x")
            self.assertEqual((answer.status, answer.code), (404, "BLOB_UPLOAD_UNKNOWN"), method)

        self.assertStands("9")

    def test_wrong_digest(self) -> None:
        """Another digest than the bytes' is refused, and ends the session."""
        answer = self.put(BLOB, ABSENT)

        self.assertEqual((answer.status, answer.code), (400, "DIGEST_INVALID"))
        self.assertEqual(self.edge.call("GET", self.location).status, 404)
        self.assertEqual(self.edge.call("HEAD", f"/v2/{NAME}/blobs/{ABSENT}").status, 404)

    def test_no_digest(self) -> None:
        """A PUT that names no digest, or none that is one, is refused, and the session stays."""
        self.append(BLOB)

        missing = self.edge.call("PUT", self.location)
        malformed = self.put(digest="sha256:x")
        twice = self.put(digest=f"{BLOB_DIGEST}&digest={BLOB_DIGEST}")

        self.assertEqual((missing.status, missing.code), (400, "BLOB_UPLOAD_INVALID"))
        self.assertEqual((malformed.status, malformed.code), (400, "DIGEST_INVALID"))
        self.assertEqual((twice.status, twice.code), (400, "UNSUPPORTED"))
        self.assertEqual(self.put().status, 201)

    def test_repeated_put(self) -> None:
        """A PUT repeated because its answer was lost gets the same answer, with or without its body."""
        first = self.put(BLOB)

        for body in (b"", BLOB):
            again = self.put(body)
            self.assertEqual((again.status, again.header("Location")), (201, first.header("Location")))

    def test_repeated_put_differs(self) -> None:
        """A finished session is unknown to a PUT of another digest or repository, and to other methods."""
        self.put(BLOB)

        self.assertEqual(self.put(digest=EMPTY).status, 404)
        self.assertEqual(self.append(b"x").status, 404)
        self.assertEqual(self.edge.call("GET", self.location).status, 404)
        self.location = self.location.replace(NAME, "team/other")
        self.assertEqual(self.put().status, 404)

    def test_two_writers(self) -> None:
        """While one request writes, others are refused and told where the session stands."""
        writer = self.edge.connect()
        writer.send(request_bytes("PATCH", self.location, {"Content-Length": "2048"}) + BLOB[:10])

        for answer in (self.append(BLOB[:5]), self.put(BLOB), self.edge.call("DELETE", self.location)):
            self.assertEqual((answer.status, answer.code), (409, "BLOB_UPLOAD_INVALID"))
            self.assertStands("9", answer)

        writer.send(BLOB[10:])
        self.assertEqual(writer.answer.status, 202)
        self.assertEqual(self.put().status, 201)
        self.assertStored()

    def test_same_blob_twice(self) -> None:
        """Two sessions that end as the same blob both succeed."""
        other = start(self.edge, NAME)

        self.assertEqual(self.put(BLOB).status, 201)
        self.assertEqual(self.edge.call("PUT", f"{other}?digest={BLOB_DIGEST}", {}, BLOB).status, 201)

        self.assertStored()


class LimitTests(SynchronousTestCase):
    """`limits.upload_size`, here 2000 bytes."""

    def setUp(self) -> None:
        """Begin a session."""
        self.edge = Edge(self, upload_size=2000)
        self.location = start(self.edge, NAME)

    def assertTooLarge(self, answer: Response) -> None:
        """The answer is 413."""
        self.assertEqual((answer.status, answer.code), (413, "SIZE_INVALID"))

    def test_announced(self) -> None:
        """A body that is announced as too large is refused before it is read."""
        client = self.edge.connect()

        client.send(request_bytes("PATCH", self.location, {"Content-Length": "2001", "Expect": "100-continue"}))

        self.assertTooLarge(client.answer)

    def test_whole(self) -> None:
        """A blob that is too large is refused as a whole too."""
        self.assertTooLarge(self.edge.call("POST", WHOLE, {}, BLOB))
        self.assertTooLarge(self.edge.call("PUT", f"{self.location}?digest={BLOB_DIGEST}", {}, BLOB))

    def test_stream(self) -> None:
        """A body of unknown length is refused when it becomes too large."""
        answer = self.edge.call("PATCH", self.location, {"Transfer-Encoding": "chunked"}, chunked(BLOB))

        self.assertTooLarge(answer)

    def test_chunks(self) -> None:
        """The sum counts, however small the chunks, and with or without their places."""
        self.edge.call("PATCH", self.location, {"Content-Range": "0-1499"}, BLOB[:1500])

        self.assertTooLarge(self.edge.call("PATCH", self.location, {}, BLOB[1500:]))
        self.assertTooLarge(self.edge.call("PATCH", self.location, {"Content-Range": "1500-2047"}, BLOB[1500:]))

    def test_exactly(self) -> None:
        """A blob of exactly the limit is accepted."""
        data = BLOB[:2000]

        answer = self.edge.call("PUT", f"{self.location}?digest={digest_of(data)}", {}, data)

        self.assertEqual(answer.status, 201)
