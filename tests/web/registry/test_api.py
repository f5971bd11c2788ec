"""The dispatch of `/v2/`: paths, names, methods, the gate, and what goes wrong behind it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.model import Access, Action, Principal
from pkgd.web.gate import Gate, declares
from pkgd.web.registry.api import RegistryApi
from pkgd.web.registry.endpoint import Call, Endpoint
from pkgd.web.registry.paths import Kind
from tests.web.content import BLOB, BLOB_DIGEST, CONFIG, PLAIN, PLAIN_DIGEST, digest_of, image, push_blob, push_manifest
from tests.web.content import start as start_upload
from tests.web.fixtures import Edge
from tests.web.messages import Response, Row, each, request_bytes
from tests.web.policies import Explained

NAME = "team/app"
LONGEST = "a" * 255


def refused(clause: str, target: str, code: str = "UNSUPPORTED", status: int = 400, method: str = "GET") -> Row:
    """A request that names nothing."""
    return Row(clause, method, target, status, code=code)


def served(clause: str, name: str) -> Row:
    """A name that a repository may have."""
    target = f"/v2/{name}/blobs/uploads/?digest={digest_of(b'')}"
    return Row(clause, "POST", target, 201, headers={"Location": f"/v2/{name}/blobs/{digest_of(b'')}"})


NAMES = [
    served("A name may have one part", "app"),
    served("A name may have many parts", "a/b/c/d/e/f"),
    served("A name may have separators", "a.b_c__d-e--f/0"),
    served("A name may have 255 characters", LONGEST),
    served("A name may be a word of the API", "blobs"),
    served("A name may look like a path of the API", "a/blobs/uploads/manifests/x/tags/list"),
    served("A name may look like a referrers path", "a/referrers/b"),
    refused("A name of 256 characters is refused", f"/v2/{LONGEST}a/tags/list", "NAME_INVALID"),
    refused("Capitals are refused", "/v2/Team/tags/list", "NAME_INVALID"),
    refused("Two dots in a row are refused", "/v2/a..b/tags/list", "NAME_INVALID"),
    refused("A dash at the end is refused", "/v2/a-/tags/list", "NAME_INVALID"),
    refused("A dot at the beginning is refused", "/v2/.a/tags/list", "NAME_INVALID"),
    refused("The spool is no repository", "/v2/__spool__/tags/list", "NAME_INVALID"),
    refused("A line end is refused", "/v2/app%0A/tags/list"),
    refused("An escape of the layout is refused", "/v2/=blobs/tags/list", "NAME_INVALID"),
]

PATHS = [
    refused("A path that names nothing is unknown", "/v2/app", "NAME_UNKNOWN", 404),
    refused("A path below a manifest is unknown", "/v2/app/manifests/x/y", "NAME_UNKNOWN", 404),
    refused("A manifest without reference is unknown", "/v2/app/manifests/", "NAME_UNKNOWN", 404),
    refused("A blob without digest is unknown", "/v2/app/blobs/", "NAME_UNKNOWN", 404),
    refused("A word of the API without a name is unknown", "/v2/manifests/x", "NAME_UNKNOWN", 404),
    refused("Tags with a slash behind are unknown", "/v2/app/tags/list/", "NAME_UNKNOWN", 404),
    refused("An empty segment is refused", "/v2//app/tags/list"),
    refused("A dot segment is refused", "/v2/app/../other/tags/list"),
    refused("An encoded dot segment is refused", "/v2/app/%2e%2E/other/tags/list"),
    refused("A segment of one dot is refused", "/v2/./app/tags/list"),
    refused("An encoded slash is refused", "/v2/team%2Fapp/tags/list"),
    refused("An encoded NUL is refused", "/v2/app%00/tags/list"),
    refused("A backslash is refused", "/v2/app%5Cx/tags/list"),
    refused("A path that is not UTF-8 is refused", "/v2/%ff/tags/list"),
    refused("Half an escape is refused", "/v2/app%2/tags/list"),
    refused("An encoded percent is not decoded twice", "/v2/app%252e/tags/list", "NAME_INVALID"),
    refused("A query that is not UTF-8 is refused", "/v2/_catalog?last=%ff"),
    refused("A query with too many parameters is refused", "/v2/_catalog?" + "a&" * 256),
    refused("A path longer than 8 KiB is refused", "/v2/" + "a" * 8192, status=414),
    Row("The absolute form is the same", "GET", "http://registry.test/v2/", 200, answer=b"{}"),
    Row("An encoded letter is the letter", "GET", "/v2/%61pp/manifests/late%73t", 404, code="MANIFEST_UNKNOWN"),
    Row("A semicolon separates no parameters", "GET", "/v2/_catalog?last=a;n=x", 200),
    Row("Unknown parameters change nothing", "GET", "/v2/?ns=docker.io&x", 200),
    refused("The asterisk form names nothing", "*", method="OPTIONS"),
]

METHODS = [
    Row("OPTIONS is answered with what there is", "OPTIONS", "/v2/", 405, headers={"Allow": "GET, HEAD"}),
    Row("A blob is not patched", "PATCH", f"/v2/a/blobs/{BLOB_DIGEST}", 405, headers={"Allow": "GET, HEAD, DELETE"}),
    Row("A method in small letters is another", "get", "/v2/", 405, code="UNSUPPORTED"),
    refused("A method that nobody knows is refused", "/v2/", status=405, method="BREW"),
    refused("TRACE is refused", "/v2/", status=405, method="TRACE"),
]


@each([*NAMES, *PATHS, *METHODS])
class DispatchTests(SynchronousTestCase):
    """One request each, to an empty registry."""

    def setUp(self) -> None:
        """Make the registry."""
        self.edge = Edge(self)

    def test_no_redirect(self) -> None:
        """No path is answered with a redirect, whatever the Host."""
        for target in ("/v2", "/v2//", "/health/", "//evil.test/v2/", "/v2/a/blobs/uploads"):
            answer = self.edge.call("GET", target, {"Host": "evil.test"})
            self.assertNotIn(answer.status // 100, (3, 5), target)
            self.assertNotIn(b"evil", answer.body.replace(b"//evil.test/v2/", b""))


class TableTests(SynchronousTestCase):
    """What the table of endpoints refuses to be."""

    def test_undeclared(self) -> None:
        """A handler that declares no access stops the start."""

        async def forgotten(call: Call) -> None:
            """Answers to everybody."""

        self.assertRaises(LookupError, RegistryApi, self.gate(), [Endpoint(Kind.BASE, ("GET",), forgotten)])

    def test_open(self) -> None:
        """A handler that is open to everybody stops the start: nothing here is a probe."""

        @declares(None)
        async def careless(call: Call) -> None:
            """Answers to everybody."""

        self.assertRaises(LookupError, RegistryApi, self.gate(), [Endpoint(Kind.BASE, ("GET",), careless)])

    def gate(self) -> Gate:
        """A gate that lets nobody in."""
        return Gate(Nobody())


class Nobody(Explained):
    """A policy that allows nothing."""

    def allows(self, principal: Principal, access: Access) -> bool:
        """No."""
        return False


class GateTests(Explained, SynchronousTestCase):
    """Every endpoint asks the policy, before it does anything."""

    def setUp(self) -> None:
        """A registry that allows nothing, and notes what it is asked."""
        self.asked: list[Access] = []
        self.edge = Edge(self, policy=self)

    def allows(self, principal: Principal, access: Access) -> bool:
        """The policy."""
        self.asked.append(access)
        return False

    def test_every_endpoint(self) -> None:
        """Each endpoint needs the action that is its effect, on the repository in its path."""
        digest = BLOB_DIGEST
        upload = f"/v2/{NAME}/blobs/uploads/{'0' * 32}"
        for method, target, access in (
            ("GET", "/v2/", Access("registry", Action.ENTER)),
            ("GET", "/v2/_oci/ext/discover", Access("registry", Action.ENTER)),
            ("GET", "/v2/_catalog", Access("registry", Action.LIST)),
            ("GET", f"/v2/{NAME}/tags/list", Access(f"oci:{NAME}", Action.PULL)),
            ("GET", f"/v2/{NAME}/referrers/{digest}", Access(f"oci:{NAME}", Action.PULL)),
            ("GET", f"/v2/{NAME}/manifests/x", Access(f"oci:{NAME}", Action.PULL)),
            ("HEAD", f"/v2/{NAME}/manifests/x", Access(f"oci:{NAME}", Action.PULL)),
            ("PUT", f"/v2/{NAME}/manifests/x", Access(f"oci:{NAME}", Action.PUSH)),
            ("DELETE", f"/v2/{NAME}/manifests/x", Access(f"oci:{NAME}", Action.DELETE)),
            ("GET", f"/v2/{NAME}/blobs/{digest}", Access(f"oci:{NAME}", Action.PULL)),
            ("HEAD", f"/v2/{NAME}/blobs/{digest}", Access(f"oci:{NAME}", Action.PULL)),
            ("DELETE", f"/v2/{NAME}/blobs/{digest}", Access(f"oci:{NAME}", Action.DELETE)),
            ("POST", f"/v2/{NAME}/blobs/uploads/", Access(f"oci:{NAME}", Action.PUSH)),
            ("GET", upload, Access(f"oci:{NAME}", Action.PUSH)),
            ("PATCH", upload, Access(f"oci:{NAME}", Action.PUSH)),
            ("PUT", upload, Access(f"oci:{NAME}", Action.PUSH)),
            ("DELETE", upload, Access(f"oci:{NAME}", Action.PUSH)),
        ):
            self.assertEqual(self.edge.call(method, target).status, 403, target)
            self.assertEqual(self.asked.pop(), access)
        self.assertEqual(self.asked, [])

    def test_before_the_body(self) -> None:
        """A refusal comes before the body: no `100 Continue`, nothing read."""
        client = self.edge.connect()

        client.send(
            request_bytes("POST", f"/v2/{NAME}/blobs/uploads/", {"Content-Length": "9", "Expect": "100-continue"})
        )

        self.assertEqual((client.answer.status, client.answer.code), (403, "DENIED"))
        self.assertEqual(client.answer.header("Connection"), "close")


class TroubleTests(SynchronousTestCase):
    """The machine refuses: reads and deletes go on as long as they can."""

    def setUp(self) -> None:
        """Push an image, and begin an upload."""
        self.edge = Edge(self)
        push_blob(self.edge, NAME, BLOB)
        push_blob(self.edge, NAME, CONFIG)
        push_manifest(self.edge, NAME, "latest", PLAIN)
        self.upload = start_upload(self.edge, NAME)

    def writes(self) -> list[Response]:
        """The answers to everything that writes content."""
        other = image(annotations={"an": "other"})
        return [
            self.edge.call("POST", f"/v2/{NAME}/blobs/uploads/"),
            self.edge.call("POST", f"/v2/{NAME}/blobs/uploads/?digest={digest_of(b'x')}", {}, b"x"),
            self.edge.call("PATCH", self.upload, {}, b"x"),
            self.edge.call("PUT", f"{self.upload}?digest={digest_of(b'x')}", {}, b"x"),
            self.edge.call("PUT", f"/v2/{NAME}/manifests/new", {}, other),
        ]

    def assertServes(self) -> None:
        """Content is served."""
        for target in (f"manifests/{PLAIN_DIGEST}", "manifests/latest", "tags/list", f"blobs/{BLOB_DIGEST}"):
            self.assertEqual(self.edge.call("GET", f"/v2/{NAME}/{target}").status, 200)
        self.assertEqual(self.edge.call("GET", "/v2/_catalog").status, 200)

    def test_full(self) -> None:
        """Below the floor of free space pushes are refused; pulls and deletes go on."""
        self.edge.fs.free_bytes = 0
        self.edge.clock.advance(1)

        for answer in self.writes():
            self.assertEqual((answer.status, answer.code), (507, "UNAVAILABLE"))

        self.assertServes()
        for target in (f"manifests/{PLAIN_DIGEST}", f"blobs/{BLOB_DIGEST}"):
            self.assertEqual(self.edge.call("DELETE", f"/v2/{NAME}/{target}").status, 202)

    def test_full_for_this(self) -> None:
        """A body that would not leave the floor free is refused before it is read."""
        self.edge.fs.free_bytes = (1 << 20) + 100
        self.edge.clock.advance(1)
        client = self.edge.connect()

        client.send(request_bytes("PATCH", self.upload, {"Content-Length": "101", "Expect": "100-continue"}))

        self.assertEqual(client.answer.status, 507)

    def test_read_only(self) -> None:
        """On a read-only storage pushes are refused for the moment; pulls go on."""
        self.edge.fs.read_only = True

        for answer in self.writes():
            self.assertEqual((answer.status, answer.code), (503, "UNAVAILABLE"))
            self.assertEqual(answer.header("Retry-After"), "5")

        self.assertServes()
        self.assertEqual(self.edge.call("DELETE", f"/v2/{NAME}/manifests/latest").status, 503)

    def test_writable_again(self) -> None:
        """Once the storage accepts writes again, so does the registry."""
        self.edge.fs.read_only = True
        self.writes()
        self.edge.fs.read_only = False

        self.assertEqual(self.edge.call("PUT", f"{self.upload}?digest={digest_of(b'y')}", {}, b"y").status, 201)

    def test_out_of_descriptors(self) -> None:
        """Without file descriptors the answer is to come again soon."""
        self.edge.fs.exhausted = True

        answer = self.edge.call("GET", f"/v2/{NAME}/blobs/{BLOB_DIGEST}")

        self.assertEqual((answer.status, answer.code, answer.header("Retry-After")), (503, "UNAVAILABLE", "5"))
