"""What was built: read from the stamp, if there is one."""

from __future__ import annotations

import platform

import msgspec
from twisted.trial.unittest import SynchronousTestCase

import twisted
from pkgd import __version__
from pkgd.built import Build, built

_COMMIT = "0123456789abcdef0123456789abcdef01234567"
_RUNTIME = {"python": platform.python_version(), "twisted": twisted.__version__}


def _of(text: bytes | None) -> Build:
    return built(lambda package, name: text if (package, name) == ("pkgd", "_build.json") else None)


class BuiltTests(SynchronousTestCase):
    """A build says which release it is, from which commit."""

    def test_release(self) -> None:
        """A release's number is the last part of its version."""
        build = _of(b'{"release": 7, "commit": "%s", "modified": false}' % _COMMIT.encode())

        version = f"{__version__}.7"
        expected = {"version": version, "release": 7, "commit": _COMMIT, "modified": False, **_RUNTIME}
        self.assertEqual(build.describe(), expected)

    def test_no_release(self) -> None:
        """A build that is nobody's release has the version that the source says."""
        build = _of(b'{"release": null, "commit": null, "modified": true}')

        self.assertEqual((build.version, build.release, build.modified), (__version__, None, True))

    def test_checkout(self) -> None:
        """Without a stamp, as in this checkout, it is no release, and no commit is claimed."""
        for build in (built(), _of(None)):
            described = {"version": __version__, "release": None, "commit": None, "modified": False, **_RUNTIME}
            self.assertEqual(build.describe(), described)

    def test_unknown_field(self) -> None:
        """A stamp that says more than is understood comes from another version's build, and is refused."""
        with self.assertRaises(msgspec.ValidationError):
            _of(b'{"release": 7, "commit": null, "modified": false, "colour": "red"}')
