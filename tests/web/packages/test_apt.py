"""`/apt/`: what apt reads, uploads, deletes, and what is refused."""

from __future__ import annotations

import hashlib
import os
from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.model import Access, Action, Principal
from pkgd.auth.rules import Rule, RulePolicy
from pkgd.web.outside import Outside
from tests.packages.fixtures import made_deb
from tests.web.messages import Response, Row, each
from tests.web.packages.fixtures import PackagesEdge
from tests.web.policies import Explained

HELLO = made_deb()
OTHER = made_deb(Priority="extra")
NEWER = made_deb(version="1:2.0+x~rc1")
PLACE = "/apt/main/stable/main/"
UPLOAD = f"{PLACE}hello_1.0_amd64.deb"
RELEASE = "/apt/main/dists/stable/InRelease"
PACKAGES = "/apt/main/dists/stable/main/binary-amd64/Packages"
DIGEST = hashlib.sha256(HELLO).hexdigest()
POOL = f"/apt/main/pool/main/h/hello/{DIGEST[:12]}/hello_1.0_amd64.deb"
DATE = "Fri, 15 Jan 2027 08:00:00 GMT"
TEXT = {"Content-Type": "text/plain; charset=utf-8"}


def refused(clause: str, method: str, target: str, status: int, body: bytes = b"", **headers: str) -> Row:
    """What ends in an error of plain text."""
    return Row(clause, method, target, status, body=body, headers={**TEXT, **headers})


READS = [
    Row("The signed release is there", "GET", RELEASE, 200, headers={"Cache-Control": "no-cache"}),
    Row("HEAD gives the head of a GET", "HEAD", RELEASE, 200, headers={"Accept-Ranges": "bytes"}),
    Row("The keys are there", "GET", "/apt/main/key.asc", 200, headers={"Content-Type": "application/pgp-keys"}),
    Row("So they are by Gitea's name", "GET", "/api/packages/main/debian/repository.key", 200),
    Row("The base says how it is used", "GET", "/apt/main/", 200, headers=TEXT),
    refused("A file that no release names is unknown", "GET", f"{PACKAGES}.bz2", 404),
    refused("A generation that was never published is unknown", "GET", "/apt/main/@99/dists/stable/InRelease", 404),
    refused("A package that nobody has uploaded is unknown", "GET", POOL, 404),
    refused("Another repository is unknown", "GET", "/apt/other/dists/stable/InRelease", 404),
    refused("Another suite is unknown", "GET", "/apt/main/dists/sid/InRelease", 404),
    refused("A source of another suite is unknown", "GET", "/apt/main/sid.sources", 404),
    refused("What is no place in a repository is unknown", "GET", "/apt/main/x", 404),
    refused("A traversal is no path", "GET", "/apt/main/pool/%2e%2e/keys", 400),
    refused("An index is read only", "PUT", RELEASE, 405, Allow="GET, HEAD"),
    refused("An upload's place is not there to be read", "GET", UPLOAD, 404),
    refused("Nothing else can be done with it", "PATCH", UPLOAD, 405, Allow="PUT, POST, DELETE"),
    refused("What nobody uploaded is not deleted", "DELETE", UPLOAD, 404),
    refused("Nor by its path", "DELETE", POOL, 404),
    refused("Nor by its name", "DELETE", "/api/packages/main/debian/pool/stable/main/hello/1.0/amd64", 404),
]
UPLOADS = [
    Row("A package is published", "PUT", UPLOAD, 201, body=HELLO, headers={"Location": POOL}),
    Row("The URL's last part may say anything", "PUT", f"{PLACE}x.deb", 201, body=HELLO, headers={"Location": POOL}),
    Row("Gitea's call", "PUT", "/api/packages/main/debian/pool/stable/main/upload", 201, body=HELLO),
    Row("What only takes uploads names nothing to be deleted", "DELETE", "/repository/main/", 404, body=b""),
    Row("Nor where the suite is known", "DELETE", "/api/packages/main/debian/pool/stable/main/upload", 404),
    Row("Nexus's call", "POST", "/repository/main/", 201, {"Content-Type": "multipart/form-data"}, HELLO),
    Row("Artifactory's call", "PUT", "/artifactory/main/pool/a.deb;deb.distribution=stable", 201, body=HELLO),
    refused("An unknown suite is refused", "PUT", "/apt/main/sid/main/a.deb", 404, HELLO),
    refused("An unknown component is refused", "PUT", "/apt/main/stable/extra/a.deb", 404, HELLO),
    refused("An unknown repository is refused", "PUT", "/apt/none/stable/main/a.deb", 404, HELLO),
    refused("What is no package is refused", "PUT", UPLOAD, 400, b"no package"),
    refused("An empty body is no package", "PUT", UPLOAD, 400),
    refused("A file of an unknown kind is refused", "PUT", f"{PLACE}a.txt", 400, b"x"),
    Row("A file of a source is kept", "PUT", f"{PLACE}hello_1.0.orig.tar.gz", 201, body=b"x", headers=TEXT),
    refused("A .changes whose files are missing is refused", "PUT", "/apt/main/incoming/stable/a.changes", 400, b"x"),
]


@each([*READS, *UPLOADS])
class RequestTests(SynchronousTestCase):
    """One request to repositories that are empty."""

    def setUp(self) -> None:
        """Publish them."""
        self.edge = PackagesEdge(self)

    def test_lines(self) -> None:
        """The lines that would make an unknown repository, suite or component one are in the answer."""
        for target, line in {
            "/apt/new/stable/main/a.deb": b"- {name: new, suites: [{codename: stable}]}",
            "/apt/main/sid/main/a.deb": b"- codename: sid",
            "/apt/main/stable/extra/a.deb": b"- {codename: stable, components: [main, contrib, extra]}",
        }.items():
            self.assertIn(line, self.edge.call("PUT", target, {}, HELLO).body)

    def test_hostile_names(self) -> None:
        """A name that could not be written there is no example."""
        answer = self.edge.call("PUT", "/apt/main/a%3A%20%7B/main/a.deb", {}, HELLO)

        self.assertIn(answer.status, (400, 404))
        self.assertNotIn(b"codename: a:", answer.body)

    def test_setup(self) -> None:
        """A suite's source has its keys in it, and the URL by which it was fetched."""
        text = self.edge.call("GET", "/apt/main/stable.sources").body.decode("ascii")

        self.assertIn("Types: deb deb-src\nURIs: http://registry.test/apt/main\nSuites: stable\n", text)
        self.assertTrue(text.endswith("Components: main contrib\nSigned-By:\n KEYS\n"), text)

    def test_no_cache_keeps_what_names_the_host(self) -> None:
        """What has a URL in it that a client has made up is for that client alone."""
        for path in ("/apt/main/stable.sources", "/apt/main/"):
            answer = self.edge.call("GET", path, {"Host": "evil.example"})

            self.assertIn(b"evil.example", answer.body)
            self.assertEqual(answer.header("Cache-Control"), "no-store")


class ConfiguredUrlTests(SynchronousTestCase):
    """Where the configuration says how clients reach the server, that is what they are told."""

    def test_setup(self) -> None:
        """Whatever the request's Host is."""
        edge = PackagesEdge(self, outside=Outside("https://pkg.example.com"))

        answer = edge.call("GET", "/apt/main/stable.sources", {"Host": "10.0.0.1"})

        self.assertIn(b"URIs: https://pkg.example.com/apt/main\n", answer.body)

    def test_proxy(self) -> None:
        """Else what a trusted proxy says counts, and what anybody else says of it does not."""
        headers = {"Host": "10.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "pkg.example.com"}
        for trusted, url in (("192.0.2.0/24", b"https://pkg.example.com"), ("198.51.100.0/24", b"http://10.0.0.1")):
            edge = PackagesEdge(self, outside=Outside(trusted=[ip_network(trusted)]))

            answer = edge.call("GET", "/apt/main/stable.sources", headers)

            self.assertIn(b"URIs: %b/apt/main\n" % url, answer.body)


class UploadTests(SynchronousTestCase):
    """An upload, and what readers see then."""

    def setUp(self) -> None:
        """Upload a package."""
        self.edge = PackagesEdge(self)
        self.upload(HELLO)

    def upload(self, data: bytes, target: str = UPLOAD) -> Response:
        """Put a package."""
        return self.edge.call("PUT", target, {}, data)

    def packages(self, suite: str = "stable") -> bytes:
        """A suite's index."""
        return self.edge.call("GET", f"/apt/main/dists/{suite}/main/binary-amd64/Packages").body

    def test_visible(self) -> None:
        """When it is answered it is in the index, and its file can be fetched; nothing is left in the spool."""
        self.assertIn(f"SHA256: {DIGEST}".encode(), self.packages())
        self.assertEqual(self.edge.call("GET", POOL).body, HELLO)
        self.assertEqual(self.edge.spooled(), [])

    def test_hashes(self) -> None:
        """All hashes are those of what was sent."""
        for name in ("md5", "sha1", "sha512"):
            self.assertIn(hashlib.new(name, HELLO).hexdigest().encode(), self.packages())

    def test_again(self) -> None:
        """The same bytes are 200, others of the same version 409, and change nothing."""
        before = self.packages()

        self.assertEqual(self.upload(HELLO).status, 200)
        self.assertEqual(self.upload(OTHER).status, 409)
        self.assertEqual((self.packages(), self.edge.spooled()), (before, []))

    def test_escaped_version(self) -> None:
        """A version with `+` and `~` can be fetched encoded and plain."""
        location = self.upload(NEWER).header("Location") or ""

        self.assertTrue(location.endswith("hello_2.0+x~rc1_amd64.deb"), location)
        for path in (location, location.replace("+", "%2b").replace("~", "%7e")):
            self.assertEqual(self.edge.call("GET", path).body, NEWER)

    def test_immutable(self) -> None:
        """A package's file may be kept for good."""
        self.assertIn("immutable", self.edge.call("GET", POOL).header("Cache-Control") or "")

    def test_ranges(self) -> None:
        """A download goes on where it broke off, under the ETag's condition."""
        etag = self.edge.call("HEAD", POOL).header("ETag") or ""

        rest = self.edge.call("GET", POOL, {"Range": "bytes=10-", "If-Range": etag})
        whole = self.edge.call("GET", POOL, {"Range": "bytes=10-", "If-Range": '"other"'})

        self.assertEqual((rest.status, rest.body), (206, HELLO[10:]))
        self.assertEqual((whole.status, whole.body), (200, HELLO))
        self.assertEqual(self.edge.call("GET", POOL, {"Range": f"bytes={len(HELLO)}-"}).status, 416)

    def test_index_ranges(self) -> None:
        """Of an index that is made of pieces, too."""
        whole = self.packages()

        for start, end in ((0, 0), (3, 50), (len(whole) - 5, len(whole) - 1)):
            part = self.edge.call("GET", PACKAGES, {"Range": f"bytes={start}-{end}"})
            self.assertEqual((part.status, part.body), (206, whole[start : end + 1]))

    def test_delete(self) -> None:
        """A package taken out of a suite stays in others."""
        self.upload(HELLO, "/apt/main/testing/main/a.deb")

        self.assertEqual(self.edge.call("DELETE", UPLOAD).status, 204)
        self.assertNotIn(b"Package:", self.packages())
        self.assertIn(b"Package: hello", self.packages("testing"))

    def test_delete_everywhere(self) -> None:
        """By its path in the pool it is taken out of all; whoever has an older index can still fetch it."""
        self.upload(HELLO, "/apt/main/testing/main/a.deb")

        self.assertEqual(self.edge.call("DELETE", POOL).status, 204)
        self.assertNotIn(b"Package:", self.packages() + self.packages("testing"))
        self.assertEqual(self.edge.call("GET", POOL).status, 200)

    def test_delete_by_name(self) -> None:
        """As Gitea does it."""
        path = "/api/packages/main/debian/pool/stable/main/hello/1.0/amd64"

        self.assertEqual((self.edge.call("DELETE", path).status, self.edge.call("DELETE", path).status), (204, 404))

    def test_several_suites(self) -> None:
        """Artifactory's matrix may name several suites."""
        matrix = ";deb.distribution=stable;deb.distribution=testing;deb.component=main"

        self.assertEqual(self.upload(NEWER, f"/artifactory/main/a.deb{matrix}").status, 201)
        for suite in ("stable", "testing"):
            self.assertIn(b"Version: 1:2.0+x~rc1", self.packages(suite))

    def test_suites_by_rule(self) -> None:
        """What is allowed for a suite is allowed there alone, whichever shape the request has."""
        rules = [
            Rule("read", ("apt:main",), ("anonymous",), frozenset([Action.PULL])),
            Rule("test", ("apt:main/testing",), ("anonymous",), frozenset([Action.PUSH, Action.DELETE])),
        ]
        self.edge = PackagesEdge(self, policy=RulePolicy(rules))
        self.assertEqual(self.upload(HELLO, "/apt/main/testing/main/a.deb").status, 201)
        name = POOL.rpartition("/")[2]
        for method, target, status in (
            ("PUT", "/apt/main/stable/main/a.deb", 403),
            ("POST", "/repository/main/", 403),
            ("PUT", "/artifactory/main/a.deb;deb.distribution=testing", 200),
            ("PUT", "/artifactory/main/a.deb;deb.distribution=stable", 403),
            ("PUT", "/artifactory/main/a.deb;deb.distribution=testing;deb.distribution=stable", 403),
            ("PUT", "/artifactory/main/a.deb;deb.distribution=stable;deb.distribution=testing", 403),
            ("PUT", "/api/packages/main/debian/pool/stable/main/upload", 403),
            ("PUT", "/api/packages/main/debian/pool/testing/main/upload", 200),
            ("PUT", "/apt/main/incoming/stable/a.tar.gz", 403),
            ("PUT", "/api/v4/projects/main/packages/debian/a.tar.gz", 403),
            ("DELETE", POOL, 403),
            ("DELETE", f"/apt/main/stable/main/{name}", 403),
            ("DELETE", "/api/packages/main/debian/pool/stable/main/hello/1.0/amd64", 403),
            ("GET", POOL, 200),
            ("GET", "/apt/main/dists/stable/Release", 200),
            ("GET", "/apt/main/stable.sources", 200),
            ("DELETE", f"/apt/main/testing/main/{name}", 204),
        ):
            body = HELLO if method in ("PUT", "POST") else b""
            self.assertEqual(self.edge.call(method, target, {}, body).status, status, (method, target))

    def test_unsigned(self) -> None:
        """While nothing can be signed nothing is published, and reading goes on."""
        self.edge.signer.broken = True

        self.assertEqual(self.upload(NEWER).status, 503)
        self.assertEqual(self.edge.call("GET", RELEASE).status, 200)
        self.assertEqual(self.edge.spooled(), [])

    def test_lost(self) -> None:
        """A client that leaves in the middle leaves nothing behind."""
        client = self.edge.connect()
        client.request("PUT", UPLOAD, {"Content-Length": "100000"}, b"begun")

        client.lose()
        self.edge.run()

        self.assertEqual(self.edge.spooled(), [])


class ConditionTests(SynchronousTestCase):
    """A condition never hides a publish."""

    def setUp(self) -> None:
        """Publish a package, a minute after the repository began."""
        self.edge = PackagesEdge(self)
        self.edge.pass_time(60)
        self.edge.call("PUT", UPLOAD, {}, HELLO)

    def test_known(self) -> None:
        """What the client has is 304, by tag and by date."""
        head = self.edge.call("HEAD", RELEASE)

        for name, value in (("If-None-Match", "ETag"), ("If-Modified-Since", "Last-Modified")):
            self.assertEqual(self.edge.call("GET", RELEASE, {name: head.header(value) or ""}).status, 304)

    def test_same_second(self) -> None:
        """Two generations of one second have one date, which then says nothing; the tag still does."""
        date = self.edge.call("HEAD", RELEASE).header("Last-Modified") or ""
        self.edge.call("PUT", UPLOAD, {}, NEWER)
        head = self.edge.call("HEAD", RELEASE)

        self.assertEqual(head.header("Last-Modified"), date)
        self.assertEqual(self.edge.call("GET", RELEASE, {"If-Modified-Since": date}).status, 200)
        self.assertEqual(self.edge.call("GET", RELEASE, {"If-None-Match": head.header("ETag") or ""}).status, 304)

    def test_range_by_date(self) -> None:
        """A date is good for a range only if it stands for one content."""
        date = self.edge.call("HEAD", RELEASE).header("Last-Modified") or ""
        headers = {"Range": "bytes=0-0", "If-Range": date}

        self.assertEqual(self.edge.call("GET", RELEASE, headers).status, 206)
        self.edge.call("PUT", UPLOAD, {}, NEWER)
        self.assertEqual(self.edge.call("GET", RELEASE, headers).status, 200)

    def test_tag_first(self) -> None:
        """Where both are given the tag counts."""
        date = self.edge.call("HEAD", RELEASE).header("Last-Modified") or ""

        answer = self.edge.call("GET", RELEASE, {"If-None-Match": '"other"', "If-Modified-Since": date})

        self.assertEqual(answer.status, 200)

    def test_pipelined(self) -> None:
        """apt asks for ten files before it reads the first."""
        client = self.edge.connect()

        for _ in range(10):
            client.request("GET", PACKAGES)
        self.edge.run()

        self.assertEqual([one.status for one in client.answers()], [200] * 10)


class PoolDateTests(SynchronousTestCase):
    """Conditions with dates on a package's file, which is never another."""

    def setUp(self) -> None:
        """Publish a package whose file has a date."""
        self.edge = PackagesEdge(self)
        self.edge.call("PUT", UPLOAD, {}, HELLO)
        file = self.edge.state.path(POOL.removeprefix("/").partition("?")[0])
        os.utime(file, (1_800_000_000, 1_800_000_000.75))

    def status(self, **headers: str) -> int:
        """How a request is answered."""
        return self.edge.call("GET", POOL, {name.replace("_", "-"): value for name, value in headers.items()}).status

    def test_modified(self) -> None:
        """Last-Modified is when the file came, in whole seconds."""
        self.assertEqual(self.edge.call("HEAD", POOL).header("Last-Modified"), DATE)

    def test_since(self) -> None:
        """If-Modified-Since with that date or a later one is 304; an earlier one, or what is none, is not."""
        for date, status in (
            (DATE, 304),
            ("Fri, 15 Jan 2027 08:00:01 GMT", 304),
            ("Friday, 15-Jan-27 08:00:00 GMT", 304),
            ("Fri, 15 Jan 2027 07:59:59 GMT", 200),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 200),
        ):
            self.assertEqual(self.status(If_Modified_Since=date), status, date)
        for hostile in ("x", "a b c d e", "Fri, 15 Jan 2027 08:00 GMT", "Fri, 15 Jan 2027\xff", " ", "Fri, 15 Jan -1"):
            self.assertEqual(self.status(If_Modified_Since=hostile), 200, hostile)
        self.assertIn(self.status(If_Modified_Since=f"Fri, 15 Jan {9 * '9'} 08:00:00 GMT"), (200, 304))

    def test_tag_first(self) -> None:
        """A tag counts before a date."""
        self.assertEqual(self.status(If_None_Match='"other"', If_Modified_Since=DATE), 200)

    def test_range(self) -> None:
        """apt resumes by the date of what it has, which has to be this one to the second."""
        self.assertEqual(self.status(Range="bytes=5-", If_Range=DATE), 206)
        for other in ("Fri, 15 Jan 2027 08:00:01 GMT", "Fri, 15 Jan 2027 07:59:59 GMT", "x"):
            self.assertEqual(self.status(Range="bytes=5-", If_Range=other), 200, other)


class Deny(Explained):
    """A policy that allows everything but one action on one resource."""

    def __init__(self, resource: str, action: Action) -> None:
        self._denied = resource, action

    def allows(self, principal: Principal, access: Access) -> bool:
        """Whether it is anything else."""
        return (access.resource, access.action) != self._denied


class AccessTests(SynchronousTestCase):
    """Each request needs one action on its repository, also under another server's name for it."""

    def test_denied(self) -> None:
        """Whoever may not is refused before the body is read, also where there is no such repository."""
        for action, calls in {
            Action.PULL: [("GET", RELEASE), ("HEAD", POOL), ("GET", "/apt/main/key.asc"), ("GET", "/apt/main/")],
            Action.PUSH: [("PUT", UPLOAD), ("POST", "/repository/main/"), ("PUT", "/apt/main/incoming/stable/a")],
            Action.DELETE: [("DELETE", UPLOAD), ("DELETE", POOL)],
        }.items():
            edge = PackagesEdge(self, policy=Deny("apt:main", action))
            for method, target in calls:
                self.assertEqual(edge.call(method, target).status, 403, target)

    def test_limit(self) -> None:
        """A body beyond the limit is refused."""
        edge = PackagesEdge(self, upload_size=10)

        self.assertEqual(edge.call("PUT", UPLOAD, {}, HELLO).status, 413)
        self.assertEqual(edge.spooled(), [])
