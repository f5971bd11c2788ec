"""The ledger: uses in memory, changes that the database does not take, and when it is complete."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.logger import capturedLogs, formatEvent

from pkgd.errors import FailedStorage
from pkgd.state import Cached
from pkgd.state.ledger import MAX_CHANGES, MAX_TOUCHED
from tests.fixtures import InlineThreads
from tests.state.fixtures import StateCase

A = "__mirror__/docker.io/a"
B = "__mirror__/ghcr.io/b"


class _Case(StateCase):
    """A ledger with words for what is asked of it most."""

    def add(self, digest: str, used: float = 1, *needs: str) -> None:
        """Cache something in A; what needs something is a manifest."""
        self.get(self.ledger.add(Cached(A, digest, bool(needs), 1, used), needs))

    def roots(self) -> list[tuple[float, str]]:
        """The roots in order, each with its last use."""
        return [(root.used, root.digest) for root in self.get(self.ledger.roots())]


class _HeldThreads(InlineThreads):
    """A thread pool that does nothing until it is released, then everything, in order."""

    def __init__(self) -> None:
        self._held: list[Callable[[], None]] | None = []

    def callInThreadWithCallback(self, *args: Any, **kwargs: Any) -> None:
        """Keep the call, or make it."""
        if self._held is None:
            super().callInThreadWithCallback(*args, **kwargs)
        else:
            self._held.append(partial(super().callInThreadWithCallback, *args, **kwargs))

    def release(self) -> None:
        """Make the calls that are kept, and from now on every call at once."""
        held, self._held = self._held or [], None
        for call in held:
            call()


class UseTests(_Case):
    """When something was last used."""

    def test_in_memory(self) -> None:
        """A use counts at once where a group is looked at, and in the order once it is written."""
        self.add("one", 1)
        self.add("two", 2)

        self.ledger.touch(A, "one", 3)

        self.assertEqual(self.get(self.ledger.group(A, "one")).root.used, 3)
        self.assertEqual(self.roots(), [(1, "one"), (2, "two")])
        self.get(self.ledger.flush())
        self.assertEqual(self.roots(), [(2, "two"), (3, "one")])

    def test_of_a_layer_in_memory(self) -> None:
        """A group is in use when anything of it is."""
        self.add("image", 1, "layer")
        self.add("layer", 1)

        self.ledger.touch(A, "layer", 3)

        self.assertEqual(self.get(self.ledger.group(A, "image")).root.used, 3)

    def test_last_counts(self) -> None:
        """A clock that goes back makes nothing older."""
        self.add("one", 5)
        for now in (7, 6):
            self.ledger.touch(A, "one", now)
        self.get(self.ledger.flush())
        self.ledger.touch(A, "one", 3)
        self.get(self.ledger.flush())

        self.assertEqual(self.roots(), [(7, "one")])

    def test_of_what_is_not_there(self) -> None:
        """A use of what is not cached brings nothing in."""
        self.ledger.touch(A, "absent", 3)
        self.get(self.ledger.flush())

        self.assertEqual(self.roots(), [])

    def test_bounded(self) -> None:
        """When too many uses wait, they are written, and all count."""
        for number in range(3):
            self.add(f"d{number}", 1)
        for number in range(MAX_TOUCHED):
            self.ledger.touch(A, f"d{number}", 2)
        self.assertEqual(self.roots()[0], (1, "d0"))

        self.ledger.touch(A, "another", 2)

        self.assertEqual(self.roots(), [(2, "d0"), (2, "d1"), (2, "d2")])

    def test_faster_than_the_disk(self) -> None:
        """Uses beyond what may wait count for nothing while others are still being written."""
        self.add("early", 1)
        self.add("late", 1)
        threads = self.database._pool.threadpool = _HeldThreads()
        for number in range(MAX_TOUCHED):
            self.ledger.touch(A, f"a{number}", 2)
        self.ledger.touch(A, "early", 2)
        for number in range(MAX_TOUCHED):
            self.ledger.touch(A, f"b{number}", 2)
        self.ledger.touch(A, "late", 2)

        threads.release()

        self.get(self.ledger.flush())
        self.assertEqual(self.roots(), [(1, "late"), (2, "early")])

    def test_nothing_to_write(self) -> None:
        """Without uses, a flush asks nothing of the database."""
        self.database._pool.runInteraction = None

        self.assertIsNone(self.get(self.ledger.flush()))

    def test_missed(self) -> None:
        """Uses that the database does not take are lost, and nobody is bothered."""
        self.add("one", 1)
        self.ledger.touch(A, "one", 3)
        self.break_table("cached")
        self.assertIsNone(self.get(self.ledger.flush()))
        self.mend_table("cached")
        self.assertEqual(self.roots(), [(1, "one")])

        self.ledger.touch(A, "one", 4)
        self.get(self.ledger.flush())
        self.assertEqual(self.roots(), [(4, "one")])

    def test_shift(self) -> None:
        """When the clock has been set forward everything keeps its age; nothing is used in the future."""
        for digest, used in (("old", 10), ("new", 90), ("future", 5000)):
            self.add(digest, used)

        self.get(self.ledger.shift(1000, 1100))

        self.assertEqual(self.roots(), [(1010, "old"), (1090, "new"), (1100, "future")])


class RootsTests(_Case):
    """Page by page."""

    def test_pages(self) -> None:
        """Roots follow one another in order, none twice, though many were used at the same time."""
        for number in range(10):
            self.add(f"d{number}", number // 4)

        first = self.get(self.ledger.roots(limit=6))
        rest = self.get(self.ledger.roots(first[-1], limit=6))

        self.assertEqual([one.digest for one in first + rest], [f"d{number}" for number in range(10)])
        self.assertEqual(self.get(self.ledger.roots(rest[-1])), [])

    def test_failure(self) -> None:
        """A question that cannot be answered is a fault of the storage."""
        self.break_table("cached")

        self.failureResultOf(self.ledger.roots(), FailedStorage)
        self.failureResultOf(self.ledger.group(A, "one"), FailedStorage)


class MissedTests(_Case):
    """Changes that the database does not take at once."""

    def test_made_up_for(self) -> None:
        """A change fails nobody, and is made before the next one."""
        self.break_table("held")
        self.add("one", 1)
        self.mend_table("held")
        self.assertEqual(self.roots(), [])

        self.add("two", 2)

        self.assertEqual(self.roots(), [(1, "one"), (2, "two")])
        self.assertEqual(self.get(self.ledger.total()), 2)

    def test_made_up_for_by_flush(self) -> None:
        """It is made by the next flush, too."""
        self.add("gone", 1)
        self.break_table("held")
        self.get(self.ledger.remove(A, ["gone"]))
        self.mend_table("held")
        self.assertEqual(self.roots(), [(1, "gone")])

        self.get(self.ledger.flush())

        self.assertEqual(self.roots(), [])

    def test_needed_meanwhile(self) -> None:
        """What a manifest needs that the database does not know yet is not free to go."""
        self.add("layer", 1)
        self.get(self.ledger.add(Cached(B, "layer", False, 1, 1)))
        self.break_table("need")
        self.add("image", 2, "layer")
        self.mend_table("need")

        self.assertEqual(self.roots(), [(1, "layer"), (1, "layer")])
        self.assertIsNone(self.get(self.ledger.group(A, "layer")))
        self.assertIsNotNone(self.get(self.ledger.group(B, "layer")))

    def test_total(self) -> None:
        """What the database does not know yet is counted all the same, what is gone and what has come."""
        self.add("one", 1)
        self.add("two", 1)
        self.break_table("need")
        self.add("image", 2, "one")
        self.mend_table("need")
        self.assertEqual(self.get(self.ledger.total()), 3)

        self.break_table("blob")
        self.get(self.ledger.remove_all(self.get(self.ledger.page(None, 9))))
        self.mend_table("blob")
        self.assertEqual(self.get(self.ledger.total()), 1)

        self.get(self.ledger.flush())
        self.assertEqual(self.get(self.ledger.total()), 1)

    def test_gone_meanwhile(self) -> None:
        """What is gone without the database knowing is no group."""
        self.add("one", 1)
        self.get(self.ledger.add(Cached(B, "one", False, 1, 1)))
        self.break_table("blob")
        self.get(self.ledger.remove(A, ["one"]))
        self.mend_table("blob")

        self.assertIsNone(self.get(self.ledger.group(A, "one")))
        self.assertIsNotNone(self.get(self.ledger.group(B, "one")))

    def test_said_once(self) -> None:
        """While the database takes nothing the log says so once."""
        self.break_table("held")
        with capturedLogs() as events:
            for digest in ("one", "two", "three"):
                self.add(digest)
            self.mend_table("held")
            self.get(self.ledger.flush())
            self.break_table("held")
            self.add("four")

        lines = [formatEvent(event) for event in events]
        self.assertEqual(lines, ["the ledger cannot follow: index: no such table: held"] * 2)

    def test_survey_at_the_next_start(self) -> None:
        """A late change may have been overtaken by others: the next process looks at the tree."""
        self.get(self.ledger.complete())
        self.break_table("held")
        self.add("one", 1)
        self.mend_table("held")
        self.add("two", 1)
        self.assertIs(self.get(self.ledger.is_complete()), True)
        self.database.close()

        self.reopen()

        self.assertIs(self.database.was_clean, True)
        self.assertIs(self.get(self.ledger.is_complete()), False)

    def test_too_many(self) -> None:
        """When too many wait they are given up, and the ledger is complete no more until there has been a survey."""
        self.get(self.ledger.complete())
        self.break_table("held")
        self.get(self.ledger.add_all([(Cached(A, f"d{n}", False, 1, 1), ()) for n in range(MAX_CHANGES)]))
        self.assertIs(self.get(self.ledger.is_complete()), True)
        self.add("one more", 1)
        self.mend_table("held")

        self.assertIs(self.get(self.ledger.is_complete()), False)
        self.add("later", 1)
        self.assertEqual(self.roots(), [(1, "later")])
        self.assertIsNone(self.get(self.ledger.group(A, "later")))


class SurveyTests(_Case):
    """What a survey goes by."""

    def test_new(self) -> None:
        """A new file is incomplete until the survey has come to its end."""
        self.assertIs(self.get(self.ledger.is_complete()), False)
        self.ledger.begin()
        self.assertIs(self.get(self.ledger.is_complete()), False)

        self.get(self.ledger.complete())

        self.assertIs(self.get(self.ledger.is_complete()), True)

    def test_lost_during_the_survey(self) -> None:
        """A survey during which changes were given up does not make it complete."""
        self.ledger.begin()
        self.break_table("held")
        self.get(self.ledger.add_all([(Cached(A, f"d{n}", False, 1, 1), ()) for n in range(MAX_CHANGES + 1)]))
        self.mend_table("held")
        self.get(self.ledger.complete())
        self.assertIs(self.get(self.ledger.is_complete()), False)

        self.ledger.begin()
        self.get(self.ledger.complete())
        self.assertIs(self.get(self.ledger.is_complete()), True)

    def test_pages(self) -> None:
        """Everything can be read page by page, place by place."""
        found = [Cached(place, digest, kind, 1, 1) for place in (A, B) for digest in "xy" for kind in (False, True)]
        self.get(self.ledger.add_all([(one, ()) for one in reversed(found)]))

        first = self.get(self.ledger.page(None, 5))
        rest = self.get(self.ledger.page(first[-1], 5))

        self.assertEqual(first + rest, found)
        self.assertEqual(self.get(self.ledger.page(rest[-1], 5)), [])

    def test_unknown(self) -> None:
        """What is not in it under that place and kind is unknown."""
        self.add("blob")
        self.add("image", 1, "blob")

        self.assertEqual(self.get(self.ledger.unknown(A, False, ["blob", "image", "x"])), ["image", "x"])
        self.assertEqual(self.get(self.ledger.unknown(A, True, ["blob", "image", "x"])), ["blob", "x"])
        self.assertEqual(self.get(self.ledger.unknown(B, False, ["blob"])), ["blob"])

    def test_empty(self) -> None:
        """A place is empty when the last of it has gone."""
        self.add("blob")
        self.assertIs(self.get(self.ledger.is_empty(A)), False)
        self.assertIs(self.get(self.ledger.is_empty(B)), True)

        self.get(self.ledger.remove(A, ["blob"]))

        self.assertIs(self.get(self.ledger.is_empty(A)), True)


class HolderTests(_Case):
    """What the index knows of the same blobs."""

    def test_removed(self) -> None:
        """A blob that has gone from a place is no longer offered for linking from there."""
        for place in (A, B):
            self.get(self.index.add_blob(place, "blob"))
            self.get(self.ledger.add(Cached(place, "blob", False, 1, 1)))

        self.get(self.ledger.remove_all([Cached(A, "blob", False, 1, 1)]))

        self.assertEqual(self.get(self.index.holders("blob")), [B])
