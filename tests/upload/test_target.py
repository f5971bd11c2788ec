"""Where `pkgd upload` puts files."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import ConfigError
from pkgd.upload.target import Target


class TargetTests(SynchronousTestCase):
    """Options to paths."""

    def test_apt(self) -> None:
        """An apt repository's files are in a suite's component, `main` if none is given."""
        self.assertEqual(Target.parse("apt:main", "stable", None).path("a.deb"), "/apt/main/stable/main/a.deb")
        self.assertEqual(Target.parse("apt:r", "s", "contrib").path("a.deb"), "/apt/r/s/contrib/a.deb")

    def test_rpm(self) -> None:
        """An rpm repository's name may have several parts."""
        self.assertEqual(Target.parse("rpm:internal/el9", None, None).path("a.rpm"), "/rpm/internal/el9/a.rpm")

    def test_escaped(self) -> None:
        """A file's name is encoded: it cannot become a path or a query."""
        self.assertEqual(
            Target.parse("rpm:r", None, None).path("a^b+c?#/..%.rpm"), "/rpm/r/a%5Eb%2Bc%3F%23%2F..%25.rpm"
        )

    def test_refused(self) -> None:
        """What is wrong is named by its option."""
        for repository, suite, component, option in (
            ("main", None, None, "--repo"),
            ("oci:main", None, None, "--repo"),
            ("apt:a/b", "s", None, "--repo"),
            ("apt:", "s", None, "--repo"),
            ("rpm:../a", None, None, "--repo"),
            ("apt:main", None, None, "--suite"),
            ("apt:main", "a/b", None, "--suite"),
            ("apt:main", "s", "..", "--component"),
            ("rpm:main", "s", None, "--suite"),
            ("rpm:main", None, "c", "--suite"),
        ):
            error = self.assertRaises(ConfigError, Target.parse, repository, suite, component)
            self.assertEqual(error.path, option, repository)

    def test_order(self) -> None:
        """A .dsc closes its set, so it comes last; the rest stays in order."""
        files = ["b.dsc", "b.tar.gz", "a.deb"]

        self.assertEqual(Target.parse("apt:m", "s", None).groups(files), [["b.tar.gz", "a.deb"], ["b.dsc"]])

    def test_shown(self) -> None:
        """It is shown as it is written."""
        self.assertEqual(str(Target.parse("apt:m", "s", None)), "apt:m s/main")
        self.assertEqual(str(Target.parse("rpm:a/b", None, None)), "rpm:a/b")
