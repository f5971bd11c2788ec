"""Tests of what the mirror's crash tests say of a disk: they must see what an eviction has torn apart."""

from __future__ import annotations

import os
import random
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.bench.upstream import Upstream
from tests.crash.layout import Tree
from tests.crash.mirror.catalogue import Catalogue, Place
from tests.crash.mirror.disk import is_whole, needs, torn, used_bytes

_PLACE = Place("docker.io", "library/base")


class TornTests(SynchronousTestCase):
    """Images that lost a part of what they had."""

    def setUp(self) -> None:
        """An image of two layers, all of it on disk."""
        self.catalogue = Catalogue({"docker.io": Upstream(1)}, ["library/base"], 128 << 10, random.Random(0))
        layers = [self.catalogue.content(10), self.catalogue.content(20)]
        self.image = self.catalogue.put((_PLACE, "v1"), layers)
        self.own = (_PLACE.directory, self.image.manifest.digest)
        self.tree = Tree(blobs=set(needs(_PLACE, self.image)), manifests={self.own})

    def without_a_layer(self) -> Tree:
        """The same disk, one layer gone."""
        return Tree(blobs=set(list(self.tree.blobs)[1:]), manifests={self.own})

    def faults(self, before: Tree, after: Tree, fetched: bool = False) -> int:
        """How many manifests have been torn."""
        return len(torn(before, after, self.catalogue, {self.own} if fetched else set()))

    def test_nothing_lost(self) -> None:
        """A disk that has not changed has nothing torn, and the image is whole."""
        self.assertEqual(self.faults(self.tree, self.tree), 0)
        self.assertTrue(is_whole(self.tree, _PLACE, self.image))

    def test_layer_lost(self) -> None:
        """A manifest kept without a layer that it had is torn."""
        self.assertEqual(self.faults(self.tree, self.without_a_layer()), 1)
        self.assertFalse(is_whole(self.without_a_layer(), _PLACE, self.image))

    def test_all_gone(self) -> None:
        """Layers that stay behind without their manifest harm nobody."""
        self.assertEqual(self.faults(self.tree, Tree(blobs=set(self.tree.blobs))), 0)

    def test_layer_never_there(self) -> None:
        """What was not there before has not been lost."""
        self.assertEqual(self.faults(self.without_a_layer(), self.without_a_layer()), 0)

    def test_fetched_in_between(self) -> None:
        """A manifest that came anew may be there before its layers are."""
        self.assertEqual(self.faults(self.tree, self.without_a_layer(), fetched=True), 0)


class SizeTests(SynchronousTestCase):
    """How much a tree takes."""

    def test_links_count_once(self) -> None:
        """Two names of one file are one file."""
        root = Path(self.mktemp())
        (root / "a").mkdir(parents=True)
        (root / "a" / "one").write_bytes(bytes(10))
        os.link(root / "a" / "one", root / "a" / "two")

        self.assertEqual(used_bytes(root, "a", "absent"), 10)
