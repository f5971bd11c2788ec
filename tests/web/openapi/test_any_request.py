"""Whatever is asked for, the answer is one that the document has, and no failure of pkgd's own.

`PROPERTY_EXAMPLES=10000` digs deeper.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from pkgd.auth.policy import AllowAll
from pkgd.formats.oci import IMAGE
from tests.formats.rpms import rpm
from tests.packages.fixtures import made_deb
from tests.properties import ANY_TEXT, bounded
from tests.schemas import resolved
from tests.web.auth.fixtures import basic
from tests.web.auth.test_login import LoginCase
from tests.web.content import BLOB, BLOB_DIGEST, CONFIG, CONFIG_DIGEST, PLAIN
from tests.web.contract import DOCUMENT, document_paths

_KNOWN = ["main", "stable", "testing", "internal/el9", "team/app", "latest", BLOB_DIGEST, "hello", "0", "1", "true", ""]
_METHODS = ["get", "head", "post", "put", "patch", "delete"]
_BODIES = [b"", b"{}", b"null", b"\xff", BLOB, PLAIN, made_deb(), rpm()]

_ALICE = basic("alice", "secret")

values = st.sampled_from(_KNOWN) | ANY_TEXT
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats(allow_nan=False) | values,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(values, inner, max_size=3),
    max_leaves=5,
)


@frozen
class _Asked:
    """A request."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@st.composite
def requests(draw: st.DrawFn) -> _Asked:
    """A request of an operation, with values of any kind where it takes some; or another method of its path."""
    item = draw(st.sampled_from(document_paths()))
    method = draw(st.sampled_from(sorted(item.operations)) | st.sampled_from(_METHODS))
    operation = item.operations.get(method, {})
    path = item.template
    for name in item.names:
        example = st.just(item.example(name))
        path = path.replace(f"{{{name}}}", _quoted(draw(example | example | values), draw(st.sampled_from(["", "/"]))))
    query, headers = [], draw(st.sampled_from([{}, _ALICE, _ALICE, basic("alice", "wrong")]))
    for parameter in (resolved(one, DOCUMENT) for one in operation.get("parameters", [])):
        given_values = draw(st.lists(values, max_size=2))
        if parameter["in"] == "query":
            query += [(parameter["name"], one.encode("utf-8", "surrogatepass")) for one in given_values]
        elif given_values:
            headers = {**headers, parameter["name"]: _quoted(given_values[0], "=-, ")}
    target = f"{path}?{urlencode(query, quote_via=quote)}" if query else path
    return _Asked(method.upper(), target, headers, _body(draw, operation))


def _quoted(text: str, safe: str) -> str:
    return quote(text, safe=safe, errors="surrogatepass")


def _body(draw: st.DrawFn, operation: dict[str, Any]) -> bytes:
    """A body of the right form, or another one."""
    content = operation.get("requestBody", {}).get("content", {})
    for kind, media in content.items():
        names = sorted(resolved(media.get("schema", {}), DOCUMENT).get("properties", {}))
        if names and draw(st.booleans()):
            if kind == "application/json":
                return json.dumps(draw(st.dictionaries(st.sampled_from(names), documents))).encode()
            fields = draw(st.dictionaries(st.sampled_from(names), values))
            return urlencode({name: one.encode("utf-8", "surrogatepass") for name, one in fields.items()}).encode()
    return draw(st.sampled_from(_BODIES)) if content else b""


class AnyRequestTests(LoginCase):
    """One server for all of them, which keeps what it is given."""

    def setUp(self) -> None:
        """Everybody may do everything, and there is something to do it with."""
        super().setUp()
        self.edge.gate.policy = AllowAll()
        for digest, data in ((BLOB_DIGEST, BLOB), (CONFIG_DIGEST, CONFIG)):
            self.edge.call("POST", f"/v2/team/app/blobs/uploads/?digest={digest}", _ALICE, data)
        pushed = [
            self.edge.call("PUT", "/v2/team/app/manifests/latest", {"Content-Type": IMAGE, **_ALICE}, PLAIN),
            self.edge.call("PUT", "/apt/main/stable/main/hello_1.0_amd64.deb", _ALICE, made_deb()),
            self.edge.call("PUT", "/rpm/main/hello.rpm", _ALICE, rpm()),
        ]
        self.assertEqual([one.status for one in pushed], [201, 201, 201])

    @bounded
    @given(st.lists(requests(), min_size=1, max_size=8))
    def test_answered(self, asked: list[_Asked]) -> None:
        """Every answer is written in the document; and it is no internal error, which would also be in the log."""
        for one in asked:
            answer = self.edge.call(one.method, one.target, one.headers, one.body)

            self.assertNotEqual(answer.status, 500, one)
