"""One object from a pkgd: what is verified, what is tried again, and what is told of a failure."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from pkgd.formats.digest import Digest
from pkgd.formats.names import Origin, Reference, Tag
from pkgd.prefetch.images import Platform
from pkgd.prefetch.source import MANIFEST_SIZE, PAUSES, FetchedManifest, NoServer, NotFetched, Source, one_line
from pkgd.prefetch.transport import Unreachable
from tests.prefetch.fixtures import HUB, INDEX, MANIFEST, FakeAnswer, FakeRegistry, descriptor

DATA = bytes(range(256)) * 100


def cut(at: int) -> Callable[[FakeAnswer], FakeAnswer]:
    """The connection breaks there."""
    return lambda answer: attrs.evolve(answer, breaks_at=at)


def short(at: int) -> Callable[[FakeAnswer], FakeAnswer]:
    """The body ends there as if it were whole."""
    return lambda answer: attrs.evolve(answer, body=answer.body[:at])


def says(status: int, body: bytes = b"", **headers: str) -> Callable[[FakeAnswer], FakeAnswer]:
    """Another answer."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda answer: FakeAnswer(status, body, fields)


class SourceCase(SynchronousTestCase):
    """A registry, and a source that waits for nothing."""

    def setUp(self) -> None:
        """Note the pauses."""
        self.registry = FakeRegistry()
        self.pauses: list[float] = []
        self.source = Source(self.registry, self.pauses.append)

    def tearDown(self) -> None:
        """No answer is left open."""
        self.assertEqual([one for one in self.registry.answers if not one.closed], [])

    def fails(self, call: Callable[..., object], *arguments: object) -> str:
        """The reason that it cannot be had."""
        return str(self.assertRaises(NotFetched, call, *arguments))


class PingTests(SourceCase):
    """Whether a registry answers."""

    def test_answers(self) -> None:
        """One that answers is asked once."""
        self.source.ping()

        self.assertEqual([request for request, _ in self.registry.requests], ["GET /v2/"])

    def test_does_not(self) -> None:
        """Nobody is waited for who does not answer at once: the URL may be wrong."""
        self.registry.fault("/v2/", Unreachable("Connection refused"), says(503), says(404), says(401))

        reasons = [self.fails(self.source.ping) for _ in range(4)]

        self.assertEqual(reasons[0], "Connection refused")
        self.assertEqual(reasons[1:], [f"the server answers {status}" for status in (503, 404, 401)])
        self.assertEqual(self.pauses, [])


class ManifestTests(SourceCase):
    """Manifests and indexes."""

    def manifest(self, reference: Reference | str) -> FetchedManifest:
        """Fetch one."""
        return self.source.manifest(HUB, Tag(reference) if isinstance(reference, str) else reference)

    def test_by_tag(self) -> None:
        """A tag is asked of its upstream, and gives the digest it stands for and all that is referred to."""
        added = self.registry.image(b"layer", tag="3")

        found = self.manifest("3")

        request, headers = self.registry.requests[0]
        self.assertEqual(request, "GET /v2/library/alpine/manifests/3?ns=docker.io")
        self.assertIn(INDEX, headers["Accept"])
        self.assertIn(MANIFEST, headers["Accept"])
        self.assertEqual((str(found.digest), found.size, found.warning), (added["digest"], added["size"], ""))
        self.assertEqual(len(found.content.blobs), 2)

    def test_by_digest(self) -> None:
        """A digest is verified, whatever the headers say."""
        digest = Digest.parse(self.registry.image(b"layer")["digest"])
        self.assertEqual(self.manifest(digest).digest, digest)

        self.registry.always(str(digest), lambda answer: attrs.evolve(answer, body=answer.body + b" ", headers={}))

        self.assertIn("it has the digest sha256:", self.fails(self.manifest, digest))

    def test_sha512(self) -> None:
        """The digest's own algorithm is used."""
        self.registry.image(b"layer", tag="3")
        data, media_type = self.registry.content["/v2/library/alpine/manifests/3?ns=docker.io"]
        digest = Digest.of(data, "sha512")
        self.registry.content[f"/v2/library/alpine/manifests/{digest}?ns=docker.io"] = (data, media_type)

        self.assertEqual(self.manifest(digest).digest, digest)

    def test_other_digest(self) -> None:
        """A tag whose bytes are not those that the header names is refused; without the header, the bytes count."""
        self.registry.image(b"layer", tag="3")
        self.registry.fault("/3", lambda answer: attrs.evolve(answer, headers={"Docker-Content-Digest": "sha256:\x1b"}))
        self.registry.fault("/3", lambda answer: attrs.evolve(answer, headers={}))

        self.assertIn("and not sha256:?", self.fails(self.manifest, "3"))
        self.assertEqual(len(self.manifest("3").content.blobs), 2)

    def test_platforms(self) -> None:
        """The platforms of an index's children are known, in order, where they are stated."""
        child = self.registry.image(b"layer")
        arm = {**child, "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}}
        self.registry.index(arm, child, {**child, "platform": "nonsense"}, tag="3")

        self.assertEqual(self.manifest("3").platforms, (Platform("linux", "arm64"), None, None))

    def test_no_manifest(self) -> None:
        """What is no manifest is refused with the reason: JSON that is none, or nests, or is something else."""
        for body, reason in {
            b"<html>": "it is not JSON",
            b"\xff\xfe": "it is not JSON",
            b"[" * 100_000: "it is not JSON",
            b"[]": "it is not a JSON object",
            b"{}": "it states no mediaType",
            b'{"schemaVersion": 1, "mediaType": "a/b"}': "schema 1",
            b'{"schemaVersion": 2, "manifests": [{"digest": 1}]}': "a descriptor's size",
            b'{"schemaVersion": 2, "manifests": 1, "mediaType": "%b"}' % INDEX.encode("ascii"): "must be a list",
        }.items():
            self.registry.content["/v2/library/alpine/manifests/x?ns=docker.io"] = (body, "")
            self.assertIn(reason, self.fails(self.manifest, "x"), body[:50])
        self.assertEqual(self.pauses, [])

    def test_huge(self) -> None:
        """A manifest without end is read to the limit and no further."""
        self.registry.always("/3", says(200, b" " * (MANIFEST_SIZE * 3)))

        self.assertIn("larger than 4194304 bytes", self.fails(self.manifest, "3"))
        self.assertGreater(len(self.registry.answers[0].body), MANIFEST_SIZE)

    def test_largest(self) -> None:
        """One of exactly the limit is taken."""
        document = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []})
        data = document.encode("ascii").ljust(MANIFEST_SIZE)
        self.registry.content["/v2/library/alpine/manifests/x?ns=docker.io"] = (data, INDEX)

        self.assertEqual(self.manifest("x").size, MANIFEST_SIZE)

    def test_cut(self) -> None:
        """A manifest that is cut off is fetched anew."""
        self.registry.image(b"layer", tag="3")
        self.registry.fault("/3", cut(20), short(20))

        self.assertEqual(len(self.manifest("3").content.blobs), 2)
        self.assertEqual(self.pauses, [1.0, 2.0])

    def test_warning(self) -> None:
        """A warning is handed on: the server had nothing newer."""
        self.registry.image(b"layer", tag="3")
        warning = '299 - "the answer is stale"'
        self.registry.always("/3", lambda answer: attrs.evolve(answer, headers={**answer.headers, "Warning": warning}))

        self.assertEqual(self.manifest("3").warning, warning)


class BlobTests(SourceCase):
    """Blobs: read, verified, and forgotten."""

    def setUp(self) -> None:
        """One blob."""
        super().setUp()
        self.data = self.registry.blob(DATA)
        self.end = f"/{self.data['digest']}"
        self.received = 0

    def blob(self, **changes: Any) -> int:
        """Fetch it, by a descriptor that may say something else."""
        return self.source.blob(HUB, descriptor({**self.data, **changes}), self.count)

    def count(self, size: int) -> None:
        """Add up."""
        self.received += size

    def test_whole(self) -> None:
        """A blob is asked of its upstream once, and every byte is counted."""
        self.assertEqual(self.blob(), len(DATA))

        self.assertEqual(
            self.registry.requests, [(f"GET /v2/library/alpine/blobs/{self.data['digest']}?ns=docker.io", {})]
        )
        self.assertEqual(self.received, len(DATA))

    def test_empty(self) -> None:
        """The empty blob is a blob."""
        self.assertEqual(self.source.blob(HUB, descriptor(self.registry.blob(b"")), self.count), 0)

    def test_resumed(self) -> None:
        """A blob that is cut off goes on where it was, be the end noticed or not, and is counted once."""
        self.registry.fault(self.end, cut(1000), short(500))

        self.assertEqual(self.blob(), len(DATA))

        ranges = [headers.get("Range") for _, headers in self.registry.requests]
        self.assertEqual(ranges, [None, "bytes=1000-", "bytes=1500-"])
        self.assertEqual((self.received, self.pauses), (len(DATA), [1.0, 2.0]))

    def test_whole_again(self) -> None:
        """A server that does not resume sends all of it again, and only that is verified and counted."""
        whole = FakeAnswer(200, DATA)
        self.registry.fault(self.end, cut(1000), lambda answer: whole)

        self.assertEqual(self.blob(), len(DATA))

        self.assertEqual(self.received, len(DATA))

    def test_resumed_elsewhere(self) -> None:
        """Bytes from somewhere else are not put behind those that are there."""
        self.registry.fault(self.end, cut(1000), says(206, DATA, Content_Range="bytes 0-25599/25600"))

        self.assertIn("begins elsewhere", self.fails(self.blob))

    def test_cut_again_and_again(self) -> None:
        """The tries are bounded, also where each brings a little."""
        self.registry.always(self.end, cut(10))

        self.assertEqual(self.fails(self.blob), f"it was cut off at 50 of {len(DATA)} bytes")
        self.assertEqual(self.pauses, list(PAUSES))

    def test_wrong(self) -> None:
        """Bytes with another digest are refused at once, for they would be the same again."""
        self.registry.always(self.end, lambda answer: attrs.evolve(answer, body=bytes(len(DATA))))

        self.assertIn("it has the digest sha256:", self.fails(self.blob))
        self.assertEqual(self.pauses, [])

    def test_longer(self) -> None:
        """Nothing is read beyond the size that the manifest states: the body may have no end."""
        self.registry.always(self.end, lambda answer: attrs.evolve(answer, body=DATA + bytes(1 << 20)))

        self.assertEqual(self.fails(self.blob), f"it is longer than the {len(DATA)} bytes it should have")
        self.assertEqual(len(self.registry.answers[0].body), (1 << 20) - 1)

    def test_other_size(self) -> None:
        """A manifest that states another size than the blob has is not believed."""
        self.assertIn("longer than the 5 bytes", self.fails(lambda: self.blob(size=5)))
        self.assertIn("cut off at", self.fails(lambda: self.blob(size=len(DATA) + 1)))


class FailureTests(SourceCase):
    """Answers that are none."""

    def setUp(self) -> None:
        """Any object will do."""
        super().setUp()
        self.data = self.registry.blob(DATA)

    def blob(self) -> int:
        """Fetch it."""
        return self.source.blob(HUB, descriptor(self.data), lambda count: None)

    def fault(self, *faults: Any) -> None:
        """What the next requests for it meet."""
        self.registry.fault(f"/{self.data['digest']}", *faults)

    def test_definite(self) -> None:
        """A definite answer is taken as such, with the server's own words."""
        body = b'{"errors": [{"code": "DENIED", "message": "access denied", "detail": null}]}'
        for status in (301, 400, 401, 403, 404, 405, 416, 500, 508):
            self.fault(says(status, body))
            self.assertEqual(self.fails(self.blob), f"the server answers {status} DENIED: access denied")
        self.assertEqual(self.pauses, [])

    def test_later(self) -> None:
        """What may pass is tried again, a little later each time."""
        self.fault(says(429), says(502), says(503), says(504))

        self.assertEqual(self.blob(), len(DATA))

        self.assertEqual(self.pauses, list(PAUSES))

    def test_not_even_later(self) -> None:
        """But not for ever; the last answer is told."""
        self.fault(says(429), says(502), says(503), says(429), says(504))

        self.assertEqual(self.fails(self.blob), "the server answers 504")

    def test_retry_after(self) -> None:
        """A server that says when to come again is obeyed."""
        self.fault(says(429, Retry_After="7"), says(503, Retry_After="Fri, 31 Dec 1999 23:59:59 GMT"))

        self.blob()

        self.assertEqual(self.pauses, [7.0, 2.0])

    def test_much_later(self) -> None:
        """Unless it asks for hours: then the list goes on without this."""
        self.fault(says(429, Retry_After="21600"))

        self.assertEqual(self.fails(self.blob), "the server answers 429")
        self.assertEqual(self.pauses, [])

    def test_failing_upstream(self) -> None:
        """An upstream that did not come back is asked once for each of the rest, until it answers."""
        self.fault(*[says(502)] * 6)
        self.fails(self.blob)
        self.assertEqual(len(self.pauses), 4)

        self.fails(self.blob)
        self.assertEqual(len(self.pauses), 4)
        self.blob()
        self.fault(says(502))
        self.blob()

        self.assertEqual(len(self.pauses), 5)

    def test_other_upstreams(self) -> None:
        """The others are not treated like that."""
        self.fault(*[says(502)] * 5)
        self.fails(self.blob)
        other = Origin("ghcr.io", HUB.name)
        data = self.registry.blob(DATA, other)
        self.fault(says(502))

        self.source.blob(other, descriptor(data), lambda count: None)

        self.assertEqual(len(self.pauses), 5)

    def test_connection(self) -> None:
        """A connection that breaks before the answer is tried again."""
        self.fault(ConnectionResetError(104, "Connection reset by peer"), TimeoutError("timed out"))

        self.assertEqual(self.blob(), len(DATA))

        self.fault(*[TimeoutError("timed out")] * 5)
        self.assertEqual(self.fails(self.blob), "no answer: timed out")

    def test_no_server(self) -> None:
        """A server that is gone may come back; if it does not, that is told apart."""
        self.fault(Unreachable("Connection refused"))
        self.assertEqual(self.blob(), len(DATA))

        self.fault(*[Unreachable("Connection refused")] * 5)
        self.assertEqual(str(self.assertRaises(NoServer, self.blob)), "Connection refused")

    def test_hostile_words(self) -> None:
        """What a server says in an error is shown if it has the form, and cannot steer a terminal."""
        for body, shown in {
            b"<html>": "",
            b"[]": "",
            b'{"errors": []}': "",
            b'{"errors": [1]}': "",
            b'{"errors": [{"code": "A"}]}': "",
            b"[" * 60_000: "",
            b"\xff": "",
            b'{"errors": [{"code": "A", "message": "\\u001b[2J\\nb\\ud800"}]}': " A: ?[2J?b?",
            b'{"errors": [{"code": ["A"], "message": {}}]}': " ['A']: {}",
        }.items():
            self.fault(says(404, body))
            self.assertEqual(self.fails(self.blob), f"the server answers 404{shown}")

    def test_redirect(self) -> None:
        """A redirect is not followed, but shown: another URL may be the right one."""
        self.fault(says(301, Location="https://pkg.example.com/"))

        self.assertEqual(self.fails(self.blob), "the server answers 301 to https://pkg.example.com/")

    def test_long_words(self) -> None:
        """Nor can it fill the screen."""
        self.assertEqual(len(one_line("x" * 10_000)), 301)
