"""Currency: what is neither newest nor pinned, and what is pinned for nothing."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.packaging.scripts import load

currency = load("sbom", "currency")

_POLICY = """\
libc6:
  Installed: 2.36-9+deb12u13
  Candidate: 2.36-9+deb12u14
  Version table:
     2.36-9+deb12u14 500
        500 http://deb.debian.org/debian bookworm/main amd64 Packages
 *** 2.36-9+deb12u13 100
        100 /var/lib/dpkg/status
zlib1g:
  Installed: 1:1.2.13.dfsg-1
  Candidate: 1:1.2.13.dfsg-1
  Version table:
 *** 1:1.2.13.dfsg-1 500
        500 http://deb.debian.org/debian bookworm/main amd64 Packages
        100 /var/lib/dpkg/status
"""


def _complaints(held: dict[str, set[str]], newest: dict[str, str], *pins: tuple[str, str]) -> list[str]:
    return list(currency.complaints(held, newest, {name: currency.Pin(name, at, "why") for name, at in pins}))


class ComplaintTests(SynchronousTestCase):
    """What is complained of."""

    def test_newest(self) -> None:
        """Nothing, where all are newest."""
        self.assertEqual(_complaints({"attrs": {"26.1.0"}}, {"attrs": "26.1.0"}), [])

    def test_older(self) -> None:
        """One that is not newest is named with the newest, in whichever lock file it is."""
        found = _complaints({"attrs": {"26.1.0", "25.4.0"}}, {"attrs": "26.1.0"})

        self.assertEqual(found, ["attrs 25.4.0: 26.1.0 is the newest"])

    def test_pinned(self) -> None:
        """Nothing, where it is pinned at that version; a pin at another one does not cover it."""
        held, newest = {"attrs": {"25.4.0"}}, {"attrs": "26.1.0"}

        self.assertEqual(_complaints(held, newest, ("attrs", "25.4.0")), [])
        self.assertEqual(_complaints(held, newest, ("attrs", "25.3.0")), ["attrs 25.4.0: pins.toml pins 25.3.0"])

    def test_needless_pin(self) -> None:
        """A pin of what is newest, or is not there at all, has to go."""
        for held in ({"attrs": {"26.1.0"}}, {}):
            found = _complaints(held, {"attrs": "26.1.0"}, ("attrs", "26.1.0"))

            self.assertEqual(found, ["attrs: the pin at 26.1.0 is not needed"])


class ReadingTests(SynchronousTestCase):
    """Lock files, bills, apt's answers and pins.toml."""

    def test_locked(self) -> None:
        """Names are those of package URLs; hashes and comments are none."""
        lock = "# pip-compile\nBackports.Zstd==1.8.0 \\\n    --hash=sha256:00\n    # via pkgd (setup.py)\nsix==1.17.0\n"

        self.assertEqual(
            currency.locked([lock, "six==1.16.0\n"]), {"backports-zstd": {"1.8.0"}, "six": {"1.17.0", "1.16.0"}}
        )

    def test_installed(self) -> None:
        """Debian's packages, and no others."""
        parts = [
            {"name": "libc6", "version": "2.36", "purl": "pkg:deb/debian/libc6@2.36"},
            {"name": "attrs", "version": "26.1.0", "purl": "pkg:pypi/attrs@26.1.0"},
        ]

        self.assertEqual(currency.installed([{"components": parts}]), {"debian/libc6": {"2.36"}})

    def test_candidates(self) -> None:
        """What apt would install."""
        found = currency.candidates(_POLICY)

        self.assertEqual(found, {"debian/libc6": "2.36-9+deb12u14", "debian/zlib1g": "1:1.2.13.dfsg-1"})

    def test_no_archive(self) -> None:
        """Where apt has no list of an archive, what is installed is not taken for the newest."""
        said = (
            "libc6:\n  Installed: 1\n  Candidate: 1\n  Version table:\n *** 1 100\n        100 /var/lib/dpkg/status\n"
        )

        self.assertRaises(currency.Unreachable, currency.candidates, said)

    def test_pins(self) -> None:
        """A pin has three fields, and nothing less."""
        whole = '[[pin]]\nname = "attrs"\nversion = "25.4.0"\n'

        self.assertEqual(currency.pins(whole + 'reason = "r"\n'), {"attrs": currency.Pin("attrs", "25.4.0", "r")})
        for text in (
            whole,
            whole + 'reason = " "\n',
            whole + 'reason = "r"\nmore = 1\n',
            "[other]\n",
            "[[pin]]\n",
            "no",
        ):
            self.assertRaises(currency.Malformed, currency.pins, text)
