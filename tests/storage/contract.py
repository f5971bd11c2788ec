"""What every object store promises. A store's test case inherits `StoreContract` and gives `store` and `stage`."""

from __future__ import annotations

import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred, gatherResults

from pkgd.storage.interfaces import Entry, ObjectStore, Reader, Staged, StoredReader, Versioned

if TYPE_CHECKING:
    from twisted.trial.unittest import SynchronousTestCase as Case
else:
    Case = object

__all__ = ["Store", "StoreContract"]


class Store(ObjectStore, Versioned, Protocol):
    """An object store that also tells versions."""


class StoreContract(Case):
    """Not collected itself: it is no test case before a store's tests make it one."""

    store: Store

    def stage(self, data: bytes) -> Staged:
        """A finished file in the spool."""
        raise NotImplementedError

    def settle(self) -> None:
        """Let everything that has been begun come to its end; nothing, where nothing waits."""

    # -- how the cases speak --

    def do(self, *calls: Coroutine[Deferred[Any], Any, Any]) -> Any:
        """Run calls at the same time, and return their results; of a single one, its result."""
        running = gatherResults([Deferred.fromCoroutine(call) for call in calls], consumeErrors=True)
        self.settle()
        results: list[Any] = self.successResultOf(running)
        return results if len(results) > 1 else results[0]

    def content(self, key: str) -> bytes | None:
        """The object's bytes, or None."""
        reader: Reader | None = self.do(self.store.open(key))
        if reader is None:
            return None
        try:
            return reader.read_at(0, reader.size)
        finally:
            reader.close()

    def names(self, prefix: str) -> list[Entry]:
        """What is listed under the prefix, sorted."""
        return sorted(self.do(self.store.list(prefix)), key=lambda entry: entry.name)

    # -- dates --

    def test_dated(self) -> None:
        """A reader says when its object was written; a link is as old as what it was made of."""
        before = int(time.time())
        self.do(self.store.put_bytes("a", b"bytes"))
        self.do(self.store.put("b", self.stage(b"staged")))
        self.do(self.store.link("b", "c"))

        dates = [self.dated(key) for key in "abc"]

        self.assertTrue(all(before <= one <= time.time() for one in dates), dates)
        self.assertEqual(dates[1], dates[2])

    def dated(self, key: str) -> int:
        """When an object was written."""
        reader: StoredReader = self.do(self.store.open(key))
        reader.close()
        return reader.modified

    # -- absence --

    def test_absent(self) -> None:
        """A key without an object has no size, no reader, no version and nothing to delete."""
        self.assertIsNone(self.do(self.store.stat("a/b")))
        self.assertIsNone(self.do(self.store.open("a/b")))
        self.assertIsNone(self.store.version("a/b"))
        self.assertIs(self.do(self.store.delete("a/b")), False)
        self.assertEqual(self.names("a/b"), [])

    def test_below_an_object(self) -> None:
        """Nothing is below an object, and asking does no harm."""
        self.do(self.store.put_bytes("a/b", b"object"))

        self.assertIsNone(self.do(self.store.stat("a/b/c")))
        self.assertIsNone(self.do(self.store.open("a/b/c")))
        self.assertIsNone(self.store.version("a/b/c"))
        self.assertIs(self.do(self.store.delete("a/b/c")), False)
        self.assertIs(self.do(self.store.link("a/b/c", "x")), False)
        self.assertEqual(self.names("a/b"), [])
        self.assertEqual(self.content("a/b"), b"object")

    def test_prefix_is_no_object(self) -> None:
        """What has objects below it is not one itself."""
        self.do(self.store.put_bytes("a/b/c", b"object"))

        self.assertIsNone(self.do(self.store.stat("a/b")))
        self.assertIsNone(self.do(self.store.open("a/b")))
        self.assertIs(self.do(self.store.delete("a/b")), False)
        self.assertIs(self.do(self.store.link("a/b", "x")), False)
        self.assertEqual(self.content("a/b/c"), b"object")

    def test_name_too_long_for_any_file(self) -> None:
        """A name that no file system takes is absent, not an error."""
        self.assertIsNone(self.do(self.store.stat("a/" + "b" * 300)))
        self.assertIsNone(self.do(self.store.open("a/" + "b" * 300)))

    # -- put --

    def test_put(self) -> None:
        """A staged file becomes the object, and is no longer staged."""
        self.do(self.store.put("a/b", self.stage(b"bytes")))

        self.assertEqual(self.do(self.store.stat("a/b")), 5)
        self.assertEqual(self.content("a/b"), b"bytes")

    def test_put_keeps(self) -> None:
        """The object that a key has is kept, for its key names its content; the second file is consumed as well."""
        self.do(self.store.put("a/b", self.stage(b"first")))
        version = self.store.version("a/b")

        self.do(self.store.put("a/b", self.stage(b"again")))

        self.assertEqual(self.content("a/b"), b"first")
        self.assertEqual(self.store.version("a/b"), version)

    def test_put_mends(self) -> None:
        """An object that has not the size of the staged file cannot be the same content: it is replaced."""
        self.do(self.store.put_bytes("a/b", b"trunc"))

        self.do(self.store.put("a/b", self.stage(b"truncated no more")))

        self.assertEqual(self.content("a/b"), b"truncated no more")

    def test_put_empty(self) -> None:
        """An object may be empty."""
        self.do(self.store.put("a/b", self.stage(b"")))

        self.assertEqual(self.do(self.store.stat("a/b")), 0)
        self.assertEqual(self.content("a/b"), b"")

    def test_put_bytes_replaces(self) -> None:
        """A small object takes the place of the older one, longer or shorter."""
        for data in (b"one", b"three", b"", b"ten"):
            self.do(self.store.put_bytes("a/b", data))
            self.assertEqual(self.content("a/b"), data)

    def test_same_put_at_once(self) -> None:
        """Many writers of one object all succeed, and it is whole."""
        staged = [self.stage(b"equal bytes") for _ in range(5)]

        self.do(*(self.store.put("a/b", one) for one in staged))

        self.assertEqual(self.content("a/b"), b"equal bytes")

    def test_different_put_bytes_at_once(self) -> None:
        """Of many writers of one pointer, one is the last, and its bytes stand unmixed."""
        written = [b"%d" % n * n for n in range(1, 7)]

        self.do(*(self.store.put_bytes("a/b", data) for data in written))

        self.assertIn(self.content("a/b"), written)

    def test_stat_while_put(self) -> None:
        """Who asks during a put is told of nothing, or of the whole."""
        _, size, _, again = self.do(
            self.store.put("a/b", self.stage(b"bytes")),
            self.store.stat("a/b"),
            self.store.put_bytes("a/c", b"other"),
            self.store.stat("a/b"),
        )

        self.assertIn(size, (None, 5))
        self.assertIn(again, (None, 5))

    # -- readers --

    def test_read_at(self) -> None:
        """A reader gives the part that is asked for, as far as there is one."""
        self.do(self.store.put_bytes("a", b"0123456789"))
        reader = self.do(self.store.open("a"))
        self.addCleanup(reader.close)

        self.assertEqual(reader.size, 10)
        self.assertEqual(reader.read_at(2, 3), b"234")
        self.assertEqual(reader.read_at(8, 100), b"89")
        self.assertEqual(reader.read_at(10, 1), b"")
        self.assertEqual(reader.read_at(1000, 1), b"")

    def test_close_twice(self) -> None:
        """A reader may be closed again."""
        self.do(self.store.put_bytes("a", b"bytes"))
        reader = self.do(self.store.open("a"))

        reader.close()
        reader.close()

    def test_reader_outlives_its_object(self) -> None:
        """Who has begun to read reads to the end, though the object is replaced or deleted."""
        self.do(self.store.put_bytes("a", b"old bytes"), self.store.put_bytes("b", b"doomed"))
        readers = self.do(self.store.open("a"), self.store.open("b"))
        for reader in readers:
            self.addCleanup(reader.close)

        self.do(self.store.put_bytes("a", b"new"), self.store.delete("b"))

        self.assertEqual([reader.read_at(0, reader.size) for reader in readers], [b"old bytes", b"doomed"])

    # -- link --

    def test_link(self) -> None:
        """A linked object is there under both keys, and each goes by itself."""
        self.do(self.store.put("a/b", self.stage(b"bytes")))

        self.assertIs(self.do(self.store.link("a/b", "c/d/e")), True)
        self.do(self.store.delete("a/b"))

        self.assertEqual(self.content("c/d/e"), b"bytes")
        self.assertIsNone(self.content("a/b"))

    def test_link_without_source(self) -> None:
        """Nothing can be linked that is not there, and nothing is made."""
        self.assertIs(self.do(self.store.link("a/b", "c/d")), False)
        self.assertIsNone(self.content("c/d"))

    def test_link_keeps(self) -> None:
        """A target that is there is kept."""
        self.do(self.store.put_bytes("a", b"bytes"), self.store.put_bytes("b", b"other"))

        self.assertIs(self.do(self.store.link("a", "b")), True)

        self.assertEqual(self.content("b"), b"other")

    def test_link_mends(self) -> None:
        """A target that has not the size of the source cannot be the same content: it is replaced."""
        self.do(self.store.put_bytes("a", b"bytes"), self.store.put_bytes("b", b"byt"))

        self.assertIs(self.do(self.store.link("a", "b")), True)

        self.assertEqual(self.content("b"), b"bytes")

    def test_link_to_itself(self) -> None:
        """An object is its own link already."""
        self.do(self.store.put_bytes("a", b"bytes"))

        self.assertIs(self.do(self.store.link("a", "a")), True)

        self.assertEqual(self.content("a"), b"bytes")

    def test_pointer_does_not_reach_its_link(self) -> None:
        """Replacing an object leaves its links as they are."""
        self.do(self.store.put_bytes("a", b"bytes"))
        self.do(self.store.link("a", "b"))

        self.do(self.store.put_bytes("a", b"new"))

        self.assertEqual(self.content("b"), b"bytes")

    # -- delete --

    def test_delete(self) -> None:
        """A deleted object is gone; the second delete finds none; and the key can be used again."""
        self.do(self.store.put("a/b", self.stage(b"bytes")))

        self.assertIs(self.do(self.store.delete("a/b")), True)
        self.assertIs(self.do(self.store.delete("a/b")), False)
        self.assertIsNone(self.do(self.store.stat("a/b")))

        self.do(self.store.put("a/b", self.stage(b"back")))
        self.assertEqual(self.content("a/b"), b"back")

    def test_delete_at_once(self) -> None:
        """Of many who delete one object at the same time, exactly one has done it."""
        self.do(self.store.put_bytes("a", b"bytes"))

        done = self.do(*(self.store.delete("a") for _ in range(5)))

        self.assertEqual(sorted(done), [False, False, False, False, True])

    def test_delete_leaves_its_neighbours(self) -> None:
        """Only the key itself is deleted, not one that begins like it."""
        self.do(*(self.store.put_bytes(key, b"bytes") for key in ("a/b", "a/b-c", "a/bc")))

        self.do(self.store.delete("a/b"))

        self.assertEqual(self.names("a"), [Entry("b-c", False), Entry("bc", False)])

    # -- list and version --

    def test_list(self) -> None:
        """A list has what stands directly under the prefix: each name once, and whether names are below it."""
        keys = ["r/a", "r/b/c", "r/b/d", "r/e.json", "r/b-x/y/z", "rr/a"]
        self.do(*(self.store.put_bytes(key, b"") for key in keys))

        self.assertEqual(
            self.names("r"), [Entry("a", False), Entry("b", True), Entry("b-x", True), Entry("e.json", False)]
        )
        self.assertEqual(self.names("r/b"), [Entry("c", False), Entry("d", False)])

    def test_list_everything(self) -> None:
        """The empty prefix is the top of the store."""
        self.do(self.store.put_bytes("a/b", b""), self.store.put_bytes("c", b""))

        self.assertLessEqual({Entry("a", True), Entry("c", False)}, set(self.names("")))

    def test_version(self) -> None:
        """An object's version is equal as long as the object is the same, and another once it was replaced."""
        self.do(self.store.put_bytes("a", b"bytes"))
        before = self.store.version("a")
        self.assertIsNotNone(before)
        self.assertEqual(self.store.version("a"), before)

        self.do(self.store.put_bytes("a", b"other"))
        self.assertNotEqual(self.store.version("a"), before)

        self.do(self.store.delete("a"))
        self.assertIsNone(self.store.version("a"))
