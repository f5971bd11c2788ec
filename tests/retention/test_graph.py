"""What holds a manifest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.formats.digest import Digest
from pkgd.registry.naming import Naming
from pkgd.retention.graph import Graph, is_attached
from tests.properties import bounded

A, B, C, D = (str(Digest.of(one)) for one in (b"a", b"b", b"c", b"d"))

# Manifests that name some of those before them, the last of these perhaps as their subject.
_ALL = [str(Digest.of(bytes([number]))) for number in range(8)]
worlds = st.lists(
    st.tuples(st.sets(st.integers(0, 7), max_size=3), st.booleans(), st.booleans()), min_size=1, max_size=8
)


def naming(digest: str, *names: str, subject: str | None = None) -> Naming:
    """A manifest."""
    return Naming(digest, frozenset([*names, *([subject] if subject else [])]), subject)


def attached(digest: str, suffix: str = ".sig") -> str:
    """The tag by which something is attached to a manifest."""
    return digest.replace(":", "-") + suffix


class KeptTests(SynchronousTestCase):
    """What stays."""

    def unkept(self, manifests: list[Naming], tags: dict[str, str], *young: str) -> list[str]:
        """What does not."""
        return Graph.of(manifests, tags).unkept(young)

    def test_tags(self) -> None:
        """A tag holds its manifest, what that names, and what that names."""
        manifests = [naming(A, B), naming(B, C), naming(C), naming(D)]

        self.assertEqual(self.unkept(manifests, {"v1": A}), [D])

    def test_young(self) -> None:
        """So does whatever else holds a manifest."""
        self.assertEqual(self.unkept([naming(A, B), naming(B), naming(C)], {}, A), [C])

    def test_referrers(self) -> None:
        """A referrer stays with its subject, and a subject with its referrer."""
        manifests = [naming(A), naming(B, subject=A)]

        self.assertEqual((self.unkept(manifests, {"v1": A}), self.unkept(manifests, {"v1": B})), ([], []))

    def test_parents(self) -> None:
        """What an index names does not hold the index."""
        self.assertEqual(self.unkept([naming(A, B), naming(B)], {"v1": B}), [A])

    def test_attached(self) -> None:
        """A signature's tag holds nothing, neither its manifest nor its subject; it goes with its subject."""
        manifests = [naming(A), naming(B)]

        for suffix in ("", ".sig", ".att"):
            self.assertEqual(self.unkept(manifests, {attached(A, suffix): B, "v1": A}), [])
            self.assertEqual(self.unkept(manifests, {attached(A, suffix): B}), [B, A])

    def test_attached_elsewhere(self) -> None:
        """Where there is no such subject, signatures may be kept in a repository of their own: they stay."""
        self.assertEqual(self.unkept([naming(B)], {attached(A): B}), [])

    def test_two_tags(self) -> None:
        """One that is held by another tag, too, stays, and its subject with it."""
        self.assertEqual(self.unkept([naming(A), naming(B)], {attached(A): B, "mine": B}), [])

    def test_absent(self) -> None:
        """What is named, tagged or a subject, and not here, is nobody's concern."""
        self.assertEqual(self.unkept([naming(A, B, subject=C)], {"v1": A, "v2": D}), [])

    @given(worlds)
    @bounded
    def test_closed(self, world: list[tuple[set[int], bool, bool]]) -> None:
        """Nothing goes that a manifest which stays names, nor whose subject stays; and parents go first."""
        manifests, tags = [], {}
        for number, (named, is_referrer, is_tagged) in enumerate(world):
            below = sorted(_ALL[one] for one in named if one < number)
            manifests.append(naming(_ALL[number], *below, subject=below[-1] if below and is_referrer else None))
            if is_tagged:
                tags[f"v{number}"] = _ALL[number]

        unkept = self.unkept(manifests, tags)

        for one in manifests:
            is_kept = one.digest not in unkept
            self.assertTrue(is_kept or one.digest not in tags.values())
            for name in one.names:
                self.assertFalse(is_kept and name in unkept)
                if not is_kept and name in unkept:
                    self.assertLess(unkept.index(one.digest), unkept.index(name))
            self.assertFalse(one.subject is not None and one.subject not in unkept and not is_kept)


class AttachedTests(SynchronousTestCase):
    """Tags that belong to a manifest by their form."""

    def test_form(self) -> None:
        """Those of cosign, and the fallback tags of referrers; sha512 cut to 64 digits."""
        for tag in (attached(A), attached(A, ""), attached(A, ".att"), "sha512-" + "0" * 64):
            self.assertTrue(is_attached(tag), tag)
        for tag in ("v1", "sha256-abc", "sha256-" + "0" * 65, "x" + attached(A), attached(A).upper()):
            self.assertFalse(is_attached(tag), tag)
