"""`/api/openapi.json` over HTTP."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pkgd.built import built
from tests.web.auth.fixtures import AuthEdge
from tests.web.fixtures import Edge


class DoorTests(SynchronousTestCase):
    """It is read by anybody."""

    def test_read(self) -> None:
        """Without credentials, where there are users, too; whatever else is served, it is the same."""
        answer = AuthEdge(self).call("GET", "/api/openapi.json", {})

        self.assertEqual((answer.status, answer.header("Content-Type")), (200, "application/json"))
        self.assertEqual(answer.json["info"]["version"], built().version)
        self.assertEqual(Edge(self).call("GET", "/api/openapi.json").body, answer.body)

    def test_again(self) -> None:
        """Who has it already is told so."""
        edge = Edge(self)
        etag = edge.call("HEAD", "/api/openapi.json").header("ETag") or ""

        again = edge.call("GET", "/api/openapi.json", {"If-None-Match": etag})
        self.assertEqual((again.status, again.body, again.header("ETag")), (304, b"", etag))
        self.assertEqual(edge.call("GET", "/api/openapi.json", {"If-None-Match": '"x"'}).status, 200)

    def test_written(self) -> None:
        """It is not written to, and there is nothing below."""
        edge = Edge(self)

        self.assertEqual(edge.call("PUT", "/api/openapi.json", {}, b"{}").header("Allow"), "GET, HEAD")
        self.assertEqual(edge.call("GET", "/api/openapi.json/x").status, 404)
