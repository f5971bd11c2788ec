"""The one table from what went wrong to what the client sees.

Under `/v2/` the body is the distribution-spec's `errors` list; elsewhere it is plain text.
Expected errors cost no traceback; anything that is not a `PkgdError` is a bug: 500, with an id that
stands in the log beside the traceback.
"""

from __future__ import annotations

import errno
import math
import secrets
from typing import TYPE_CHECKING

import msgspec
from twisted.logger import Logger
from twisted.python.failure import Failure

from pkgd import errors as e
from pkgd.web.head import METHODS
from pkgd.web.respond import send_body

if TYPE_CHECKING:
    from pkgd.web.request import Request

__all__ = ["API_VERSION", "IN_TEXT", "TABLE", "answer", "headers_of", "lookup"]

log = Logger()

# Class -> (status, OCI error code). The nearest class of the error's MRO counts.
TABLE: dict[type[e.PkgdError], tuple[int, str]] = {
    e.InvalidName: (400, "NAME_INVALID"),
    e.InvalidHost: (404, "NAME_UNKNOWN"),
    e.InvalidReference: (400, "MANIFEST_INVALID"),
    e.InvalidDigest: (400, "DIGEST_INVALID"),
    e.InvalidManifest: (400, "MANIFEST_INVALID"),
    e.InvalidKey: (400, "UNSUPPORTED"),
    e.InvalidPackage: (400, "UNSUPPORTED"),
    e.InvalidUpload: (400, "BLOB_UPLOAD_INVALID"),
    e.InvalidSize: (400, "SIZE_INVALID"),
    e.InvalidRequest: (400, "UNSUPPORTED"),
    e.Invalid: (400, "UNSUPPORTED"),
    e.UnknownName: (404, "NAME_UNKNOWN"),
    e.UnknownBlob: (404, "BLOB_UNKNOWN"),
    e.UnknownManifest: (404, "MANIFEST_UNKNOWN"),
    e.MissingBlob: (404, "MANIFEST_BLOB_UNKNOWN"),
    e.UnknownUpload: (404, "BLOB_UPLOAD_UNKNOWN"),
    e.UnknownRepository: (404, "NAME_UNKNOWN"),
    e.UnknownPackage: (404, "NAME_UNKNOWN"),
    e.UnknownKey: (404, "NAME_UNKNOWN"),
    e.UnknownRefreshToken: (404, "NAME_UNKNOWN"),
    e.UnknownUser: (404, "NAME_UNKNOWN"),
    e.UnknownRoute: (404, "NAME_UNKNOWN"),
    e.Denied: (403, "DENIED"),
    e.Concealed: (404, "NAME_UNKNOWN"),
    e.ImmutableTag: (403, "DENIED"),
    e.Unauthenticated: (401, "UNAUTHORIZED"),
    e.TokenRefused: (401, "UNAUTHORIZED"),
    e.Throttled: (429, "TOOMANYREQUESTS"),
    e.AuthUnavailable: (503, "UNAVAILABLE"),
    e.Unsupported: (405, "UNSUPPORTED"),
    e.DigestMismatch: (400, "DIGEST_INVALID"),
    e.OffsetMismatch: (416, "BLOB_UPLOAD_INVALID"),
    e.SessionBusy: (409, "BLOB_UPLOAD_INVALID"),
    e.AlreadyExists: (409, "UNSUPPORTED"),
    e.UnsatisfiableRange: (416, "SIZE_INVALID"),
    e.TooLarge: (413, "SIZE_INVALID"),
    e.TooManyTags: (414, "UNSUPPORTED"),
    e.NoSpace: (507, "UNAVAILABLE"),
    e.ReadOnlyStorage: (503, "UNAVAILABLE"),
    e.BusyStorage: (503, "UNAVAILABLE"),
    e.FailedStorage: (500, "UNKNOWN"),
    e.NotReady: (503, "UNAVAILABLE"),
    e.SigningError: (503, "UNAVAILABLE"),
    e.SlowClient: (408, "BLOB_UPLOAD_INVALID"),
    e.Upstream: (502, "UNAVAILABLE"),
    e.UpstreamUnavailable: (502, "UNAVAILABLE"),
    e.AddressRefused: (502, "UNAVAILABLE"),
    e.UpstreamTimeout: (504, "UNAVAILABLE"),
    e.UpstreamCorrupt: (502, "UNAVAILABLE"),
    e.UnexpectedStatus: (502, "UNAVAILABLE"),
    e.UpstreamRefused: (403, "DENIED"),
    e.UpstreamBusy: (429, "TOOMANYREQUESTS"),
    e.LoopDetected: (508, "UNSUPPORTED"),
}

API_VERSION = b"Docker-Distribution-API-Version: registry/2.0\r\n"

# Whose errors people read in the output of apt, dnf, dput and curl.
IN_TEXT = (b"/apt/", b"/rpm/", b"/api/packages/", b"/api/v4/", b"/repository/", b"/artifactory/")

# The machine's own refusals, wherever they come up outside the storage (EMFILE at accept, say).
_EXHAUSTED = frozenset([errno.EMFILE, errno.ENFILE, errno.ENOMEM])


def answer(request: Request, failure: Failure) -> None:
    """Answer a request that failed; never raises.

    Once an answer has begun, it cannot be taken back: the connection is dropped, so that the
    client sees that it is short.
    """
    error = failure.value
    if isinstance(error, OSError) and error.errno in _EXHAUSTED:
        error = e.BusyStorage(error.strerror or "")
    if isinstance(error, e.Storage):
        log.error(
            "{method} {path}: {reason} ({operation})",
            method=request.method,
            path=request.path,
            reason=error.message,
            operation=error.operation,
        )
    if isinstance(error, e.ClientGone) or request.gone:
        if not isinstance(error, e.PkgdError):
            log.failure("a request failed after its client had left", failure)
        request.body.close()
        return
    if request.started:
        if not isinstance(error, e.PkgdError):
            log.failure("a request failed in the middle of its answer", failure)
        request.abort()
        return
    if isinstance(error, e.MalformedHttp):
        allow = b"Allow: %b\r\n" % b", ".join(sorted(METHODS)) if error.status == 405 else b""
        _send(request, error.status, _http_code(error.status), error.message, allow)
    elif isinstance(error, e.PkgdError):
        status, code = lookup(type(error))
        _send(request, status, code, error.message, headers_of(error) + _version(request, status))
    else:
        reference = secrets.token_hex(8)
        log.failure("internal error {reference}", failure, reference=reference)
        _send(request, 500, "UNKNOWN", f"internal error {reference}", b"")


def lookup(kind: type[BaseException]) -> tuple[int, str]:
    """The row of an error class or of its nearest base."""
    for one in kind.__mro__:
        if one in TABLE:
            return TABLE[one]
    return 500, "UNKNOWN"


def _http_code(status: int) -> str:
    return {405: "UNSUPPORTED", 408: "BLOB_UPLOAD_INVALID", 413: "SIZE_INVALID"}.get(status, "UNSUPPORTED")


def _version(request: Request, status: int) -> bytes:
    """What tells a client, which isn't let in yet, that this is a registry (distribution's token specification)."""
    return API_VERSION if status == 401 and request.path.startswith(b"/v2/") else b""


def headers_of(error: e.PkgdError) -> bytes:
    """The headers that an error carries beside its body."""
    if isinstance(error, e.OffsetMismatch | e.SessionBusy):
        last = max(error.offset - 1, 0)
        return b"Location: %b\r\nRange: 0-%d\r\n" % (error.location.encode("ascii"), last)
    if isinstance(error, e.UnsatisfiableRange):
        return b"Content-Range: bytes */%d\r\n" % error.size
    if isinstance(error, e.Unsupported) and error.allowed:
        return b"Allow: %b\r\n" % ", ".join(error.allowed).encode("ascii")
    if isinstance(error, e.Unauthenticated) and error.challenge:
        return b"WWW-Authenticate: %b\r\n" % error.challenge.encode("ascii")
    if isinstance(error, e.UpstreamBusy | e.Throttled | e.AuthUnavailable):
        return b"Retry-After: %d\r\n" % max(1, math.ceil(error.retry_after))
    if isinstance(error, e.BusyStorage | e.NotReady | e.ReadOnlyStorage | e.SigningError):
        return b"Retry-After: 5\r\n"
    return b""


def _send(request: Request, status: int, code: str, message: str, headers: bytes) -> None:
    """Write the error in the format of its API."""
    if request.path.startswith(IN_TEXT):
        body, kind = message.encode("utf-8", "replace") + b"\n", b"text/plain; charset=utf-8"
    else:
        text = message.encode("utf-8", "replace").decode("utf-8")
        body = msgspec.json.encode({"errors": [{"code": code, "message": text, "detail": None}]})
        kind = b"application/json"
    send_body(request, status, kind, body, headers)
