"""Files that arrive one by one: sources, and uploads by dput."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from twisted.trial.unittest import SynchronousTestCase

from tests.packages.fixtures import made_deb
from tests.web.messages import Response
from tests.web.packages.fixtures import PackagesEdge

PLACE = "/apt/main/stable/main/"
INCOMING = "/apt/main/incoming/stable/"
TARBALL = b"a tarball"
DEB = made_deb()


def listing(files: Mapping[str, bytes], extra: str = "") -> str:
    """The fields that list files."""
    parts = []
    for field, name, middle in (
        ("Checksums-Sha1", "sha1", ""),
        ("Checksums-Sha256", "sha256", ""),
        ("Files", "md5", extra),
    ):
        parts.append(f"{field}:\n")
        for file, data in files.items():
            parts.append(f" {hashlib.new(name, data).hexdigest()} {len(data)} {middle}{file}\n")
    return "".join(parts)


def dsc(version: str = "1.0", **files: bytes) -> bytes:
    """A source's description."""
    listed = {f"hello_{version}.tar.gz": files.get("tar", TARBALL)}
    head = f"Format: 3.0 (native)\nSource: hello\nBinary: hello\nArchitecture: any\nVersion: {version}\n"
    return f"{head}Maintainer: A <a@example.org>\n{listing(listed)}".encode()


def changes(files: Mapping[str, bytes], suite: str = "stable", section: str = "utils") -> bytes:
    """The list of an upload."""
    head = f"Format: 1.8\nDate: Thu, 26 Nov 2026 20:00:00 +0000\nSource: hello\nVersion: 1.0\nDistribution: {suite}\n"
    rest = "Binary: hello\nArchitecture: amd64\nMaintainer: A <a@example.org>\nDescription:\n hello - x\n"
    return f"{head}{rest}Changes:\n hello\n{listing(files, f'{section} optional ')}".encode()


class SetCase(SynchronousTestCase):
    """Uploads."""

    def setUp(self) -> None:
        """Empty repositories."""
        self.edge = PackagesEdge(self)

    def put(self, target: str, data: bytes) -> Response:
        """Put a file."""
        return self.edge.call("PUT", target, {}, data)

    def sources(self, suite: str = "stable") -> bytes:
        """The index of sources."""
        return self.edge.call("GET", f"/apt/main/dists/{suite}/main/source/Sources").body

    def packages(self, suite: str = "stable", component: str = "main") -> bytes:
        """The index of packages."""
        return self.edge.call("GET", f"/apt/main/dists/{suite}/{component}/binary-amd64/Packages").body


class SourceTests(SetCase):
    """A .dsc closes the set that it names."""

    def test_published(self) -> None:
        """When all its files have come, the .dsc is 201 and the source is listed; the spool is empty."""
        kept = self.put(f"{PLACE}hello_1.0.tar.gz", TARBALL)
        closed = self.put(f"{PLACE}hello_1.0.dsc", dsc())

        self.assertEqual((kept.status, closed.status), (201, 201))
        self.assertIn(b"Package: hello\n", self.sources())
        self.assertEqual(self.edge.spooled(), [])

    def test_incomplete(self) -> None:
        """A .dsc whose files are missing is refused; when they have come it may come again."""
        self.assertEqual(self.put(f"{PLACE}hello_1.0.dsc", dsc()).status, 400)
        self.put(f"{PLACE}hello_1.0.tar.gz", TARBALL)

        self.assertEqual(self.put(f"{PLACE}hello_1.0.dsc", dsc()).status, 201)

    def test_wrong_dsc(self) -> None:
        """What was kept is not lost by a .dsc that doesn't fit it."""
        self.put(f"{PLACE}hello_1.0.tar.gz", TARBALL)

        self.assertEqual(self.put(f"{PLACE}hello_1.0.dsc", dsc(tar=b"another")).status, 400)
        self.assertEqual(self.put(f"{PLACE}hello_1.0.dsc", dsc()).status, 201)

    def test_elsewhere(self) -> None:
        """Files of another component don't count."""
        self.put("/apt/main/stable/contrib/hello_1.0.tar.gz", TARBALL)

        self.assertEqual(self.put(f"{PLACE}hello_1.0.dsc", dsc()).status, 400)

    def test_expired(self) -> None:
        """What nobody closes is given up in time."""
        self.put(f"{PLACE}hello_1.0.tar.gz", TARBALL)
        self.edge.clock.advance(3600)

        self.assertEqual(self.edge.wait(self.edge.pending.expire(7200)), 0)
        self.assertEqual(self.edge.wait(self.edge.pending.expire(1800)), 1)
        self.assertEqual(self.edge.spooled(), [])

    def test_replaced(self) -> None:
        """A file that comes again replaces the one before."""
        self.put(f"{PLACE}hello_1.0.tar.gz", b"wrong")
        self.put(f"{PLACE}hello_1.0.tar.gz", TARBALL)

        self.assertEqual(len(self.edge.spooled()), 1)
        self.assertEqual(self.put(f"{PLACE}hello_1.0.dsc", dsc()).status, 201)


class ChangesTests(SetCase):
    """A .changes closes an upload."""

    def upload(self, files: Mapping[str, bytes], text: bytes, place: str = INCOMING) -> Response:
        """Put the files, then the .changes."""
        for name, data in files.items():
            self.assertEqual(self.put(f"{place}{name}", data).status, 201)
        return self.put(f"{place}hello_1.0_amd64.changes", text)

    def test_published(self) -> None:
        """Binaries and sources that it lists are published; nothing is left."""
        files = {"hello.deb": DEB, "hello_1.0.tar.gz": TARBALL, "hello_1.0.dsc": dsc()}

        self.assertEqual(self.upload(files, changes(files)).status, 201)
        self.assertIn(b"Package: hello\n", self.packages())
        self.assertIn(b"Package: hello\n", self.sources())
        self.assertEqual(self.edge.spooled(), [])

    def test_nothing_before(self) -> None:
        """Before the .changes nothing is published."""
        self.put(f"{INCOMING}hello.deb", DEB)

        self.assertEqual(self.packages(), b"")

    def test_component(self) -> None:
        """A section names the component."""
        files = {"hello.deb": DEB}

        self.upload(files, changes(files, section="contrib/utils"))

        self.assertIn(b"Package: hello\n", self.packages(component="contrib"))

    def test_suites(self) -> None:
        """Without a suite in the URL it is the .changes that names them."""
        files, place = {"hello.deb": DEB}, "/api/v4/projects/main/packages/debian/"

        self.assertEqual(self.upload(files, changes(files, "stable testing"), place).status, 201)
        self.assertIn(b"Package: hello\n", self.packages())
        self.assertIn(b"Package: hello\n", self.packages("testing"))

    def test_unknown_suite(self) -> None:
        """One that is not there is 404, and nothing is published."""
        files, place = {"hello.deb": DEB}, "/api/v4/projects/main/packages/debian/"

        self.assertEqual(self.upload(files, changes(files, "stable sid"), place).status, 404)
        self.assertEqual(self.packages(), b"")

    def test_missing(self) -> None:
        """A file that has not come is named."""
        answer = self.put(f"{INCOMING}a.changes", changes({"hello.deb": DEB}))

        self.assertEqual(answer.status, 400)
        self.assertIn(b"hello.deb", answer.body)

    def test_all_or_nothing(self) -> None:
        """If one file is refused nothing of the set is published, and the answer says which and why."""
        self.put("/apt/main/stable/main/x.deb", made_deb("other"))
        source = {"hello_1.0.tar.gz": TARBALL, "hello_1.0.dsc": dsc()}
        for second, status, reason in (
            (made_deb("other", Priority="extra"), 409, b"other 1.0 amd64"),
            (b"no package", 400, b"b.deb"),
        ):
            files = {"a.deb": DEB, **source, "b.deb": second}
            answer = self.upload(files, changes(files))

            self.assertEqual(answer.status, status)
            self.assertIn(reason, answer.body)
            self.assertEqual((self.sources(), self.edge.spooled()), (b"", []))
            self.assertNotIn(b"Package: hello\n", self.packages())

    def test_one_generation(self) -> None:
        """A set is published at once."""
        files = {"a.deb": DEB, "b.deb": made_deb("other"), "hello_1.0.tar.gz": TARBALL, "hello_1.0.dsc": dsc()}
        self.upload(files, changes(files))

        for generation, found in ((1, False), (2, True)):
            base = f"/apt/main/@{generation}/dists/stable/main"
            sources = self.edge.call("GET", f"{base}/source/Sources").body
            packages = self.edge.call("GET", f"{base}/binary-amd64/Packages").body
            self.assertEqual((b"Package: hello" in sources, packages.count(b"Package:")), (found, 2 * found))

    def test_nothing_to_publish(self) -> None:
        """A list of neither packages nor sources is refused."""
        files = {"hello_1.0_amd64.buildinfo": b"x"}

        self.assertEqual(self.upload(files, changes(files)).status, 400)

    def test_other_bytes(self) -> None:
        """So is one that is not what was listed; sent again as it should be, it is taken."""
        files = {"hello.deb": DEB}

        self.assertEqual(self.upload({"hello.deb": b"x"}, changes(files)).status, 400)
        self.assertEqual(self.upload(files, changes(files)).status, 201)
