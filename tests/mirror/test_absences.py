"""What upstreams have lately said they do not have."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.formats.names import Origin, RepositoryName
from pkgd.mirror.absences import MAX_ENTRIES, Absences

ONE = (Origin("docker.io", RepositoryName("a/b")), "1.0")


class AbsencesTests(SynchronousTestCase):
    """`Absences`."""

    def setUp(self) -> None:
        """Nothing is known; what gets known is believed for a minute."""
        self.clock = Clock()
        self.absences = Absences(self.clock, 60.0)

    def test_nothing_known(self) -> None:
        """What nobody has spoken of may be there."""
        self.assertFalse(self.absences.holds(ONE))

    def test_believed_for_a_while(self) -> None:
        """What is not there is not asked for again until the time is over."""
        self.absences.note(ONE)
        self.clock.advance(59.9)
        self.assertTrue(self.absences.holds(ONE))

        self.clock.advance(0.1)

        self.assertFalse(self.absences.holds(ONE))

    def test_noted_again(self) -> None:
        """Each time that it is said counts for as long."""
        self.absences.note(ONE)
        self.clock.advance(40)
        self.absences.note(ONE)
        self.clock.advance(40)

        self.assertTrue(self.absences.holds(ONE))

    def test_exact(self) -> None:
        """Another host, repository or tag is another thing."""
        self.absences.note(ONE)

        self.assertEqual(
            [self.absences.holds((Origin(host, RepositoryName(name)), tag)) for host, name, tag in OTHERS], [False] * 3
        )

    def test_switched_off(self) -> None:
        """With no time at all, nothing is remembered."""
        absences = Absences(self.clock, 0.0)
        absences.note(ONE)

        self.assertFalse(absences.holds(ONE))

    def test_clock_set_back(self) -> None:
        """If the clock has been set back meanwhile, nothing is absent until it is where it was."""
        self.absences.note(ONE)
        self.clock.rightNow -= 3600

        self.assertFalse(self.absences.holds(ONE))

    def test_bounded(self) -> None:
        """Anybody may ask for what is not there: of too many, those that were noted longest ago are forgotten."""
        for number in range(MAX_ENTRIES):
            self.absences.note(number)
        self.absences.note(0)
        self.absences.note("one more")

        self.assertEqual([self.absences.holds(one) for one in (0, 1, 2, "one more")], [True, False, True, True])
        self.assertLessEqual(len(self.absences._until), MAX_ENTRIES)


OTHERS = [("quay.io", "a/b", "1.0"), ("docker.io", "a/c", "1.0"), ("docker.io", "a/b", "1.1")]
