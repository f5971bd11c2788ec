"""The blobs of repositories: what is in one is not in another, and equal bytes are one file."""

from __future__ import annotations

import os

from pkgd.errors import UnknownBlob
from pkgd.formats.digest import Digest
from pkgd.formats.names import Origin, Repository, RepositoryName
from pkgd.storage.layout import blob_key, directory
from tests.fixtures import HeldBlocking
from tests.registry.fixtures import APP, OTHER, Registry, RegistryCase

HELLO = Digest.of(b"hello")
UPSTREAM = Origin("docker.io", RepositoryName("library/app"))


class ReadTests(RegistryCase):
    """What a repository has."""

    def test_present(self) -> None:
        """A pushed blob has its size and its bytes."""
        self.do(self.registry.push_blob(APP, b"hello"))

        self.assertEqual(self.do(self.registry.blobs.size(APP, HELLO)), 5)
        self.assertIs(self.do(self.registry.blobs.has(APP, HELLO)), True)
        reader = self.do(self.registry.blobs.open(APP, HELLO))
        self.addCleanup(reader.close)
        self.assertEqual(reader.read_at(0, 10), b"hello")

    def test_absent(self) -> None:
        """What was not pushed is unknown."""
        self.assertEqual(self.refusal(self.registry.blobs.size(APP, HELLO), UnknownBlob).what, str(HELLO))
        self.refusal(self.registry.blobs.open(APP, HELLO), UnknownBlob)
        self.assertIs(self.do(self.registry.blobs.has(APP, HELLO)), False)

    def test_of_another_repository(self) -> None:
        """A blob of another repository is unknown here: who may read that one is another question."""
        self.do(self.registry.push_blob(OTHER, b"hello"))

        self.refusal(self.registry.blobs.open(APP, HELLO), UnknownBlob)
        self.refusal(self.registry.blobs.open(RepositoryName("other/app"), HELLO), UnknownBlob)

    def test_other_algorithm(self) -> None:
        """A blob is known by the digest it was pushed under, and by no other of the same bytes."""
        self.do(self.registry.push_blob(APP, b"hello"))

        self.refusal(self.registry.blobs.size(APP, Digest.of(b"hello", "sha512")), UnknownBlob)

    def test_tree_from_before_the_escape(self) -> None:
        """In an old tree a name with a part called `blobs` stands as it is, and is read there."""
        name = RepositoryName("team/blobs/app")
        self.write(blob_key("team/blobs/app", HELLO), b"hello")
        world = self.do(self.registry.push_blob(name, b"world"))

        self.assertEqual(self.do(self.registry.blobs.size(name, HELLO)), 5)
        self.assertEqual(self.do(self.registry.blobs.size(name, world)), 5)
        self.assertTrue(os.path.exists(self.path(blob_key("team/=blobs/app", world))))


class DeleteTests(RegistryCase):
    """What goes, and what stays."""

    def test_delete(self) -> None:
        """A deleted blob is gone from this repository at once, and stays in others that have it."""
        self.do(self.registry.push_blob(APP, b"hello"))
        self.do(self.registry.push_blob(OTHER, b"hello"))

        self.do(self.registry.blobs.delete(APP, HELLO))

        self.refusal(self.registry.blobs.open(APP, HELLO), UnknownBlob)
        self.assertEqual(self.do(self.registry.blobs.size(OTHER, HELLO)), 5)
        self.assertEqual(self.do(self.registry.blobs.holders(HELLO)), [OTHER])

    def test_delete_unknown(self) -> None:
        """What is not here cannot be deleted, nor deleted twice."""
        self.refusal(self.registry.blobs.delete(APP, HELLO), UnknownBlob)
        self.do(self.registry.push_blob(APP, b"hello"))
        self.do(self.registry.blobs.delete(APP, HELLO))
        self.refusal(self.registry.blobs.delete(APP, HELLO), UnknownBlob)

    def test_delete_where_it_stands_twice(self) -> None:
        """A blob that an old tree has too does not show through when the new one is deleted."""
        name = RepositoryName("team/blobs/app")
        self.write(blob_key("team/blobs/app", HELLO), b"hello")
        self.write(blob_key("team/=blobs/app", HELLO), b"hello")

        self.do(self.registry.blobs.delete(name, HELLO))

        self.refusal(self.registry.blobs.size(name, HELLO), UnknownBlob)

    def test_push_after_delete(self) -> None:
        """What was deleted can be pushed again."""
        self.do(self.registry.push_blob(APP, b"hello"))
        self.do(self.registry.blobs.delete(APP, HELLO))

        self.do(self.registry.push_blob(APP, b"hello"))

        self.assertEqual(self.read(blob_key(APP, HELLO)), b"hello")


class SharingTests(RegistryCase):
    """Equal bytes in several repositories."""

    def inode(self, name: str) -> int:
        """The file that is the blob."""
        return os.stat(self.path(blob_key(name, HELLO))).st_ino

    def test_mount(self) -> None:
        """A mounted blob is the same file, and outlives the one it came from."""
        self.do(self.registry.push_blob(OTHER, b"hello"))

        self.assertIs(self.do(self.registry.blobs.mount(APP, HELLO, OTHER)), True)

        self.assertEqual(self.inode(APP), self.inode(OTHER))
        self.do(self.registry.blobs.delete(OTHER, HELLO))
        self.assertEqual(self.read(blob_key(APP, HELLO)), b"hello")

    def test_mount_from_one_that_has_it_not(self) -> None:
        """What the named source has not is not mounted, though a third repository has it."""
        self.do(self.registry.push_blob(RepositoryName("third"), b"hello"))

        self.assertIs(self.do(self.registry.blobs.mount(APP, HELLO, OTHER)), False)

        self.assertIs(self.do(self.registry.blobs.has(APP, HELLO)), False)

    def test_mount_from_an_old_tree(self) -> None:
        """A blob of a tree from before the escape can be mounted."""
        self.write(blob_key("a/manifests", HELLO), b"hello")

        self.assertIs(self.do(self.registry.blobs.mount(APP, HELLO, RepositoryName("a/manifests"))), True)

        self.assertEqual(self.read(blob_key(APP, HELLO)), b"hello")

    def test_holders(self) -> None:
        """Pushes and mounts are known, so that an anonymous mount finds them."""
        self.do(self.registry.push_blob(OTHER, b"hello"))
        self.do(self.registry.blobs.mount(APP, HELLO, OTHER))

        self.assertEqual(sorted(self.do(self.registry.blobs.holders(HELLO))), [OTHER, APP])

    def test_equal_push(self) -> None:
        """Equal bytes pushed to another repository take no space: it is the same file, and no upload is left."""
        self.do(self.registry.push_blob(OTHER, b"hello"))

        self.do(self.registry.push_blob(APP, b"hello"))

        self.assertEqual(self.inode(APP), self.inode(OTHER))
        self.assertEqual(self.registry.place.spool.uploads(), [])

    def test_equal_pushes_at_the_same_time(self) -> None:
        """Of two pushes that end in the same moment the second finds the first one's file."""
        blocking = HeldBlocking()
        self.registry = Registry(self.mktemp(), blocking=blocking)
        pushes = [self.begin(self.registry.push_blob(name, b"hello")) for name in (APP, OTHER)]

        while blocking.release():
            pass

        self.assertEqual([self.successResultOf(push) for push in pushes], [HELLO, HELLO])
        self.assertEqual(self.inode(APP), self.inode(OTHER))

    def test_equal_push_without_index(self) -> None:
        """Where the index does not know of the other, the bytes are stored a second time."""
        self.do(self.registry.push_blob(OTHER, b"hello"))
        self.registry = self.registry.restarted()

        self.do(self.registry.push_blob(APP, b"hello"))

        self.assertNotEqual(self.inode(APP), self.inode(OTHER))
        self.assertEqual(self.read(blob_key(APP, HELLO)), b"hello")

    def test_holder_that_has_it_no_more(self) -> None:
        """The index may be wrong about a holder: then the pushed bytes are stored."""
        self.do(self.registry.push_blob(OTHER, b"hello"))
        os.unlink(self.path(blob_key(OTHER, HELLO)))

        self.do(self.registry.push_blob(APP, b"hello"))

        self.assertEqual(self.read(blob_key(APP, HELLO)), b"hello")

    def test_holder_with_a_damaged_file(self) -> None:
        """A file that has lost its end is not shared."""
        self.do(self.registry.push_blob(OTHER, b"hello"))
        self.write(blob_key(OTHER, HELLO), b"hell")

        self.do(self.registry.push_blob(APP, b"hello"))

        self.assertEqual(self.read(blob_key(APP, HELLO)), b"hello")

    def test_push_mends(self) -> None:
        """A push heals a file that has lost its end, whether its bytes are stored or linked."""
        self.write(blob_key(APP, HELLO), b"hell")
        self.do(self.registry.push_blob(APP, b"hello"))
        self.assertEqual(self.read(blob_key(APP, HELLO)), b"hello")

        self.write(blob_key(OTHER, HELLO), b"hell")
        self.do(self.registry.push_blob(OTHER, b"hello"))
        self.assertEqual(self.read(blob_key(OTHER, HELLO)), b"hello")

    def test_equal_push_to_an_old_tree(self) -> None:
        """Equal bytes are linked from where an old tree has them, once it has been read."""
        name = RepositoryName("a/blobs")
        self.write(blob_key("a/blobs", HELLO), b"hello")
        self.do(self.registry.contents.ensure_known(name, self.registry.locks))

        self.do(self.registry.push_blob(APP, b"hello"))

        self.assertEqual(self.inode(APP), self.inode("a/blobs"))


class UpstreamTests(RegistryCase):
    """Blobs of upstream repositories, beside hosted ones."""

    def keep(self, name: Repository, data: bytes) -> bool:
        """Add a blob as the mirror does; returns whether its file was consumed."""
        self.kept = getattr(self, "kept", 0) + 1
        return self.do(
            self.registry.blobs.add(name, Digest.of(data), self.registry.place.stage(data, f"{self.kept:032}"))
        )

    def inode(self, name: Repository) -> int:
        """The file that is the blob."""
        return os.stat(self.path(blob_key(directory(name), HELLO))).st_ino

    def test_read(self) -> None:
        """An upstream's blob is read like any other, and stands in its own tree."""
        self.assertIs(self.keep(UPSTREAM, b"hello"), True)

        self.assertEqual(self.do(self.registry.blobs.size(UPSTREAM, HELLO)), 5)
        reader = self.do(self.registry.blobs.open(UPSTREAM, HELLO))
        self.addCleanup(reader.close)
        self.assertEqual(reader.read_at(0, 10), b"hello")
        self.assertEqual(self.read(f"__mirror__/docker.io/library/app/blobs/{HELLO.encoded}"), b"hello")

    def test_bytes_elsewhere(self) -> None:
        """A hosted repository and an upstream's, or two hosts', answer nothing for one another."""
        name = RepositoryName("library/app")
        self.do(self.registry.push_blob(APP, b"hosted"))
        self.keep(UPSTREAM, b"hello")

        self.refusal(self.registry.blobs.open(UPSTREAM, Digest.of(b"hosted")), UnknownBlob)
        self.refusal(self.registry.blobs.size(UPSTREAM, Digest.of(b"hosted")), UnknownBlob)
        for other in (name, RepositoryName("docker.io/library/app"), Origin("ghcr.io", name)):
            self.refusal(self.registry.blobs.open(other, HELLO), UnknownBlob)
            self.refusal(self.registry.blobs.delete(other, HELLO), UnknownBlob)

    def test_one_file(self) -> None:
        """Equal bytes are one file, whether they were pushed first or fetched first."""
        self.do(self.registry.push_blob(APP, b"hello"))
        self.assertIs(self.keep(UPSTREAM, b"hello"), False)
        self.assertEqual(self.inode(UPSTREAM), self.inode(APP))

        self.do(self.registry.blobs.delete(APP, HELLO))
        self.do(self.registry.push_blob(OTHER, b"hello"))
        self.assertEqual(self.inode(OTHER), self.inode(UPSTREAM))

    def test_no_mount_from_an_upstream(self) -> None:
        """Only hosted repositories are offered for a mount."""
        self.keep(UPSTREAM, b"hello")
        self.assertEqual(self.do(self.registry.blobs.holders(HELLO)), [])

        self.do(self.registry.push_blob(APP, b"hello"))
        self.assertEqual(self.do(self.registry.blobs.holders(HELLO)), [APP])

    def test_escaped(self) -> None:
        """Names with reserved parts are linked from and to where they stand, and are offered under their names."""
        hosted, upstream = RepositoryName("a/blobs"), Origin("docker.io", RepositoryName("b/manifests"))
        self.do(self.registry.push_blob(hosted, b"hello"))

        self.assertIs(self.keep(upstream, b"hello"), False)

        self.assertEqual(self.inode(upstream), self.inode(hosted))
        self.assertEqual(self.do(self.registry.blobs.holders(HELLO)), [hosted])

    def test_delete(self) -> None:
        """A deleted blob is gone from the upstream's repository, and is linked from there no more."""
        self.keep(UPSTREAM, b"hello")

        self.do(self.registry.blobs.delete(UPSTREAM, HELLO))

        self.refusal(self.registry.blobs.size(UPSTREAM, HELLO), UnknownBlob)
        self.refusal(self.registry.blobs.delete(UPSTREAM, HELLO), UnknownBlob)
        self.assertEqual(self.successResultOf(self.registry.index.holders(str(HELLO))), [])

    def test_delete_waits_for_the_place(self) -> None:
        """A delete holds the lock of the place, which writers hold, too."""
        self.keep(UPSTREAM, b"hello")
        lock = self.registry.locks.holding(directory(UPSTREAM))
        self.do(lock.__aenter__())

        deleting = self.begin(self.registry.blobs.delete(UPSTREAM, HELLO))

        self.assertNoResult(deleting)
        self.do(lock.__aexit__(None, None, None))
        self.assertIsNone(self.successResultOf(deleting))
