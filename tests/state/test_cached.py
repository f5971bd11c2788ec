"""What is needed by what, what may go, and how large it all is."""

from __future__ import annotations

import tempfile

from hypothesis import given
from hypothesis import strategies as st

from pkgd.state import Cached, Group, Ledger
from tests.cached import PLACES, World, uses, worlds
from tests.fixtures import inline_database
from tests.properties import brief
from tests.state.fixtures import StateCase

A, B, C = PLACES


class GroupTests(StateCase):
    """Roots, and what goes with them."""

    def add(self, place: str, digest: str, used: float, *needs: str, manifest: bool = False, size: int = 1) -> None:
        """Cache something; what needs something is a manifest."""
        self.get(self.ledger.add(Cached(place, digest, manifest or bool(needs), size, used), needs))

    def roots(self) -> list[tuple[float, str]]:
        """The roots in order, each with its last use."""
        return [(root.used, root.digest) for root in self.get(self.ledger.roots())]

    def group(self, digest: str, place: str = A) -> Group:
        """A group that there is."""
        found: Group = self.get(self.ledger.group(place, digest))
        return found

    def test_image(self) -> None:
        """A manifest goes with its blobs, in whatever order they came."""
        self.add(A, "config", 1)
        self.add(A, "image", 2, "config", "layer")
        self.add(A, "layer", 3)

        self.assertEqual(self.roots(), [(3, "image")])
        group = self.group("image")
        self.assertEqual([one.digest for one in group.manifests], ["image"])
        self.assertEqual(sorted(one.digest for one in group.blobs), ["config", "layer"])

    def test_index(self) -> None:
        """An index goes with its images; one that was never pulled belongs to the group all the same."""
        self.add(A, "index", 1, "arm", "amd")
        self.add(A, "amd", 1, "layer")
        self.add(A, "layer", 1)

        group = self.group("index")

        self.assertEqual(group.digests, {"index", "arm", "amd", "layer"})
        self.assertEqual([one.digest for one in group.manifests], ["index", "amd"])

    def test_parents_first(self) -> None:
        """A manifest stands before all that it needs, on whichever way."""
        self.add(A, "top", 1, "bottom", "middle")
        self.add(A, "middle", 1, "bottom")
        self.add(A, "bottom", 1, "layer")

        self.assertEqual([one.digest for one in self.group("top").manifests], ["top", "middle", "bottom"])

    def test_shared(self) -> None:
        """What another manifest of the place needs, too, does not go."""
        for image in ("one", "two"):
            self.add(A, image, 1, "base", image + "-layer")
            self.add(A, image + "-layer", 1)
        self.add(A, "base", 1)

        self.assertEqual([one.digest for one in self.group("one").blobs], ["one-layer"])

    def test_shared_image(self) -> None:
        """What an image needs that does not go stays as well."""
        self.add(A, "one", 1, "image", "other")
        self.add(A, "two", 1, "image")
        self.add(A, "image", 1, "layer")
        self.add(A, "layer", 1)

        group = self.group("one")

        self.assertEqual([one.digest for one in group.manifests], ["one"])
        self.assertEqual(group.blobs, ())

    def test_places_are_apart(self) -> None:
        """What one place needs is nothing to another."""
        self.add(A, "image", 1, "layer")
        self.add(B, "layer", 2)

        self.assertEqual(self.roots(), [(1, "image"), (2, "layer")])

    def test_no_root(self) -> None:
        """What is needed, or not there, has no group."""
        self.add(A, "image", 1, "layer")
        self.add(A, "layer", 1)

        self.assertIsNone(self.group("layer"))
        self.assertIsNone(self.group("absent"))
        self.assertIsNone(self.group("image", B))

    def test_orphan(self) -> None:
        """With the last manifest that needs it gone, a blob stands for itself."""
        self.add(A, "image", 5, "layer")
        self.add(A, "layer", 1)

        self.get(self.ledger.remove(A, ["image"]))

        self.assertEqual(self.roots(), [(1, "layer")])

    def test_both(self) -> None:
        """A manifest that was pulled as a blob, too, is one thing: it is used, needed and removed as one."""
        self.add(A, "image", 1, "layer")
        self.add(A, "image", 2)
        self.ledger.touch(A, "image", 3)
        self.get(self.ledger.flush())

        group = self.group("image")

        self.assertEqual([one.is_manifest for one in (*group.manifests, *group.blobs)], [True, False])
        self.assertEqual(group.root.used, 3)
        self.get(self.ledger.remove(A, ["image"]))
        self.assertEqual(self.roots(), [])

    def test_one_of_both(self) -> None:
        """Just the manifest may go, and the blob of the same digest stays."""
        self.add(A, "image", 1, manifest=True, size=5)
        self.add(A, "image", 1, size=5)

        self.get(self.ledger.remove_all([Cached(A, "image", True, 5, 1)]))

        self.assertEqual(self.get(self.ledger.page(None, 9)), [Cached(A, "image", False, 5, 1)])

    def test_added_again(self) -> None:
        """What comes in again is counted once, and its last use counts."""
        self.add(A, "image", 5, "layer", size=7)
        self.add(A, "layer", 1)
        self.add(A, "image", 2, "layer", size=8)

        self.assertEqual(self.roots(), [(5, "image")])
        self.assertEqual(self.get(self.ledger.total()), 9)

    def test_use_passes_up(self) -> None:
        """Use of a layer keeps every image that has it, on every level."""
        self.add(A, "index", 1, "image")
        self.add(A, "image", 1, "layer")
        self.add(A, "layer", 1)
        self.add(A, "other", 2)

        self.ledger.touch(A, "layer", 3)
        self.get(self.ledger.flush())

        self.assertEqual(self.roots(), [(2, "other"), (3, "index")])


class TotalTests(StateCase):
    """How large the cache is."""

    def test_equal_bytes(self) -> None:
        """The same object in several places is one file, and counts once; and once for each host."""
        for place in (A, B, C):
            self.get(self.ledger.add(Cached(place, "layer", False, 10, 1)))
        self.get(self.ledger.add(Cached(C, "other", False, 5, 1)))

        self.assertEqual(self.get(self.ledger.total()), 15)
        self.assertEqual(self.get(self.ledger.by_host()), {"docker.io": 10, "ghcr.io": 15})

        self.get(self.ledger.remove(A, ["layer"]))
        self.get(self.ledger.remove(C, ["layer"]))
        self.assertEqual(self.get(self.ledger.total()), 15)
        self.assertEqual(self.get(self.ledger.by_host()), {"docker.io": 10, "ghcr.io": 5})

        self.get(self.ledger.remove(B, ["layer"]))
        self.assertEqual(self.get(self.ledger.total()), 5)
        self.assertEqual(self.get(self.ledger.by_host()), {"ghcr.io": 5})

    def test_hosts_with_like_names(self) -> None:
        """A host is not taken for another that its name begins with."""
        for host in ("a.io.b", "a.io-b", "a.io0", "a.io", "a.i"):
            self.get(self.ledger.add(Cached(f"__mirror__/{host}/x", "layer", False, 10, 1)))

        self.assertEqual(set(self.get(self.ledger.by_host()).values()), {10})
        self.assertEqual(len(self.get(self.ledger.by_host())), 5)


class PropertyTests(StateCase):
    """Whatever comes, is used and goes."""

    @brief
    @given(st.data())
    def test_agrees_with_the_model(self, data: st.DataObject) -> None:
        """Order, groups and totals are what a simple computation says, as groups come and go."""
        with tempfile.TemporaryDirectory() as directory:
            database = inline_database(f"{directory}/index.sqlite")
            try:
                self.ledger = Ledger(database)
                world = data.draw(worlds())
                for _ in range(3):
                    self.happen(world, data)
                    self.assert_agrees(world)
                    self.remove_some_group(world, data)
                    self.assert_agrees(world)
            finally:
                database._pool.close()

    def happen(self, world: World, data: st.DataObject) -> None:
        """Let things come in, and be used."""
        for use in data.draw(uses(world)):
            thing = world.things[use.digest]
            if (use.place, use.digest) in world.cached:
                self.ledger.touch(use.place, use.digest, use.time)
            else:
                self.get(self.ledger.flush())
                cached = Cached(use.place, use.digest, thing.is_manifest, thing.size, use.time)
                self.get(self.ledger.add(cached, thing.needs))
            world.use(use)
        self.get(self.ledger.flush())

    def remove_some_group(self, world: World, data: st.DataObject) -> None:
        """Let a group go, if there is any."""
        queue = world.queue()
        if queue:
            _, place, root = data.draw(st.sampled_from(queue))
            group = self.get(self.ledger.group(place, root))
            self.get(self.ledger.remove_all([*group.manifests, *group.blobs]))
            world.drop(place, root)

    def assert_agrees(self, world: World) -> None:
        """The ledger says what the model says."""
        queue = world.queue()
        self.assertEqual([(one.used, one.place, one.digest) for one in self.get(self.ledger.roots())], queue)
        for last_use, place, root in queue:
            group = self.get(self.ledger.group(place, root))
            self.assertEqual(group.root.used, last_use)
            self.assertEqual(group.digests, world.closure(place, root))
            gone = [one.digest for one in (*group.manifests, *group.blobs)]
            self.assertEqual(sorted(gone), sorted(world.alone(place, root)))
            for position, digest in enumerate(gone):
                self.assertFalse(set(world.things[digest].needs) & set(gone[:position]))
        self.assertEqual(self.get(self.ledger.total()), world.total())
        hosts = {host: world.total(f"__mirror__/{host}/") for host in ("docker.io", "ghcr.io")}
        self.assertEqual(self.get(self.ledger.by_host()), {host: count for host, count in hosts.items() if count})
