"""Lists of the paths in packages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.blocking import InlineBlocking
from pkgd.errors import InvalidPackage
from pkgd.formats.debtar import PAUSE
from pkgd.packages.pathlists import PathLists, read_paths
from tests.formats.debs import data_tar, deb, reader, tar
from tests.packages.fixtures import Ground, made_deb, result


class CountingBlocking(InlineBlocking):
    """Counts the hops to where work is done."""

    def __init__(self) -> None:
        self.hops = 0

    def work(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Deferred[Any]:
        """Count, and run the call."""
        self.hops += 1
        return self.disk(call, *args, **kwargs)


class ReadPathsTests(SynchronousTestCase):
    """A package's file is read to its end."""

    def setUp(self) -> None:
        """Count hops."""
        self.blocking = CountingBlocking()

    def paths(self, data: bytes, limit: int = 1 << 30) -> int:
        """How many paths a package has."""
        count: int = result(read_paths(self.blocking, reader(data), len(data), limit)).count
        return count

    def test_each_once(self) -> None:
        """A path that is there twice is one; a path that ends in a space is none for Contents."""
        self.assertEqual(self.paths(made_deb(paths=["./b", "./a", "./b", "./c "])), 2)

    def test_many_paths(self) -> None:
        """No hop takes more than some thousands of them, so that other work comes in between."""
        self.assertEqual(self.paths(deb(data=data_tar(*(b"./%d" % number for number in range(5000))))), 5000)
        self.assertGreaterEqual(self.blocking.hops, 3)

    def test_large_files(self) -> None:
        """Nor does a hop take more than some MiB of them."""
        data = tar((b"./large", b"0", bytes(100 * PAUSE)), (b"./small", b"0", b""))
        self.assertEqual(self.paths(deb(data=data, data_compression="zst")), 2)
        self.assertGreaterEqual(self.blocking.hops, 4)

    def test_bomb(self) -> None:
        """What expands to more than the limit is refused before it has."""
        for compression in ("gz", "xz", "zst", "bz2", "lzma"):
            bomb = deb(data=tar((b"./a", b"0", bytes(3 * PAUSE))), data_compression=compression)
            self.assertLess(len(bomb), PAUSE // 20)
            self.assertRaises(InvalidPackage, self.paths, bomb, PAUSE)
            self.assertEqual(self.paths(bomb), 1)

    def test_damage(self) -> None:
        """What is damaged, or no package, is refused."""
        good = deb(data=tar((b"./a", b"0", b"x" * 3000)), data_compression="gz")
        for bad in (b"", good[:200], good[:-700], good.replace(b"data.tar.gz", b"data.tar.xz")):
            self.assertRaises(InvalidPackage, self.paths, bad)


class PathListsTests(SynchronousTestCase):
    """What is kept beside the pool."""

    def setUp(self) -> None:
        """An empty store."""
        self.ground = Ground(self.mktemp())
        self.lists = PathLists("apt/main", self.ground.store, self.ground.blocking)
        self.file = "pool/main/h/hello/0123456789ab/hello_1.0_amd64.deb"

    def put(self, data: bytes) -> None:
        """Put a package into the pool."""
        result(self.ground.store.put_bytes(f"apt/main/{self.file}", data))

    def test_made_once(self) -> None:
        """A list is made of the package when it is first asked for, and then it is there."""
        self.put(made_deb(paths=["./b", "./a"]))
        self.assertEqual(result(self.lists.read(self.file)), [b"a", b"b"])
        result(self.ground.store.delete(f"apt/main/{self.file}"))
        self.assertEqual(result(self.lists.read(self.file)), [b"a", b"b"])

    def test_empty(self) -> None:
        """That of a package without paths, or of one that cannot be read, is kept, too."""
        for data in (made_deb(), b"damaged"):
            self.put(data)
            for _ in ("made", "kept"):
                self.assertEqual(result(self.lists.read(self.file)), [])
            result(self.lists.discard(self.file))

    def test_no_file(self) -> None:
        """Of a package without its file nothing is kept: it may come back."""
        self.assertEqual(result(self.lists.read(self.file)), [])
        self.put(made_deb(paths=["./a"]))
        self.assertEqual(result(self.lists.read(self.file)), [b"a"])

    def test_discarded(self) -> None:
        """It can be removed, also where there is none."""
        self.put(made_deb(paths=["./a"]))
        result(self.lists.read(self.file))
        for _ in ("there", "gone"):
            result(self.lists.discard(self.file))
        self.assertEqual(list(self.ground.store.objects), [f"apt/main/{self.file}"])  # type: ignore[attr-defined]
