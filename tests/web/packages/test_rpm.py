"""`/rpm/`: what dnf and zypper read, uploads, deletes, and what is refused."""

from __future__ import annotations

import hashlib
import os

from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.model import Action
from pkgd.formats import rpmtags as tags
from tests.formats.rpms import int32, rpm, string
from tests.packages.fixtures import made_deb
from tests.web.messages import Response, Row, each
from tests.web.packages.fixtures import PackagesEdge
from tests.web.packages.test_apt import Deny

HELLO = rpm()
OTHER = rpm({tags.BUILD_TIME: int32(1)})
CARET = rpm({tags.VERSION: string("1.0^git1")})
COMPS = b'<?xml version="1.0"?>\n<comps/>\n'
BASE = "/rpm/internal/el9/"
UPLOAD = f"{BASE}hello-1.0-1.noarch.rpm"
REPOMD = f"{BASE}repodata/repomd.xml"
POOL = f"{BASE}Packages/h/{hashlib.sha256(HELLO).hexdigest()[:12]}/hello-1.0-1.noarch.rpm"
TEXT = {"Content-Type": "text/plain; charset=utf-8"}


def refused(clause: str, method: str, target: str, status: int, body: bytes = b"", **headers: str) -> Row:
    """What ends in an error of plain text."""
    return Row(clause, method, target, status, body=body, headers={**TEXT, **headers})


ROWS = [
    Row("The index is there", "GET", REPOMD, 200, headers={"Cache-Control": "no-cache"}),
    Row("Its signature is there", "HEAD", f"{REPOMD}.asc", 200),
    Row("zypper finds the key beside it", "GET", f"{REPOMD}.key", 200, answer=b"KEYS"),
    Row("dnf finds it by gpgkey", "GET", f"{BASE}key.asc", 200, headers={"Content-Type": "application/pgp-keys"}),
    Row("So it is by Gitea's name", "GET", "/api/packages/main/rpm/repository.key", 200),
    Row(
        "The current generation is named",
        "GET",
        f"{BASE}mirrorlist",
        200,
        headers={"Cache-Control": "no-store"},
        answer=b"http://registry.test/rpm/internal/el9/@1/\n",
    ),
    Row("The base says how it is used", "GET", BASE, 200, headers=TEXT),
    Row("A package is published", "PUT", UPLOAD, 201, body=HELLO, headers={"Location": POOL}),
    Row("The URL's last part may say anything", "PUT", f"{BASE}x.rpm", 201, body=HELLO, headers={"Location": POOL}),
    Row("Gitea's call", "PUT", "/api/packages/internal/rpm/el9/upload", 201, body=HELLO),
    Row("Nexus's call", "PUT", "/repository/internal/el9/some/where/x.rpm", 201, body=HELLO),
    Row("Artifactory's call", "PUT", "/artifactory/internal/el9/x.rpm;a=b", 201, body=HELLO),
    Row("Groups are published", "PUT", f"{BASE}comps.xml", 201, body=COMPS, headers=TEXT),
    refused(
        "A signature that is not made here is refused", "PUT", "/api/packages/main/rpm/upload?sign=true", 400, HELLO
    ),
    refused("What is no package is refused", "PUT", UPLOAD, 400, b"no package"),
    refused("A file of an unknown kind is refused", "PUT", f"{BASE}a.txt", 400, b"x"),
    refused("An unknown repository is refused", "PUT", "/rpm/internal/x.rpm", 404, HELLO),
    refused("What is no file of the repository is unknown", "GET", f"{BASE}media.1/media", 404),
    refused("A generation that was never published is unknown", "GET", f"{BASE}@9/repodata/repomd.xml", 404),
    refused("A package that nobody has uploaded is unknown", "GET", POOL, 404),
    refused("What nobody has uploaded is not deleted", "DELETE", UPLOAD, 404),
    refused("Nor by its path", "DELETE", POOL, 404),
    refused("Nor by its name", "DELETE", "/api/packages/internal/rpm/el9/package/hello/1.0-1/noarch", 404),
    refused("Nor are groups", "DELETE", f"{BASE}comps.xml", 404),
    refused("An index is read only", "PUT", REPOMD, 405, Allow="GET, HEAD"),
]


@each(ROWS)
class RequestTests(SynchronousTestCase):
    """One request to repositories that are empty."""

    def setUp(self) -> None:
        """Publish them."""
        self.edge = PackagesEdge(self)

    def test_lines(self) -> None:
        """The lines that would make an unknown repository one are in the answer."""
        answer = self.edge.call("GET", "/rpm/internal/el10/repodata/repomd.xml")

        self.assertIn(b"repositories:\n  rpm:\n    - {name: internal/el10}", answer.body)

    def test_setup(self) -> None:
        """A client's configuration has the URL by which it was fetched; Gitea's name for it will do."""
        text = self.edge.call("GET", f"{BASE}pkgd.repo").body

        self.assertIn(b"mirrorlist=http://registry.test/rpm/internal/el9/mirrorlist\n", text)
        self.assertEqual(self.edge.call("GET", "/api/packages/internal/rpm/el9.repo").body, text)

    def test_setup_of_zypper(self) -> None:
        """zypper keeps a mirrorlist for ten minutes, so it is given the plain URL."""
        text = self.edge.call("GET", f"{BASE}pkgd.repo", {"User-Agent": "ZYpp 17.31.31 (curl 7.88.1)"}).body

        self.assertIn(b"baseurl=http://registry.test/rpm/internal/el9/\n", text)
        self.assertNotIn(b"mirrorlist", text)

    def test_denied(self) -> None:
        """Each request needs one action on its repository."""
        for action, calls in {
            Action.PULL: [("GET", REPOMD), ("HEAD", POOL), ("GET", f"{BASE}mirrorlist"), ("GET", f"{BASE}key.asc")],
            Action.PUSH: [("PUT", UPLOAD), ("PUT", "/api/packages/internal/rpm/el9/upload")],
            Action.DELETE: [("DELETE", UPLOAD), ("DELETE", POOL)],
        }.items():
            edge = PackagesEdge(self, policy=Deny("rpm:internal/el9", action))
            for method, target in calls:
                self.assertEqual(edge.call(method, target).status, 403, target)

    def test_overwrite(self) -> None:
        """A document in place of another is more than a push; a first one is not."""
        edge = PackagesEdge(self, policy=Deny("rpm:internal/el9", Action.OVERWRITE))

        self.assertEqual(edge.call("PUT", f"{BASE}comps.xml", {}, COMPS).status, 201)
        before = edge.call("GET", REPOMD).body
        self.assertEqual(edge.call("PUT", f"{BASE}comps.xml", {}, COMPS + b"<!-- -->").status, 403)
        self.assertEqual(edge.call("GET", REPOMD).body, before)


class UploadTests(SynchronousTestCase):
    """An upload, and what readers see then."""

    def setUp(self) -> None:
        """Upload a package."""
        self.edge = PackagesEdge(self)
        self.upload(HELLO)

    def upload(self, data: bytes) -> Response:
        """Put a package."""
        return self.edge.call("PUT", UPLOAD, {}, data)

    def index(self) -> bytes:
        """The index of all."""
        return self.edge.call("GET", REPOMD).body

    def test_visible(self) -> None:
        """When it is answered its file can be fetched; nothing is left in the spool."""
        self.assertEqual(self.edge.call("GET", POOL).body, HELLO)
        self.assertEqual(self.edge.spooled(), [])

    def test_again(self) -> None:
        """The same bytes are 200, others of the same version 409, and change nothing."""
        before = self.index()

        self.assertEqual((self.upload(HELLO).status, self.upload(OTHER).status), (200, 409))
        self.assertEqual((self.index(), self.edge.spooled()), (before, []))

    def test_modified(self) -> None:
        """A package's file has the date of its upload: with it the client's copy is 304, and a download resumed."""
        os.utime(self.edge.state.path(POOL.removeprefix("/")), (1_800_000_000, 1_800_000_000))
        date = self.edge.call("HEAD", POOL).header("Last-Modified") or ""

        self.assertEqual(date, "Fri, 15 Jan 2027 08:00:00 GMT")
        self.assertEqual(self.edge.call("GET", POOL, {"If-Modified-Since": date}).status, 304)
        self.assertEqual(self.edge.call("GET", POOL, {"Range": "bytes=5-", "If-Range": date}).status, 206)

    def test_caret(self) -> None:
        """A version with `^` has a location that is a URL, and is fetched encoded or not."""
        location = self.upload(CARET).header("Location") or ""

        self.assertTrue(location.endswith("hello-1.0%5Egit1-1.noarch.rpm"), location)
        for path in (location, location.replace("%5E", "^")):
            self.assertEqual(self.edge.call("GET", path).body, CARET)

    def test_generation(self) -> None:
        """The generation that was current stays as it was."""
        before, place = self.index(), self.edge.call("GET", f"{BASE}mirrorlist").body.decode("ascii").strip()
        self.upload(CARET)

        old = self.edge.call("GET", place.removeprefix("http://registry.test") + "repodata/repomd.xml")

        self.assertEqual(old.body, before)
        self.assertIn("immutable", old.header("Cache-Control") or "")
        self.assertNotEqual(self.index(), before)

    def test_deletes(self) -> None:
        """By the file's name, by its path, and by name, version and architecture."""
        for path in (UPLOAD, POOL, "/api/packages/internal/rpm/el9/package/hello/1.0-1/noarch"):
            self.upload(HELLO)
            self.assertEqual(self.edge.call("DELETE", path).status, 204, path)
            self.assertEqual(self.edge.call("DELETE", path).status, 404, path)

    def test_documents(self) -> None:
        """A document is part of the index until it is deleted."""
        self.edge.call("PUT", f"{BASE}el9-comps.xml", {}, COMPS)
        self.assertIn(b'type="group"', self.index())

        self.assertEqual(self.edge.call("DELETE", f"{BASE}comps.xml").status, 204)
        self.assertNotIn(b'type="group"', self.index())


class TogetherTests(SynchronousTestCase):
    """zypper fetches signature, key and index by plain paths: they belong together, whatever is published meanwhile."""

    def setUp(self) -> None:
        """Publish something, and fetch the signature of that over a connection."""
        self.edge = PackagesEdge(self)
        self.edge.call("PUT", UPLOAD, {}, HELLO)
        self.before = self.edge.call("GET", REPOMD).body
        self.client = self.edge.connect()
        self.fetch(f"{REPOMD}.asc")

    def fetch(self, path: str) -> bytes:
        """A GET over the connection."""
        self.client.request("GET", path)
        self.edge.run()
        return self.client.answers()[-1].body

    def publish(self) -> None:
        """Publish something else."""
        self.edge.call("PUT", UPLOAD, {}, CARET)

    def test_together(self) -> None:
        """The index that follows over the connection is the one that was signed, once."""
        self.publish()

        self.assertEqual(self.fetch(REPOMD), self.before)
        self.assertNotEqual(self.fetch(REPOMD), self.before)

    def test_key_between(self) -> None:
        """The key, which zypper fetches between the two, changes nothing, though there was a publish before it."""
        self.publish()

        self.fetch(f"{REPOMD}.key")

        self.assertEqual(self.fetch(REPOMD), self.before)

    def test_other_connection(self) -> None:
        """Another connection gets what is current."""
        self.publish()

        self.assertNotEqual(self.edge.call("GET", REPOMD).body, self.before)

    def test_later(self) -> None:
        """After ten seconds nobody waits for the old one any more."""
        self.publish()
        self.edge.pass_time(11)

        self.assertNotEqual(self.fetch(REPOMD), self.before)

    def test_other_repository(self) -> None:
        """The other repository's index is its own."""
        self.publish()

        self.assertNotEqual(self.fetch("/rpm/main/repodata/repomd.xml"), self.before)


class UnreadableTests(SynchronousTestCase):
    """Where the disk cannot read a package, whichever kind of repository has it."""

    def test_it_is_a_suspect(self) -> None:
        """Who asks for it gets 500, or a body that is cut; all else is served."""
        edge = PackagesEdge(self)
        edge.call("PUT", UPLOAD, {}, HELLO)
        location = edge.call("PUT", "/apt/main/stable/main/a.deb", {}, made_deb()).header("Location") or ""
        for path, directory in ((POOL, "rpm/internal/el9"), (location, "apt/main")):
            edge.suspects.clear()
            edge.fs.bad_inode = path.rpartition("/")[2]
            self.assertEqual(edge.call("GET", path).status, 500)
            edge.fs.bad_inode, edge.fs.bad_bytes = "-", edge.fs.bad_inode
            client = edge.connect()
            client.request("GET", path, {})
            edge.run()
            self.assertTrue(client.transport.aborted)
            self.assertEqual(edge.suspects, [(directory, path.removeprefix(f"/{directory}/"))] * 2)
            self.assertEqual(edge.call("GET", REPOMD).status, 200)
            edge.fs.bad_bytes = "-"
