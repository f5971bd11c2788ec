"""The few registry calls outside the timed parts, to fill servers and to check what they answer."""

import hashlib
from http.client import HTTPConnection, HTTPResponse

from tests.bench.content import MANIFEST_TYPE, Blob, Image, digest_of
from tests.bench.figures import MIB

TIMEOUT = 120
OCTETS = "application/octet-stream"


class WrongAnswer(Exception):
    """A server answered with a status or bytes that it shouldn't have."""


def status_of(port: int, target: str) -> int:
    """The status of a GET; OSError while nobody listens."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", target)
        return connection.getresponse().status
    finally:
        connection.close()


def put_image(port: int, repository: str, tag: str, image: Image) -> None:
    """Push a whole small image."""
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    for data in image.blobs:
        _put_blob(connection, repository, data)
    _call(connection, "PUT", f"/v2/{repository}/manifests/{tag}", 201, image.manifest, MANIFEST_TYPE)
    connection.close()


def check_manifest(port: int, target: str, image: Image) -> None:
    """Insist on the image's manifest under a target."""
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    connection.request("GET", target, headers={"Accept": MANIFEST_TYPE})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200 or body != image.manifest:
        raise WrongAnswer(f"GET {target} on port {port}: {answer.status} {body[:200]!r}")


def check_blob(port: int, target: str, blob: Blob) -> None:
    """Download a blob and insist on its digest."""
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    connection.request("GET", target, headers={"Accept-Encoding": "identity"})
    answer = connection.getresponse()
    digest = hashlib.sha256()
    while part := answer.read(MIB):
        digest.update(part)
    connection.close()
    if answer.status != 200 or f"sha256:{digest.hexdigest()}" != blob.digest:
        raise WrongAnswer(f"GET {target} on port {port}: {answer.status} sha256:{digest.hexdigest()}")


def _put_blob(connection: HTTPConnection, repository: str, data: bytes) -> None:
    opened = _call(connection, "POST", f"/v2/{repository}/blobs/uploads/", 202)
    location = opened.getheader("Location", "")
    target = f"{location}{'&' if '?' in location else '?'}digest={digest_of(data)}"
    _call(connection, "PUT", target, 201, data)


def _call(
    connection: HTTPConnection, method: str, target: str, status: int, body: bytes = b"", media_type: str = OCTETS
) -> HTTPResponse:
    connection.request(method, target, body, {"Content-Type": media_type})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != status:
        raise WrongAnswer(f"{method} {target}: {answer.status}, not {status}: {text[:500]!r}")
    return answer
