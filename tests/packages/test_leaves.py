"""Ordered maps cut into leaves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import FailedStorage
from pkgd.packages.aptindices import StanzaShape
from pkgd.packages.building import Builder
from pkgd.packages.indices import Index, read_index
from pkgd.packages.layout import index_key, leaf_key
from pkgd.packages.leaves import LEAST, MOST, MOST_BYTES, Key, make_leaves, parse, rows_of
from pkgd.packages.rpmindices import FragmentShape
from pkgd.packages.shelf import Shelf
from tests.packages.fixtures import Ground, result
from tests.properties import brief

_SHAPE = StanzaShape(("gz",))


def _key(number: int) -> Key:
    return f"p{number:05}", "1", "amd64"


def _stanza(key: Key, size: int = 0) -> bytes:
    name, version, architecture = key
    return (
        f"Package: {name}\nArchitecture: {architecture}\nVersion: {version}\nFilename: {name}\nText: {'x' * size}\n\n"
    ).encode()


_CHANGES = st.lists(
    st.dictionaries(st.integers(0, 2000), st.booleans(), max_size=5)
    | st.builds(
        lambda start, size, kept: dict.fromkeys(range(start, start + size), kept),
        st.integers(0, 1500),
        st.integers(0, 600),
        st.booleans(),
    ),
    max_size=6,
)


class LeafTests(SynchronousTestCase):
    """Where leaves are cut."""

    def test_leaves_are_neither_large_nor_unequal(self) -> None:
        """However many entries come at once."""
        for count in (1, MOST, MOST + 1, 5000):
            edits = {_key(number): (_stanza(_key(number)),) for number in range(count)}
            made = make_leaves(_SHAPE, 1, [], edits)
            counts = [one.leaf.count for one in made]
            self.assertEqual(sum(counts), count)
            self.assertLessEqual(max(counts), MOST)
            self.assertLessEqual(max(counts) - min(counts), 1)

    def test_long_texts_make_small_leaves(self) -> None:
        """A leaf of one entry may be of any size."""
        edits = {_key(number): (_stanza(_key(number), MOST_BYTES // 2),) for number in range(4)}
        made = make_leaves(_SHAPE, 1, [], edits)
        self.assertEqual([one.leaf.count for one in made], [1, 1, 1, 1])

    def test_parts_that_do_not_fit_are_damaged(self) -> None:
        """What one part says of a package has to be in the others, too."""
        with self.assertRaises(FailedStorage):
            rows_of(FragmentShape(("gz",)), [b"", b"<package></package>\n", b""])

    def test_what_is_no_stanza_is_damage(self) -> None:
        """It isn't read as if it were one."""
        with self.assertRaises(FailedStorage):
            parse(_SHAPE, [(b"Package: a\n\n",)])


class BuilderTests(SynchronousTestCase):
    """One index after the other."""

    @brief
    @given(_CHANGES)
    def test_an_index_is_the_map_it_should_be(self, changes: list[dict[int, bool]]) -> None:
        """After any edits: its entries, their order, the sizes of its leaves, and hashes as if made at once."""
        ground = Ground(self.mktemp())
        shelf = Shelf("base", ground.store, ground.blocking)
        builder, index = Builder(shelf), None
        wanted: dict[Key, bytes] = {}
        for number, change in enumerate(changes, 1):
            edits = {_key(one): (_stanza(_key(one)),) if kept else None for one, kept in change.items()}
            index = self.built(ground, shelf, builder, index, edits, number)
            for key, texts in edits.items():
                if texts is None:
                    wanted.pop(key, None)
                else:
                    wanted[key] = texts[0]
            entries = [entry for leaf in index.leaves for entry in parse(_SHAPE, result(shelf.rows(_SHAPE, leaf)))]
            self.assertEqual([(key, texts[0]) for key, texts in entries], sorted(wanted.items()))
            self.assertTrue(
                all(leaf.first == _SHAPE.key(result(shelf.rows(_SHAPE, leaf))[0][0]) for leaf in index.leaves)
            )
            fresh = result(Builder(shelf).build("slot", _SHAPE, index, {}, number)).index
            self.assertEqual(fresh.files, index.files)

    def built(
        self, ground: Ground, shelf: Shelf, builder: Builder, base: Index | None, edits: dict, number: int
    ) -> Index:
        """The next index, stored and read again."""
        built = result(builder.build("slot", _SHAPE, base, edits, number))
        for (name, form), data in built.files.items():
            if form:
                result(ground.store.put_bytes(leaf_key("base", name, form), data))
        result(ground.store.put_bytes(index_key("base", built.index.name), built.document))
        self.assertEqual(read_index(built.index.name, built.document), built.index)
        return built.index

    def test_memory_is_not_needed(self) -> None:
        """Without room for them, leaves that were there are read from the store, and new ones are at hand."""
        indices = []
        for room in (0, 5000, 1 << 20):
            ground = Ground(self.mktemp())
            shelf = Shelf("base", ground.store, ground.blocking, room)
            builder, index = Builder(shelf), None
            for number in range(1, 5):
                edits = {_key(one): (_stanza(_key(one), number),) for one in range(0, 1000, number)}
                index = self.built(ground, shelf, builder, index, edits, number)
            indices.append(index)
        self.assertEqual(indices[1:], indices[:-1])

    def test_an_edit_makes_one_leaf(self) -> None:
        """All others are those that were there."""
        ground = Ground(self.mktemp())
        shelf = Shelf("base", ground.store, ground.blocking)
        builder = Builder(shelf)
        edits = {_key(number): (_stanza(_key(number)),) for number in range(2000)}
        index = self.built(ground, shelf, builder, None, edits, 1)
        key = ("p01000", "2", "amd64")
        built = result(builder.build("slot", _SHAPE, index, {key: (_stanza(key),)}, 2))
        self.assertEqual(len(set(built.index.leaves) - set(index.leaves)), 1)
        self.assertEqual({name.partition("-")[0] for name, _ in built.files}, {"2"})

    def test_what_has_no_room_in_memory_is_published(self) -> None:
        """However much is new at once, and however full the memory is of what was there before."""
        ground = Ground(self.mktemp())
        shelf = Shelf("base", ground.store, ground.blocking, room=100)
        builder = Builder(shelf)
        edits = {_key(number): (_stanza(_key(number)),) for number in range(2000)}
        index = self.built(ground, shelf, builder, None, edits, 1)
        key = ("p01000", "2", "amd64")
        index = self.built(ground, shelf, builder, index, {key: (_stanza(key),)}, 2)
        other = StanzaShape(("gz", "zst"))
        self.assertEqual(result(builder.build("slot", other, index, {}, 3)).index.count, 2001)

    def test_small_leaves_are_joined(self) -> None:
        """So that removals don't leave a repository of crumbs."""
        ground = Ground(self.mktemp())
        shelf = Shelf("base", ground.store, ground.blocking)
        builder = Builder(shelf)
        edits = {_key(number): (_stanza(_key(number)),) for number in range(2000)}
        index = self.built(ground, shelf, builder, None, edits, 1)
        for number in range(1900):
            if number % 20:
                index = self.built(ground, shelf, builder, index, {_key(number): None}, number + 2)
        self.assertLessEqual(len(index.leaves), index.count // LEAST + 1)

    def test_a_damaged_index_is_not_believed(self) -> None:
        """Its name says what it was."""
        ground = Ground(self.mktemp())
        shelf = Shelf("base", ground.store, ground.blocking)
        built = result(Builder(shelf).build("slot", _SHAPE, None, {}, 1))
        with self.assertRaises(FailedStorage):
            read_index(built.index.name, built.document + b" ")
