"""Images as docker writes them, lists of them, and platforms."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidRequest, PkgdError
from pkgd.prefetch.images import Image, Platform, parse_image, parse_list, parse_platforms

DIGEST = "sha256:" + "a" * 64


class ImageTests(SynchronousTestCase):
    """What is left out is as docker fills it in."""

    def test_meanings(self) -> None:
        """Registry, `library/` and tag have docker's defaults; a digest counts more than a tag."""
        for text, meaning in {
            "alpine": "docker.io/library/alpine:latest",
            "alpine:3": "docker.io/library/alpine:3",
            "grafana/grafana": "docker.io/grafana/grafana:latest",
            "docker.io/alpine": "docker.io/library/alpine:latest",
            "index.docker.io/alpine:3": "docker.io/library/alpine:3",
            "registry-1.docker.io/a/b:3": "docker.io/a/b:3",
            "registry.k8s.io/pause:3.9": "registry.k8s.io/pause:3.9",
            "GHCR.io/org/team/app:1": "ghcr.io/org/team/app:1",
            f"ghcr.io/org/app@{DIGEST}": f"ghcr.io/org/app@{DIGEST}",
            f"alpine:3@{DIGEST}": f"docker.io/library/alpine@{DIGEST}",
            "localhost/app": "localhost/app:latest",
            "localhost:5000/app:1": "localhost:5000/app:1",
            "registry.test:5000/a/b": "registry.test:5000/a/b:latest",
            "ghcr.io:443/org/app": "ghcr.io/org/app:latest",
        }.items():
            self.assertEqual(str(parse_image(text)), meaning, text)

    def test_types(self) -> None:
        """A tag and a digest are different references."""
        tagged, pinned = parse_image("a/b:x"), parse_image(f"a/b@{DIGEST}")

        self.assertNotEqual(type(tagged.reference), type(pinned.reference))
        self.assertIsInstance(pinned, Image)

    def test_refused(self) -> None:
        """What docker would not take is refused, with the part that is wrong."""
        for text, part in {
            "": "invalid repository name",
            "Alpine": "'library/Alpine'",
            "alpine:": "invalid tag",
            "alpine:a b": "'a b'",
            "alpine@": "expected sha256",
            "alpine@sha256:abc": "'sha256:abc'",
            "alpine:..@" + DIGEST: "'..'",
            "https://ghcr.io/a": "without a scheme",
            "ghcr.io/": "invalid repository name",
            "-bad.io/a": "'-bad.io'",
            "a.io:99999999/b": "'a.io:99999999'",
            "[::1]:5000/app": "'[::1]:5000'",
            "a.io/../b": "'../b'",
            "a.io/b?ns=c": "'b?ns=c'",
            "é.io/a": "'é.io'",
            "a.io/" + "b" * 300: "invalid repository name",
        }.items():
            error = self.assertRaises(PkgdError, parse_image, text)
            self.assertIn(part, error.message, text)


class ListTests(SynchronousTestCase):
    """A file with one image a line."""

    def test_lines(self) -> None:
        """Comments, empty lines and space around count for nothing; order is kept, repetition is not."""
        images, unreadable = parse_list(["# base", "", "  b:1\t", "a # the other", "b:1", "docker.io/library/a:latest"])

        self.assertEqual([str(one) for one in images], ["docker.io/library/b:1", "docker.io/library/a:latest"])
        self.assertEqual(unreadable, [])

    def test_unreadable(self) -> None:
        """A line that names no image is told with its number, and keeps nobody from the others."""
        images, unreadable = parse_list(["a", "b c", "\x00\x1b[2J", "d"])

        self.assertEqual(len(images), 2)
        self.assertEqual([(one.number, one.text) for one in unreadable], [(2, "b c"), (3, "\x00\x1b[2J")])


class PlatformTests(SynchronousTestCase):
    """Which children of an index are wanted."""

    def test_parse(self) -> None:
        """Several are separated by commas, and named once."""
        found = parse_platforms("linux/amd64, linux/arm/v7,linux/amd64")

        self.assertEqual(found, (Platform("linux", "amd64"), Platform("linux", "arm", "v7")))
        self.assertEqual([str(one) for one in found], ["linux/amd64", "linux/arm/v7"])

    def test_refused(self) -> None:
        """Anything else is refused."""
        for text in ("", "linux", "linux/", "/amd64", "linux/amd64,", "linux/arm/v7/x", "Linux/amd64", "a b/c"):
            self.assertRaises(InvalidRequest, parse_platforms, text)

    def test_covers(self) -> None:
        """Without a variant all are meant; arm64 has but one, written or not."""
        for wanted, stated, covered in [
            ("linux/amd64", {"os": "linux", "architecture": "amd64"}, True),
            ("linux/amd64", {"os": "linux", "architecture": "arm64"}, False),
            ("linux/amd64", {"os": "windows", "architecture": "amd64"}, False),
            ("linux/arm", {"os": "linux", "architecture": "arm", "variant": "v6"}, True),
            ("linux/arm/v7", {"os": "linux", "architecture": "arm", "variant": "v6"}, False),
            ("linux/arm64", {"os": "linux", "architecture": "arm64", "variant": "v8"}, True),
            ("linux/arm64/v8", {"os": "linux", "architecture": "arm64"}, True),
            ("linux/amd64", {"os": "unknown", "architecture": "unknown"}, False),
        ]:
            platform = Platform.stated(stated)
            assert platform is not None
            self.assertEqual(parse_platforms(wanted)[0].covers(platform), covered, (wanted, stated))

    def test_not_stated(self) -> None:
        """What an index states in another form states nothing."""
        for value in (None, "linux/amd64", [], {"os": 1, "architecture": "amd64"}, {"os": ["linux"]}):
            self.assertIs(Platform.stated(value), None)
