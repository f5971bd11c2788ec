"""The index: what it answers, and what becomes of a change that it misses."""

from __future__ import annotations

from pkgd.errors import FailedStorage
from pkgd.state import Contents, Referrer
from tests.state.fixtures import StateCase

NOTHING = Contents([], [], [])


def referrer(digest: str, subject: str = "subject") -> Referrer:
    """A manifest that names the subject."""
    return Referrer(subject, digest, digest.encode())


class AnswerTests(StateCase):
    """What is put in comes out."""

    def test_blobs(self) -> None:
        """A blob has the places that hold it, as long as they have it."""
        for place in ("a", "b", "b"):
            self.get(self.index.add_blob(place, "digest"))
        self.assertEqual(sorted(self.get(self.index.holders("digest"))), ["a", "b"])

        self.get(self.index.remove_blob("a", "digest"))

        self.assertEqual(self.get(self.index.holders("digest")), ["b"])
        self.assertEqual(self.get(self.index.holders("other")), [])

    def test_many_holders(self) -> None:
        """A blob that everybody has is not listed without end, and hosted repositories come before upstreams'."""
        for n in range(150):
            self.get(self.index.add_blob(f"__mirror__/docker.io/r{n}", "digest"))
        for hosted in ("0/a", "=blobs/a", "z"):
            self.get(self.index.add_blob(hosted, "digest"))

        holders = self.get(self.index.holders("digest"))

        self.assertEqual(len(holders), 100)
        self.assertEqual(sorted(holders[:3]), ["0/a", "=blobs/a", "z"])

    def test_tags(self) -> None:
        """A manifest has the tags that point at it now."""
        self.get(self.index.add_manifest("a", "one", ["v1", "latest"], None))
        self.get(self.index.add_manifest("a", "two", ["v2", "latest"], None))
        self.get(self.index.add_manifest("b", "one", ["other"], None))

        self.assertEqual(self.get(self.index.tags_of("a", "one")), ["v1"])
        self.assertEqual(sorted(self.get(self.index.tags_of("a", "two"))), ["latest", "v2"])

        self.get(self.index.remove_tag("a", "latest"))
        self.assertEqual(self.get(self.index.tags_of("a", "two")), ["v2"])

    def test_referrers(self) -> None:
        """A subject has its referrers, by digest, as long as they are there."""
        for digest in ("two", "one", "one"):
            self.get(self.index.add_manifest("a", digest, [], referrer(digest)))
        self.get(self.index.add_manifest("b", "three", [], referrer("three")))
        self.assertEqual(self.get(self.index.referrers("a", "subject")), [("one", b"one"), ("two", b"two")])

        self.get(self.index.remove_manifest("a", "one"))

        self.assertEqual(self.get(self.index.referrers("a", "subject")), [("two", b"two")])

    def test_removed_manifest(self) -> None:
        """With a manifest its tags go, and those of others stay."""
        self.get(self.index.add_manifest("a", "one", ["v1"], None))
        self.get(self.index.add_manifest("a", "two", ["v2"], None))

        self.get(self.index.remove_manifest("a", "one"))

        self.assertEqual(self.get(self.index.tags_of("a", "one")), [])
        self.assertEqual(self.get(self.index.tags_of("a", "two")), ["v2"])

    def test_fill(self) -> None:
        """What the tree holds takes the place of all that was known of the repository, and of nothing else."""
        for repository in ("a", "b"):
            self.get(self.index.add_blob(f"={repository}", "old"))
            self.get(self.index.add_manifest(repository, "old", ["v1"], referrer("old")))
        self.assertIs(self.get(self.index.knows("a")), False)

        self.get(self.index.fill("a", "=a", Contents(["new"], [("v1", "new")], [referrer("new")])))

        self.assertIs(self.get(self.index.knows("a")), True)
        self.assertIs(self.get(self.index.knows("b")), False)
        self.assertEqual(self.get(self.index.holders("old")), ["=b"])
        self.assertEqual(self.get(self.index.holders("new")), ["=a"])
        self.assertEqual(self.get(self.index.tags_of("a", "new")), ["v1"])
        self.assertEqual(self.get(self.index.referrers("a", "subject")), [("new", b"new")])
        self.assertEqual(self.get(self.index.referrers("b", "subject")), [("old", b"old")])


class FailureTests(StateCase):
    """A database that does not do as it is told."""

    def setUp(self) -> None:
        """A repository that is known."""
        super().setUp()
        self.get(self.index.fill("a", "=a", Contents(["digest"], [("v1", "one")], [])))

    def test_missed_change(self) -> None:
        """A change that the index misses fails nobody's push; but the repository is known no more, until refilled."""
        for table, change in (
            ("blob", lambda: self.index.add_blob("=a", "other")),
            ("blob", lambda: self.index.remove_blob("=a", "digest")),
            ("tag", lambda: self.index.add_manifest("a", "two", ["v1"], None)),
            ("tag", lambda: self.index.remove_tag("a", "v1")),
            ("referrer", lambda: self.index.remove_manifest("a", "one")),
        ):
            self.break_table(table)
            self.assertIsNone(self.get(change()))
            self.mend_table(table)
            self.assertIs(self.get(self.index.knows("a")), False)

            self.get(self.index.fill("a", "=a", NOTHING))
            self.assertIs(self.get(self.index.knows("a")), True)

    def test_missed_change_of_another(self) -> None:
        """One repository's missed change says nothing about the others."""
        self.get(self.index.fill("b", "=b", NOTHING))
        self.break_table("blob")
        self.get(self.index.add_blob("=b", "other"))

        self.assertIs(self.get(self.index.knows("a")), True)

    def test_missed_change_is_undone(self) -> None:
        """A change is taken whole or not at all."""
        self.break_table("referrer")
        self.get(self.index.add_manifest("a", "two", ["v2"], referrer("two")))
        self.mend_table("referrer")

        self.assertEqual(self.get(self.index.tags_of("a", "two")), [])

    def test_missed_change_is_not_forgotten_by_a_clean_stop(self) -> None:
        """The next process does not believe what this one knew to be incomplete."""
        self.get(self.index.fill("b", "=b", NOTHING))
        self.get(self.index.fill("c", "=c", NOTHING))
        for table, change in (
            ("blob", lambda: self.index.add_blob("=a", "other")),
            ("tag", lambda: self.index.remove_tag("b", "v1")),
        ):
            self.break_table(table)
            self.get(change())
            self.mend_table(table)
        self.database.close()

        self.reopen()

        self.assertIs(self.database.was_clean, True)
        self.assertEqual([self.get(self.index.knows(one)) for one in ("a", "b", "c")], [False, False, True])

    def test_failed_fill(self) -> None:
        """A repository that could not be read into the index is not known, though it was once."""
        self.break_table("blob")
        self.get(self.index.add_blob("=a", "other"))
        self.failureResultOf(self.index.fill("a", "=a", NOTHING), FailedStorage)
        self.mend_table("blob")

        self.assertIs(self.get(self.index.knows("a")), False)

    def test_failed_question(self) -> None:
        """A question that cannot be answered is a fault of the storage, and no bug."""
        for table, question in (
            ("tag", lambda: self.index.tags_of("a", "one")),
            ("referrer", lambda: self.index.referrers("a", "subject")),
            ("known", lambda: self.index.knows("a")),
        ):
            self.break_table(table)
            self.failureResultOf(question(), FailedStorage)
            self.mend_table(table)

    def test_failed_question_for_holders(self) -> None:
        """Who else has a blob is good to know and never needed: not to know it fails no push."""
        self.break_table("blob")

        self.assertEqual(self.get(self.index.holders("digest")), [])
