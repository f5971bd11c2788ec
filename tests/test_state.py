"""The index: what it answers, when it is believed, and that its loss costs nothing but time."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import FailedStorage
from pkgd.state import Contents, Index, Referrer
from tests.fixtures import InlineReactor, InlineThreads, inline_index

NOTHING = Contents([], [], [])


def referrer(digest: str, subject: str = "subject") -> Referrer:
    """A manifest that names the subject."""
    return Referrer(subject, digest, digest.encode())


class _Case(SynchronousTestCase):
    """An index in a directory of its own."""

    def setUp(self) -> None:
        """An empty index that is open."""
        self.path = os.path.join(self.mktemp(), "index.sqlite")
        self.index = inline_index(self.path)

    def get(self, answer: Deferred[Any]) -> Any:
        """What the index has answered."""
        return self.successResultOf(answer)

    def sql(self, statement: str) -> None:
        """Do something to the file behind the index's back."""
        with closing(sqlite3.connect(self.path)) as database, database:
            database.execute(statement)

    def reopened(self) -> Index:
        """An index as the next process opens it: for real, with everything that goes with it."""
        index = Index(InlineReactor(), self.path)
        index._pool.threadpool = InlineThreads()
        index.open()
        index.start()
        self.addCleanup(index._pool.close)
        return index


class AnswerTests(_Case):
    """What is put in comes out."""

    def test_blobs(self) -> None:
        """A blob has its holders, as long as they have it."""
        for repository in ("a", "b", "b"):
            self.get(self.index.add_blob(repository, "digest"))
        self.assertEqual(sorted(self.get(self.index.holders("digest"))), ["a", "b"])

        self.get(self.index.remove_blob("a", "digest"))

        self.assertEqual(self.get(self.index.holders("digest")), ["b"])
        self.assertEqual(self.get(self.index.holders("other")), [])

    def test_many_holders(self) -> None:
        """A blob that everybody has is not listed without end."""
        self.get(self.index.fill("a", Contents(["digest"], [], [])))
        for n in range(150):
            self.get(self.index.add_blob(f"r{n}", "digest"))

        self.assertEqual(len(self.get(self.index.holders("digest"))), 100)

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
            self.get(self.index.add_blob(repository, "old"))
            self.get(self.index.add_manifest(repository, "old", ["v1"], referrer("old")))
        self.assertIs(self.get(self.index.knows("a")), False)

        self.get(self.index.fill("a", Contents(["new"], [("v1", "new")], [referrer("new")])))

        self.assertIs(self.get(self.index.knows("a")), True)
        self.assertIs(self.get(self.index.knows("b")), False)
        self.assertEqual(self.get(self.index.holders("old")), ["b"])
        self.assertEqual(self.get(self.index.tags_of("a", "new")), ["v1"])
        self.assertEqual(self.get(self.index.referrers("a", "subject")), [("new", b"new")])
        self.assertEqual(self.get(self.index.referrers("b", "subject")), [("old", b"old")])


class OpenTests(_Case):
    """What of an earlier process is believed."""

    def setUp(self) -> None:
        """A repository that is known."""
        super().setUp()
        self.get(self.index.fill("a", Contents(["digest"], [("v1", "one")], [])))

    def test_after_clean_stop(self) -> None:
        """After a stop in good order everything is known as before."""
        self.index.close()

        index = self.reopened()

        self.assertIs(index.was_clean, True)
        self.assertIs(self.get(index.knows("a")), True)
        self.assertEqual(self.get(index.tags_of("a", "one")), ["v1"])

    def test_after_unclean_stop(self) -> None:
        """After a kill or a power cut no repository is known: each is read anew when it is used."""
        index = self.reopened()

        self.assertIs(index.was_clean, False)
        self.assertIs(self.get(index.knows("a")), False)
        self.get(index.fill("a", NOTHING))
        self.assertEqual(self.get(index.holders("digest")), [])

    def test_clean_once(self) -> None:
        """A clean stop counts for the next start only."""
        self.index.close()
        self.reopened()

        self.assertIs(self.reopened().was_clean, False)

    def test_no_file(self) -> None:
        """A deleted file is made anew, and nothing is known."""
        self.index.close()
        os.unlink(self.path)

        index = self.reopened()

        self.assertIs(index.was_clean, False)
        self.assertIs(self.get(index.knows("a")), False)

    def test_damaged_file(self) -> None:
        """A damaged file is begun anew: what it held can be derived."""
        self.index.close()
        for damage in (b"no database at all" * 1000, b"SQLite format 3\0" + b"\xff" * 5000):
            with open(self.path, "wb") as file:
                file.write(damage)

            index = self.reopened()

            self.assertIs(index.was_clean, False)
            self.get(index.add_blob("a", "other"))
            self.assertEqual(self.get(index.holders("other")), ["a"])
            index.close()

    def test_other_version(self) -> None:
        """The file of another version is not guessed at."""
        self.index.close()
        self.sql("UPDATE mark SET value = 99 WHERE name = 'version'")

        index = self.reopened()
        self.assertIs(self.get(index.knows("a")), False)
        self.assertEqual(self.get(index.holders("digest")), [])
        self.get(index.fill("a", NOTHING))
        index.close()

        self.assertIs(self.get(self.reopened().knows("a")), True)

    def test_foreign_tables(self) -> None:
        """A file whose tables are not ours is begun anew too."""
        self.index.close()
        self.sql("DROP TABLE mark")
        self.sql("CREATE TABLE mark (something TEXT)")

        self.assertIs(self.get(self.reopened().knows("a")), False)


class FailureTests(_Case):
    """A database that does not do as it is told."""

    def setUp(self) -> None:
        """A repository that is known."""
        super().setUp()
        self.get(self.index.fill("a", Contents(["digest"], [("v1", "one")], [])))

    def break_table(self, table: str) -> None:
        """Let every use of a table fail."""
        self.sql(f"ALTER TABLE {table} RENAME TO gone")

    def mend_table(self, table: str) -> None:
        """Let it work again."""
        self.sql(f"ALTER TABLE gone RENAME TO {table}")

    def test_missed_change(self) -> None:
        """A change that the index misses fails nobody's push; but the repository is known no more, until refilled."""
        for table, change in (
            ("blob", lambda: self.index.add_blob("a", "other")),
            ("blob", lambda: self.index.remove_blob("a", "digest")),
            ("tag", lambda: self.index.add_manifest("a", "two", ["v1"], None)),
            ("tag", lambda: self.index.remove_tag("a", "v1")),
            ("referrer", lambda: self.index.remove_manifest("a", "one")),
        ):
            self.break_table(table)
            self.assertIsNone(self.get(change()))
            self.mend_table(table)
            self.assertIs(self.get(self.index.knows("a")), False)

            self.get(self.index.fill("a", NOTHING))
            self.assertIs(self.get(self.index.knows("a")), True)

    def test_missed_change_of_another(self) -> None:
        """One repository's missed change says nothing about the others."""
        self.get(self.index.fill("b", NOTHING))
        self.break_table("blob")
        self.get(self.index.add_blob("b", "other"))

        self.assertIs(self.get(self.index.knows("a")), True)

    def test_missed_change_is_undone(self) -> None:
        """A change is taken whole or not at all."""
        self.break_table("referrer")
        self.get(self.index.add_manifest("a", "two", ["v2"], referrer("two")))
        self.mend_table("referrer")

        self.assertEqual(self.get(self.index.tags_of("a", "two")), [])

    def test_missed_change_is_not_forgotten_by_a_clean_stop(self) -> None:
        """The next process does not believe what this one knew to be incomplete."""
        self.break_table("blob")
        self.get(self.index.add_blob("a", "other"))
        self.mend_table("blob")
        self.index.close()

        index = self.reopened()

        self.assertIs(index.was_clean, True)
        self.assertIs(self.get(index.knows("a")), False)

    def test_failed_fill(self) -> None:
        """A repository that could not be read into the index is not known, though it was once."""
        self.break_table("blob")
        self.get(self.index.add_blob("a", "other"))
        self.failureResultOf(self.index.fill("a", NOTHING), FailedStorage)
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
