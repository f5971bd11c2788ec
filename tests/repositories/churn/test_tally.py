"""Tests for the judging of what clients say."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.repositories.churn.tally import LOST, MISMATCH, MISSING, OTHER, SIGNATURE, Lost, Tally, kind_of, table


class KindTests(SynchronousTestCase):
    """What apt, dnf and zypper say is filed where it belongs."""

    def test_kinds(self) -> None:
        """One line of each client for each kind."""
        said = {
            "E: Failed to fetch … Hash Sum mismatch\n W: GPG": MISMATCH,
            "File has unexpected size (2 != 3). Mirror sync in progress?": MISMATCH,
            "Downloading successful, but checksum doesn't match.": MISMATCH,
            "GPG error: http://… InRelease: BADSIG 0123": SIGNATURE,
            "repomd.xml GPG signature verification error: Bad GPG signature": SIGNATURE,
            "Status code: 404 for http://…/primary.xml.gz": MISSING,
            "primary.xml.gz - Cannot download, all mirrors were already tried without success": MISSING,
            "E: The package lists could not be locked": OTHER,
        }
        for text, kind in said.items():
            self.assertEqual(kind_of(RuntimeError(text)), kind, text)

    def test_lost(self) -> None:
        """What is lost is that, whatever the text says."""
        self.assertEqual(kind_of(Lost("signature")), LOST)


class TallyTests(SynchronousTestCase):
    """Turns are counted, and complaints by kind."""

    def test_counts(self) -> None:
        """Each turn counts once, with its complaint or without."""
        tally = Tally("apt", 2)
        tally.turn(None)
        tally.turn(RuntimeError("Hash Sum mismatch"))
        self.assertEqual((tally.turns, dict(tally.counts)), (2, {MISMATCH: 1}))
        self.assertEqual(table([tally])[1].split(), ["apt", "2", "2", "1", "0", "0", "0", "0"])
