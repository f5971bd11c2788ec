"""How much is stored: every file, each once, under the right kind, a few at a time."""

from __future__ import annotations

import errno
import os

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.blocking import InlineBlocking
from pkgd.errors import Storage
from pkgd.storage.fsops import DurableTree
from pkgd.usage import _BATCH, KINDS, Usage
from tests.storage.fixtures import FaultyFileSystem


class Stored:
    """What the metrics are told."""

    def __init__(self) -> None:
        self.kinds: dict[str, tuple[int, int]] = {}

    def stored(self, kind: str, objects: int, size: int) -> None:
        """See `StorageMetrics.stored`."""
        self.kinds[kind] = (objects, size)


class UsageTests(SynchronousTestCase):
    """A state with the object store within it, as it is by default."""

    def setUp(self) -> None:
        """Nothing is stored."""
        self.state = self.mktemp()
        os.makedirs(self.state)
        self.fs = FaultyFileSystem()
        self.told = Stored()
        self.pauses: list[Deferred[None]] = []
        images, packages = (DurableTree(path, self.fs) for path in (f"{self.state}/oci", self.state))
        self.usage = Usage(images, packages, InlineBlocking(), self.pause, self.told)  # type: ignore[arg-type]

    def pause(self, seconds: float) -> Deferred[None]:
        """Wait until the test goes on."""
        self.assertGreater(seconds, 0)
        self.pauses.append(Deferred())
        return self.pauses[-1]

    def write(self, name: str, size: int) -> str:
        """A file; returns its path."""
        path = os.path.join(self.state, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.truncate(size)
        return path

    def measured(self) -> dict[str, tuple[int, int]]:
        """Files and bytes by kind."""
        self.successResultOf(Deferred.fromCoroutine(self.usage.measure(lambda: False)))
        return self.told.kinds

    def test_nothing(self) -> None:
        """Where nothing is stored every kind is there, and empty."""
        self.assertEqual(self.measured(), dict.fromkeys(KINDS, (0, 0)))

    def test_kinds(self) -> None:
        """What belongs to which kind; what is unfinished, and what is no content, to none."""
        for name, size in (
            ("oci/team/app/blobs/" + "a" * 64, 1),
            ("oci/team/app/manifests/by-tag/v1", 10),
            ("oci/pool/blobs/" + "a" * 64, 100),
            ("oci/__mirror__/docker.io/library/alpine/blobs/" + "b" * 64, 1000),
            ("oci/__mirror__/docker.io/library/alpine/.private", 0),
            ("oci/__spool__/uploads/x", 5),
            ("apt/main/pool/main/h/hello/0123456789ab/hello_1.0_amd64.deb", 2),
            ("apt/main/paths/main/h/hello/0123456789ab/hello_1.0_amd64.deb", 20),
            ("apt/main/suites/stable/current", 200),
            ("apt/pool/suites/stable/current", 2000),
            ("rpm/internal/el9/Packages/h/0123456789ab/hello.rpm", 3),
            ("rpm/internal/el9/leaves/1-x.gz", 30),
            ("rpm/=Packages/current", 300),
            ("spool/uploads/y", 7),
            ("keys/default.pem", 7),
            ("pkgd.sqlite", 7),
        ):
            self.write(name, size)
        self.assertEqual(
            self.measured(), {"blob": (3, 111), "mirror": (2, 1000), "package": (2, 5), "index": (5, 2550)}
        )

    def test_links(self) -> None:
        """A file with several names takes its space once; the kind is that of the one that is met first."""
        path = self.write("oci/a/blobs/x", 10)
        os.makedirs(f"{self.state}/oci/b/blobs")
        os.link(path, f"{self.state}/oci/b/blobs/x")
        self.assertEqual(self.measured()["blob"], (1, 10))

    def test_a_few_at_a_time(self) -> None:
        """After so many files it rests; nothing is told before the end."""
        for number in range(_BATCH + 1):
            self.write(f"oci/a/blobs/{number}", 1)
        done = Deferred.fromCoroutine(self.usage.measure(lambda: False))
        self.assertNoResult(done)
        self.assertEqual(self.told.kinds, {})
        self.pauses.pop().callback(None)
        self.successResultOf(done)
        self.assertEqual(self.told.kinds["blob"], (_BATCH + 1, _BATCH + 1))

    def test_stop(self) -> None:
        """A stop ends it, and half of the truth is not told."""
        for number in range(_BATCH + 1):
            self.write(f"oci/a/blobs/{number}", 1)
        done = Deferred.fromCoroutine(self.usage.measure(lambda: True))
        self.pauses.pop().callback(None)
        self.successResultOf(done)
        self.assertEqual(self.told.kinds, {})

    def test_vanished(self) -> None:
        """A file that is removed meanwhile is not there, as one that was removed before."""
        for number in range(_BATCH + 1):
            self.write(f"oci/a/blobs/{number}", 1)
        done = Deferred.fromCoroutine(self.usage.measure(lambda: False))
        for number in range(_BATCH + 1):
            os.unlink(f"{self.state}/oci/a/blobs/{number}")
        self.pauses.pop().callback(None)
        self.successResultOf(done)
        self.assertEqual(self.told.kinds["blob"], (_BATCH, _BATCH))

    def test_unreadable(self) -> None:
        """A disk that cannot be read is an error of the storage, and what was told before stays."""
        self.write("oci/a/blobs/x", 1)
        for call in ("scandir", "stat"):
            self.fs.fail_calls(call, error=errno.EIO)
            self.failureResultOf(Deferred.fromCoroutine(self.usage.measure(lambda: False)), Storage)
        self.assertEqual(self.told.kinds, {})
