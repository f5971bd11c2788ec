"""`/api/v1/`: listing, search, copies."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.model import Action
from pkgd.auth.rules import Rule, RulePolicy
from tests.formats.rpms import rpm
from tests.packages.fixtures import made_deb
from tests.web.messages import Response, Row, each
from tests.web.packages.fixtures import PackagesEdge
from tests.web.packages.test_apt import Deny

PACKAGES = "/api/v1/packages"
COPY = "/api/v1/apt/main/copy"
JSON = {"Content-Type": "application/json"}


def refused(clause: str, method: str, target: str, status: int, body: bytes = b"", **more: Any) -> Row:
    """What ends in an error."""
    return Row(clause, method, target, status, body=body, **more)


ROWS = [
    Row("Everything is listed", "GET", PACKAGES, 200, headers={**JSON, "Cache-Control": "no-store"}),
    Row(
        "A repository that is empty has an empty list",
        "GET",
        f"{PACKAGES}?repository=rpm:main",
        200,
        answer=b'{"packages":[],"last":null}',
    ),
    refused("An unknown repository is refused", "GET", f"{PACKAGES}?repository=apt:x", 404, code="NAME_UNKNOWN"),
    refused("So is an unknown suite", "GET", f"{PACKAGES}?repository=apt:main&suite=x", 404, code="NAME_UNKNOWN"),
    refused("A repository needs its kind", "GET", f"{PACKAGES}?repository=main", 400, code="UNSUPPORTED"),
    refused("A page's size is a number", "GET", f"{PACKAGES}?n=x", 400, code="UNSUPPORTED"),
    refused("Packages are not posted", "POST", PACKAGES, 405, headers={"Allow": "GET, HEAD"}, code="UNSUPPORTED"),
    refused("A copy is posted", "GET", COPY, 405, headers={"Allow": "POST"}, code="UNSUPPORTED"),
    refused("A copy needs its order", "POST", COPY, 400, b"{}", code="UNSUPPORTED"),
    refused("An order has no other keys", "POST", COPY, 400, b'{"source":"a","target":"b","name":"c","x":1}'),
    refused("An order says what is meant", "POST", COPY, 400, b'{"source":"stable","target":"testing"}'),
    refused("An order is JSON", "POST", COPY, 400, b"source=a", code="UNSUPPORTED"),
    refused(
        "Of no package there is nothing to copy",
        "POST",
        COPY,
        404,
        b'{"source":"stable","target":"testing","name":"c"}',
    ),
    refused("Nor into an unknown suite", "POST", COPY, 404, b'{"source":"stable","target":"x","name":"hello"}'),
    refused(
        "Nor in an unknown repository", "POST", "/api/v1/apt/x/copy", 404, b'{"source":"a","target":"b","name":"c"}'
    ),
    refused("There is nothing else", "GET", "/api/v1/", 404, code="NAME_UNKNOWN"),
]


@each(ROWS)
class RequestTests(SynchronousTestCase):
    """One request, where `hello` is in stable."""

    def setUp(self) -> None:
        """Upload it."""
        self.edge = PackagesEdge(self)
        self.edge.call("PUT", "/apt/main/stable/main/a.deb", {}, made_deb())

    def listed(self, query: str = "") -> list[tuple[str, str, str]]:
        """Where, what and which version is listed."""
        rows = self.edge.call("GET", f"{PACKAGES}{query}").json["packages"]
        return [(one["suite"] or one["repository"], one["name"], one["version"]) for one in rows]

    def copy(self, **order: str) -> Response:
        """Copy something from stable to testing."""
        body = json.dumps({"source": "stable", "target": "testing", **order}).encode()
        return self.edge.call("POST", COPY, {}, body)

    def test_row(self) -> None:
        """A package is listed with what is needed to fetch and verify it."""
        (row,) = self.edge.call("GET", f"{PACKAGES}?repository=apt:main").json["packages"]

        data = self.edge.call("GET", f"/apt/main/{row['path']}").body
        self.assertEqual((row["component"], row["architecture"], row["size"]), ("main", "amd64", len(data)))

    def test_search(self) -> None:
        """By name, by a part of it, by suite, over all repositories."""
        self.edge.call("PUT", "/apt/main/testing/main/a.deb", {}, made_deb("greeter", "2.0"))
        self.edge.call("PUT", "/rpm/main/a.rpm", {}, rpm())
        hello, greeter, rpm_hello = ("stable", "hello", "1.0"), ("testing", "greeter", "2.0"), "rpm:main"

        self.assertEqual([one[0] for one in self.listed()], ["stable", "testing", rpm_hello])
        self.assertEqual(self.listed("?q=reet"), [greeter])
        self.assertEqual(self.listed("?name=hello&suite=stable"), [hello])
        self.assertEqual(self.listed("?name=hell"), [])
        self.assertEqual([one[0] for one in self.listed("?name=hello")], ["stable", rpm_hello])

    def test_pages(self) -> None:
        """A page ends where it says, and the next begins there."""
        for version in ("2", "3"):
            self.edge.call("PUT", "/apt/main/stable/main/a.deb", {}, made_deb(version=version))

        first = self.edge.call("GET", f"{PACKAGES}?n=2").json
        second = self.edge.call("GET", f"{PACKAGES}?n=2&last={first['last']}").json

        self.assertEqual([len(first["packages"]), len(second["packages"]), second["last"]], [2, 1, None])

    def test_copy(self) -> None:
        """A copy is in both suites; again it changes nothing."""
        answer = self.copy(name="hello")

        self.assertEqual((answer.status, [one["created"] for one in answer.json["packages"]]), (200, [True]))
        self.assertEqual(self.listed("?name=hello"), [("stable", "hello", "1.0"), ("testing", "hello", "1.0")])
        self.assertEqual([one["created"] for one in self.copy(name="hello").json["packages"]], [False])

    def test_copy_source(self) -> None:
        """By the name of their source, packages of other names are copied, too."""
        self.edge.call("PUT", "/apt/main/stable/main/a.deb", {}, made_deb("libhello1", Source="hello"))

        answer = self.copy(source_package="hello", version="1.0")

        self.assertEqual([one["name"] for one in answer.json["packages"]], ["hello", "libhello1"])
        self.assertEqual(self.copy(source_package="hello", name="hello").status, 400)
        self.assertEqual(self.copy(source_package="libhello1").status, 404)

    def test_copy_conflict(self) -> None:
        """Where the target has other bytes of that version it is 409."""
        self.edge.call("PUT", "/apt/main/testing/main/a.deb", {}, made_deb(Priority="extra"))

        self.assertEqual(self.copy(name="hello", version="1.0", architecture="amd64").status, 409)


class AccessTests(SynchronousTestCase):
    """What may not be read is not listed."""

    def test_hidden(self) -> None:
        """In the list of all it is left out; asked for by name it is refused."""
        edge = PackagesEdge(self, policy=Deny("apt:main", Action.PULL))
        edge.call("PUT", "/apt/main/stable/main/a.deb", {}, made_deb())

        self.assertEqual(edge.call("GET", PACKAGES).json["packages"], [])
        self.assertEqual(edge.call("GET", f"{PACKAGES}?repository=apt:main").status, 403)

    def test_copy(self) -> None:
        """A copy is a push, and it reads what is in the other suite."""
        for action in (Action.PUSH, Action.PULL):
            edge = PackagesEdge(self, policy=Deny("apt:main", action))

            order = b'{"source":"stable","target":"testing","name":"hello"}'
            self.assertEqual(edge.call("POST", COPY, {}, order).status, 403)
            self.assertEqual(edge.call("POST", "/api/v1/apt/x/copy", {}, order).status, 404)

    def test_copy_by_suite(self) -> None:
        """What is promoted into a suite needs a push to that one; from where is no matter to who may read."""
        read = Rule("read", ("apt:main",), ("anonymous",), frozenset([Action.PULL]))
        test = Rule("test", ("apt:main/testing",), ("anonymous",), frozenset([Action.PUSH]))
        edge = PackagesEdge(self, policy=RulePolicy([read, test]))
        self.assertEqual(edge.call("PUT", "/apt/main/testing/main/a.deb", {}, made_deb()).status, 201)

        for source, target, status in (
            ("testing", "stable", 403),
            ("testing", "testing", 200),
            ("stable", "testing", 404),
            ("testing", "x", 403),
            ("testing", "t" * 201, 400),
            ("testing", "testing/../stable", 403),
        ):
            order = json.dumps({"source": source, "target": target, "name": "hello"}).encode()
            self.assertEqual(edge.call("POST", COPY, {}, order).status, status, target[:20])
        write = PackagesEdge(self, policy=RulePolicy([test]))
        order = b'{"source":"testing","target":"testing","name":"hello"}'
        self.assertEqual(write.call("POST", COPY, {}, order).status, 403)
