"""The table from errors to answers: complete, in the format of its API, and silent about what is nobody's business."""

from __future__ import annotations

import errno
import pkgutil
from importlib import import_module
from typing import Any

import attrs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

import pkgd
from pkgd import errors as e
from pkgd.web.errors import TABLE, answer, lookup
from pkgd.web.request import Request
from tests.web.messages import Response
from tests.web.recorder import Recorder, recorded

# The distribution-spec's codes ("Error Codes"), and what its registries use for the rest.
CODES = frozenset(
    ["BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN"]
    + ["MANIFEST_INVALID", "MANIFEST_UNKNOWN", "NAME_INVALID", "NAME_UNKNOWN", "SIZE_INVALID", "UNAUTHORIZED"]
    + ["DENIED", "UNSUPPORTED", "TOOMANYREQUESTS", "UNAVAILABLE", "UNKNOWN"]
)
# What never ends in an answer from the table: it has its own status, nobody to answer, or stops the start.
WITHOUT_ROW = {e.MalformedHttp, e.ClientGone, e.ConfigError, e.AlreadyRunning, e.NoRoomToStart, e.CommandFailed}
SAMPLES: dict[str, Any] = {"str": "x", "int": 5, "float": 2.5, "bool": True, "tuple[str, ...]": ("GET", "PUT")}


def concrete() -> set[type[e.PkgdError]]:
    """The error classes of all of pkgd that have no subclass: those that are raised."""
    modules = [import_module(found.name) for found in pkgutil.walk_packages(pkgd.__path__, "pkgd.")]
    values = [value for module in modules for value in vars(module).values()]
    kinds = {value for value in values if isinstance(value, type) and issubclass(value, e.PkgdError)}
    return {kind for kind in kinds if not any(kind in other.__mro__[1:] for other in kinds)}


def sample(kind: type[e.PkgdError]) -> e.PkgdError:
    """An error of this class, with something in each of its fields."""
    return kind(**{field.name: SAMPLES[str(field.type)] for field in attrs.fields(kind)} if attrs.has(kind) else {})


def respond(error: BaseException, line: str = "GET /v2/a/tags/list HTTP/1.1") -> Response:
    """The answer to a request that fails like this."""
    request, recorder = recorded(line)
    answer(request, Failure(error))
    assert recorder.was_answered
    return recorder.answer(line.partition(" ")[0])


class TableTests(SynchronousTestCase):
    """Every error that a request can meet has a row of its own."""

    def test_complete(self) -> None:
        """Each concrete class has a row, unless it is listed here with a reason."""
        missing = concrete() - TABLE.keys()

        self.assertEqual(missing, WITHOUT_ROW)

    def test_rows(self) -> None:
        """A row is a status of a failed request and a code that clients know."""
        for kind, (status, code) in TABLE.items():
            self.assertIn(code, CODES, kind)
            self.assertTrue(400 <= status <= 508, kind)

    def test_statuses(self) -> None:
        """The statuses and codes that the specification and its clients depend on."""
        expected = {
            e.InvalidName: (400, "NAME_INVALID"),
            e.InvalidDigest: (400, "DIGEST_INVALID"),
            e.DigestMismatch: (400, "DIGEST_INVALID"),
            e.InvalidManifest: (400, "MANIFEST_INVALID"),
            e.InvalidSize: (400, "SIZE_INVALID"),
            e.UnknownBlob: (404, "BLOB_UNKNOWN"),
            e.UnknownManifest: (404, "MANIFEST_UNKNOWN"),
            e.UnknownName: (404, "NAME_UNKNOWN"),
            e.UnknownUpload: (404, "BLOB_UPLOAD_UNKNOWN"),
            e.MissingBlob: (404, "MANIFEST_BLOB_UNKNOWN"),
            e.OffsetMismatch: (416, "BLOB_UPLOAD_INVALID"),
            e.TooLarge: (413, "SIZE_INVALID"),
            e.TooManyTags: (414, "UNSUPPORTED"),
            e.Denied: (403, "DENIED"),
            e.Unsupported: (405, "UNSUPPORTED"),
        }
        self.assertEqual({kind: TABLE[kind] for kind in expected}, expected)

    def test_machine(self) -> None:
        """What the machine refuses is a 5xx, so that clients try again; a full disk is 507."""
        self.assertEqual(TABLE[e.NoSpace][0], 507)
        for kind in (e.ReadOnlyStorage, e.BusyStorage, e.NotReady):
            self.assertEqual(TABLE[kind][0], 503)

    def test_nearest(self) -> None:
        """A class without a row has its nearest base's; one without any is our failure."""

        class NewKind(e.UnknownBlob):
            """blob of a new kind"""

        self.assertEqual(lookup(NewKind), TABLE[e.UnknownBlob])
        self.assertEqual(lookup(e.PkgdError), (500, "UNKNOWN"))


class BodyTests(SynchronousTestCase):
    """The answer's body, in the format of the API that was asked."""

    def test_registry(self) -> None:
        """Under `/v2/`, every error is the specification's JSON, with its status, its code and one sentence."""
        for kind in TABLE:
            found = respond(sample(kind))
            self.assertEqual((found.status, found.code), TABLE[kind])
            self.assertEqual(found.json["errors"][0]["message"], sample(kind).message)

    def test_malformed(self) -> None:
        """What is no request gets the status that its parser suggests, and the connection ends."""
        for status in (400, 405, 408, 414, 431):
            found = respond(e.MalformedHttp(status, "malformed header"))
            self.assertEqual((found.status, found.code in CODES), (status, True))

    def test_unknown_method(self) -> None:
        """A method that exists nowhere is answered with those that do (RFC 9110, 15.5.6)."""
        found = respond(e.MalformedHttp(405, "unknown method"))
        self.assertEqual(found.header("Allow"), "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT")

    def test_packages(self) -> None:
        """Under `/apt/` and `/rpm/` the message is plain text, for whoever reads a terminal."""
        for path in ("/apt/main/x", "/rpm/main/x"):
            found = respond(e.UnknownRoute("x"), f"GET {path} HTTP/1.1")
            self.assertEqual((found.status, found.header("Content-Type")), (404, "text/plain; charset=utf-8"))
            self.assertEqual(found.body, b"no such endpoint: x\n")

    def test_head(self) -> None:
        """HEAD is answered with the same headers and no body."""
        get, head = respond(e.UnknownBlob("x")), respond(e.UnknownBlob("x"), "HEAD /v2/a/tags/list HTTP/1.1")

        self.assertEqual((head.status, head.fields, head.body), (get.status, get.fields, b""))

    def test_any_text(self) -> None:
        """What a client sent is shown shortened and escaped, even where it is no text at all."""
        for value in ("x" * 10_000, 'quote" \\ \r\n \0', "\ud800", "日本"):
            found = respond(e.InvalidName(value))
            self.assertEqual((found.status, found.code), (400, "NAME_INVALID"))
            self.assertLess(len(found.body), 1000)


class HeaderTests(SynchronousTestCase):
    """The headers that an error carries beside its body."""

    def test_offset(self) -> None:
        """A client that lost its place in an upload is told the session and where it stands."""
        for kind in (e.OffsetMismatch, e.SessionBusy):
            found = respond(kind("/v2/a/blobs/uploads/x", 100))
            self.assertEqual((found.header("Location"), found.header("Range")), ("/v2/a/blobs/uploads/x", "0-99"))
            self.assertEqual(respond(kind("/x", 0)).header("Range"), "0-0")

    def test_range(self) -> None:
        """A range that does not exist is answered with the size (RFC 9110, 15.5.17)."""
        self.assertEqual(respond(e.UnsatisfiableRange(2048)).header("Content-Range"), "bytes */2048")

    def test_allow(self) -> None:
        """A method that is not allowed is answered with those that are (RFC 9110, 15.5.6)."""
        self.assertEqual(respond(e.Unsupported("x", ("GET", "HEAD"))).header("Allow"), "GET, HEAD")
        self.assertIsNone(respond(e.Unsupported("x")).header("Allow"))

    def test_retry(self) -> None:
        """What will pass is answered with Retry-After."""
        for error in (e.BusyStorage("x"), e.NotReady(), e.ReadOnlyStorage("x")):
            self.assertEqual(respond(error).header("Retry-After"), "5")
        self.assertIsNone(respond(e.NoSpace("x")).header("Retry-After"))


class BugTests(SynchronousTestCase):
    """Whatever is no PkgdError is a bug: 500, and nothing of it is shown."""

    def test_internal_error(self) -> None:
        """The client gets an id, the log gets the same id beside the traceback."""
        found = respond(ZeroDivisionError("secret"))
        (logged,) = self.flushLoggedErrors(ZeroDivisionError)

        message = found.json["errors"][0]["message"]
        self.assertEqual((found.status, found.code), (500, "UNKNOWN"))
        self.assertRegex(message, r"^internal error [0-9a-f]{16}$")
        self.assertNotIn(b"secret", found.body)
        self.assertEqual(str(logged.value), "secret")

    def test_exhausted(self) -> None:
        """No descriptors, or no memory, is a state of the machine and no bug, wherever it comes up."""
        for number in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            self.assertEqual(respond(OSError(number, "exhausted")).status, 503)

    def test_other_system_errors(self) -> None:
        """Any other error of the system that nobody expected is a bug."""
        self.assertEqual(respond(OSError(errno.EBADF, "bad")).status, 500)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)


class LateFailureTests(SynchronousTestCase):
    """Failures after the answer has begun, or after the client has left."""

    def setUp(self) -> None:
        """A request."""
        self.request, self.recorder = self.begin()

    def begin(self) -> tuple[Request, Recorder]:
        """Another one."""
        return recorded()

    def test_begun(self) -> None:
        """An answer that has begun is cut, never continued with an error page."""
        self.request.send(200, b"", b"the beginn", length=100)
        before = self.recorder.written

        answer(self.request, Failure(e.FailedStorage("read")))

        self.assertEqual((self.recorder.written, self.recorder.aborted), (before, True))
        self.assertFalse(self.recorder.was_answered)

    def test_begun_bug(self) -> None:
        """A bug in the middle of an answer cuts it as well, and is logged."""
        self.request.send(200, b"", b"", length=100)

        answer(self.request, Failure(ZeroDivisionError()))

        self.assertTrue(self.recorder.aborted)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_client_gone(self) -> None:
        """A client that has left gets nothing, and there is nothing to log about it."""
        answer(self.request, Failure(e.ClientGone()))

        self.assertEqual((self.recorder.written, self.recorder.aborted), (b"", False))

    def test_bug_after_leaving(self) -> None:
        """A bug is logged even if nobody waits for the answer any more."""
        self.request.lost()

        answer(self.request, Failure(ZeroDivisionError()))

        self.assertEqual(self.recorder.written, b"")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
