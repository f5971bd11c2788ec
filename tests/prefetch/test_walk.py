"""From images to all their objects: what is fetched, how often, and how an image ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Event
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from pkgd.formats.names import Origin, RepositoryName
from pkgd.prefetch.images import parse_image, parse_platforms
from pkgd.prefetch.report import Result
from pkgd.prefetch.source import Source
from pkgd.prefetch.transport import Unreachable
from pkgd.prefetch.walk import MAX_DEPTH, Walk
from tests.prefetch.fixtures import HUB, LAYER, MANIFEST, FakeAnswer, FakeRegistry

AMD, ARM = {"os": "linux", "architecture": "amd64"}, {"os": "linux", "architecture": "arm64", "variant": "v8"}
UNKNOWN = {"os": "unknown", "architecture": "unknown"}
APP = Origin("ghcr.io", RepositoryName("org/app"))


class Recorder:
    """A report that keeps everything."""

    def __init__(self) -> None:
        self.expected = 0
        self.got = 0
        self.results: list[Result] = []

    def planned(self, count: int) -> None:
        """Add up."""
        self.expected += count

    def received(self, count: int) -> None:
        """Add up."""
        self.got += count

    def finished(self, result: Result) -> None:
        """Keep it."""
        self.results.append(result)

    def close(self) -> None:
        """Nothing more to keep."""


class GatedRecorder(Recorder):
    """Opens a gate once an image is done with."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Event()

    def finished(self, result: Result) -> None:
        """Open it."""
        super().finished(result)
        self.gate.set()


class WalkCase(SynchronousTestCase):
    """A registry, and walks through it."""

    def setUp(self) -> None:
        """An empty registry."""
        self.registry = FakeRegistry()

    def walk(self, *images: str, platforms: str = "", jobs: int = 1, max_objects: int = 1000) -> Sequence[Result]:
        """Fetch; how it went with each."""
        self.report = Recorder()
        source = Source(self.registry, lambda seconds: None)
        wanted = parse_platforms(platforms) if platforms else ()
        Walk(source, self.report, wanted, jobs, max_objects).run([parse_image(one) for one in images])
        return self.report.results

    def reasons(self, *images: str, **options: Any) -> Sequence[str]:
        """Why one image is not complete."""
        (result,) = self.walk(*images, **options)
        return result.errors


class ObjectTests(WalkCase):
    """What belongs to an image."""

    def test_image(self) -> None:
        """Manifest, config and layers are fetched, each once, and counted."""
        added = self.registry.image(b"one", b"two", b"one", tag="3")

        (result,) = self.walk("alpine:3")

        self.assertEqual(len(self.registry.requests), 4)
        size = added["size"] + len(b"config of one+two+one") + len(b"onetwo")
        self.assertEqual(result, Result("docker.io/library/alpine:3", added["digest"], 1, 3, size))
        self.assertEqual(self.report.got, self.report.expected)

    def test_index(self) -> None:
        """Of an index all children are fetched: every platform, attestations, and indexes in it."""
        children = [{**self.registry.image(b"x" * size), "platform": AMD} for size in (1, 2)]
        attestation = {**self.registry.image(b"attestation"), "platform": UNKNOWN}
        inner = self.registry.index(self.registry.image(b"inner"))
        self.registry.index(*children, attestation, inner, tag="3")

        (result,) = self.walk("alpine:3")

        self.assertEqual((result.errors, result.manifests, result.blobs), ((), 6, 8))

    def test_platforms(self) -> None:
        """If platforms are given, only their children are, and those that state none."""
        amd, arm = self.registry.image(b"amd"), self.registry.image(b"arm")
        attestation, plain = self.registry.image(b"attestation"), self.registry.image(b"plain")
        children = [{**amd, "platform": AMD}, {**arm, "platform": ARM}, {**attestation, "platform": UNKNOWN}, plain]
        self.registry.index(*children, tag="3")

        (result,) = self.walk("alpine:3", platforms="linux/arm64,linux/amd64")
        self.assertEqual((result.errors, result.manifests), ((), 4))
        (result,) = self.walk("alpine:3", platforms="linux/arm64")
        self.assertEqual((result.errors, result.manifests), ((), 3))

    def test_missing_platform(self) -> None:
        """An image that lacks a platform is not complete, for who asks for that would not get it."""
        self.registry.index({**self.registry.image(b"amd"), "platform": AMD}, tag="3")

        reasons = self.reasons("alpine:3", platforms="linux/arm64,linux/amd64,linux/s390x")

        self.assertEqual(reasons, ("it has nothing for linux/arm64", "it has nothing for linux/s390x"))

    def test_platform_of_an_image(self) -> None:
        """An image without an index says nothing of platforms, and is what everybody gets."""
        self.registry.image(b"layer", tag="3")

        self.assertEqual(self.reasons("alpine:3", platforms="linux/s390x"), ())

    def test_foreign(self) -> None:
        """Layers that live elsewhere are not asked for."""
        foreign = {"mediaType": LAYER, "digest": "sha256:" + "0" * 64, "size": 9, "urls": ["https://elsewhere.test"]}
        config = self.registry.blob(b"{}")
        self.registry.manifest(
            {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [foreign]}, tag="3"
        )

        self.assertEqual(self.reasons("alpine:3"), ())

    def test_cache(self) -> None:
        """BuildKit's caches are indexes of layers: those are blobs."""
        layer = self.registry.blob(b"layer")
        config = self.registry.blob(b"{}", media_type="application/vnd.buildkit.cacheconfig.v0")
        self.registry.index(layer, config, tag="cache")

        (result,) = self.walk("alpine:cache")

        self.assertEqual((result.errors, result.manifests, result.blobs), ((), 1, 2))

    def test_warning(self) -> None:
        """A warning of the server is told once, and leaves the image complete."""
        self.registry.index(self.registry.image(b"a"), tag="3")
        self.registry.always(
            "", lambda answer: attrs.evolve(answer, headers={**answer.headers, "Warning": '299 - "stale"'})
        )

        (result,) = self.walk("alpine:3")

        self.assertEqual((result.errors, result.warnings), ((), ('299 - "stale"',)))


class SharingTests(WalkCase):
    """Several images."""

    def test_once(self) -> None:
        """What images of one repository share is fetched once, and belongs to each of them."""
        child = self.registry.image(b"shared")
        for tag in ("1", "2"):
            self.registry.index(child, self.registry.image(tag.encode("ascii")), tag=tag)

        results = self.walk("alpine:1", "alpine:2", jobs=4)

        self.assertEqual([(one.errors, one.manifests, one.blobs) for one in results], [((), 3, 4)] * 2)
        self.assertEqual(self.registry.count("/blobs/"), 6)
        self.assertEqual(self.registry.count(child["digest"]), 1)
        self.assertEqual(self.report.got, self.report.expected)

    def test_repositories(self) -> None:
        """Each repository is asked for its own: that makes the server keep it there."""
        self.registry.image(b"shared", tag="3")
        self.registry.image(b"shared", tag="3", origin=APP)

        self.walk("alpine:3", "ghcr.io/org/app:3")

        self.assertEqual(self.registry.count("/v2/library/alpine/blobs/"), 2)
        self.assertEqual(self.registry.count("/v2/org/app/blobs/"), 2)
        self.assertEqual(self.registry.count("ns=ghcr.io"), 3)

    def test_order(self) -> None:
        """One image is finished before the next: who interrupts a long list has the front of it."""
        for number in range(5):
            self.registry.index(self.registry.image(b"layer %d" % number), tag=str(number))

        results = self.walk(*[f"alpine:{number}" for number in range(5)])

        self.assertEqual([one.image[-1] for one in results], list("01234"))
        self.assertEqual([self.registry.requests[4 * number][0][-14] for number in range(5)], list("01234"))

    def test_many(self) -> None:
        """Many images, many threads: everything comes, once."""
        for number in range(50):
            layers = [b"layer %d" % (number + add) for add in range(5)]
            self.registry.image(*layers, tag=str(number))

        results = self.walk(*[f"alpine:{number}" for number in range(50)], jobs=16)

        self.assertEqual([one.errors for one in results], [()] * 50)
        self.assertEqual(len(self.registry.requests), 50 + 50 + 54)
        self.assertEqual(self.report.got, self.report.expected)

    def test_nothing(self) -> None:
        """An empty list is done at once."""
        self.assertEqual(self.walk(), [])


class FailureTests(WalkCase):
    """Images that cannot be had whole."""

    def test_unknown(self) -> None:
        """An image that is not there fails alone, with the object and the reason."""
        self.registry.image(b"layer", tag="3")

        missing, found = self.walk("alpine:1", "alpine:3")

        reason = "manifest 1: the server answers 404 MANIFEST_UNKNOWN: not here"
        self.assertEqual(missing, Result("docker.io/library/alpine:1", errors=(reason,)))
        self.assertEqual(found.errors, ())

    def test_parts(self) -> None:
        """Of an image that misses something all else is fetched, and everything that is missing is named."""
        self.registry.image(b"one", b"two", b"three", tag="3")
        blobs = [path for path in self.registry.content if "/blobs/" in path]
        for path in blobs[:2]:
            del self.registry.content[path]

        (result,) = self.walk("alpine:3")

        self.assertEqual((result.blobs, len(result.errors)), (2, 2))
        self.assertTrue(all(error.startswith("blob sha256:") for error in result.errors))

    def test_shared_failure(self) -> None:
        """What is missing is missing in every image that has it, and asked for once."""
        shared = self.registry.image(b"shared")
        self.registry.index(shared, tag="1")
        self.registry.index(shared, self.registry.image(b"more"), tag="2")
        layer = next(path for path in self.registry.content if "/blobs/" in path)
        del self.registry.content[layer]

        results = self.walk("alpine:1", "alpine:2")

        self.assertEqual([len(one.errors) for one in results], [1, 1])
        self.assertEqual(self.registry.count(layer), 1)

    def test_endless_nesting(self) -> None:
        """Indexes that nest too deep are followed to the limit."""
        child = self.registry.image(b"innermost")
        for depth in range(MAX_DEPTH):
            child = self.registry.index(child, tag=f"d{depth}")
        self.registry.index(child, tag="deep")

        self.assertEqual(self.reasons(f"alpine:d{MAX_DEPTH - 1}"), ())
        self.assertEqual(self.reasons("alpine:deep"), ("its indexes nest deeper than 8",))

    def test_cycle(self) -> None:
        """An index that leads back to itself ends: no bytes have the digest of what they contain."""
        digest = "sha256:" + "1" * 64
        child = {"mediaType": MANIFEST, "digest": digest, "size": 1}
        self.registry.index(child, child, tag="3")
        again = self.registry.content[f"/v2/library/alpine/manifests/3?ns={HUB.host}"]
        self.registry.content[f"/v2/library/alpine/manifests/{digest}?ns={HUB.host}"] = again

        (reason,) = self.reasons("alpine:3")

        self.assertTrue(reason.startswith(f"manifest {digest}: it has the digest sha256:"))
        self.assertEqual(self.registry.count(digest), 1)

    def test_too_many(self) -> None:
        """An index of more children than anybody has is followed to a limit."""
        self.registry.index(*[self.registry.image(b"layer %d" % number) for number in range(20)], tag="3")

        reasons = self.reasons("alpine:3", max_objects=15)

        self.assertEqual(reasons, ("it has more than 15 objects",))
        self.assertEqual(len(self.registry.requests), 15)

    def test_no_server(self) -> None:
        """When the server is gone nothing more is tried, and every image that is left says so."""
        self.registry.image(b"layer", tag="0")
        self.registry.fault("/1", *[Unreachable("Connection refused")] * 5)

        results = self.walk(*[f"alpine:{number}" for number in range(20)])

        self.assertEqual([one.errors == () for one in results], [True] + [False] * 19)
        self.assertTrue(all("Connection refused" in one.errors[0] for one in results[1:]))
        self.assertEqual(len(self.registry.requests), 3 + 5)

    def test_no_server_for_late_parts(self) -> None:
        """Nor is what a manifest that comes after that would lead to."""
        self.registry.image(b"layer", tag="late")
        self.registry.fault("/gone", *[Unreachable("Connection refused")] * 5)
        report = GatedRecorder()

        def transport(method: str, path: str, headers: Mapping[str, str]) -> FakeAnswer:
            if "/late" in path:
                report.gate.wait(60)
            return self.registry(method, path, headers)

        images = [parse_image("alpine:gone"), parse_image("alpine:late")]
        Walk(Source(transport, lambda seconds: None), report, (), jobs=2).run(images)

        self.assertEqual([len(one.errors) for one in report.results], [1, 2])
        self.assertEqual(self.registry.count("/blobs/"), 0)

    def test_no_server_for_parts(self) -> None:
        """Nor are the other parts of the same image."""
        child = self.registry.image(b"layer")
        self.registry.index(child, self.registry.image(b"other"), tag="3")
        self.registry.fault(child["digest"], *[Unreachable("Connection refused")] * 5)

        (result,) = self.walk("alpine:3")

        self.assertEqual(len(result.errors), 2)
        self.assertEqual(len(self.registry.requests), 1 + 5)

    def test_bug(self) -> None:
        """A bug in a thread ends the walk: nobody waits for what will never come."""

        def broken(answer: FakeAnswer) -> FakeAnswer:
            raise ZeroDivisionError

        self.registry.always("/3", broken)

        self.assertRaises(ZeroDivisionError, self.walk, "alpine:3")
