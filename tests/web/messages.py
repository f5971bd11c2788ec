"""HTTP/1.1 from the client's side, for tests: requests to bytes, bytes to answers, and rows of a table.

The reader is stricter than clients are: one Content-Length per answer, CRLF only, nothing twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from attrs import Factory, frozen
from twisted.trial.unittest import SynchronousTestCase

__all__ = ["Response", "Row", "chunked", "each", "request_bytes", "split_answers"]

Case = TypeVar("Case", bound=type[SynchronousTestCase])


@frozen
class Response:
    """An answer."""

    status: int
    fields: list[tuple[str, str]]
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The one header of that name, or None."""
        found = self.all(name)
        assert len(found) < 2, f"{name} stands there {len(found)} times"
        return found[0] if found else None

    def all(self, name: str) -> list[str]:
        """Every header of that name, in order."""
        return [value for field, value in self.fields if field.lower() == name.lower()]

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The one code in the distribution-spec's error body, whose shape is checked too."""
        assert self.header("Content-Type") == "application/json", self
        (error,) = self.json["errors"]
        assert set(error) == {"code", "message", "detail"}, error
        assert error["message"], error
        code: str = error["code"]
        return code


def request_bytes(method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> bytes:
    """A request; Host always, and Content-Length where the method or a body calls for one."""
    fields = {"Host": "registry.test", **(headers or {})}
    framed = {name.lower() for name in fields} & {"content-length", "transfer-encoding"}
    if not framed and (body or method in ("POST", "PUT", "PATCH")):
        fields["Content-Length"] = str(len(body))
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def chunked(*pieces: bytes) -> bytes:
    """A chunked body."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def split_answers(data: bytes, methods: Sequence[str] = ()) -> tuple[list[Response], bytes]:
    """The whole answers at the front of `data`, and what is left.

    :param methods: those of the requests, in order; GET where none is given.
    """
    answers: list[Response] = []
    asked = list(methods)
    place = 0
    while True:
        end = data.find(b"\r\n\r\n", place)
        if end < 0:
            return answers, data[place:]
        answer = _parse_head(data[place:end])
        method = "GET" if answer.status < 200 or not asked else asked.pop(0)
        start = end + 4
        length = _body_length(answer, method)
        if len(data) < start + length:
            return answers, data[place:]
        place = start + length
        answers.append(Response(answer.status, answer.fields, data[start:place]))


def _parse_head(head: bytes) -> Response:
    first, *lines = head.decode("ascii").split("\r\n")
    status = re.fullmatch(r"HTTP/1\.1 ([0-9]{3}) [ -~]+", first)
    assert status, first
    fields = []
    for line in lines:
        field = re.fullmatch(r"([!-9;-~]+): ([ -~]*)", line)
        assert field, line
        fields.append((field[1], field[2]))
    return Response(int(status[1]), fields)


def _body_length(answer: Response, method: str) -> int:
    """How long the body is; an answer without a length would end with the connection, and none may."""
    length = answer.header("Content-Length")
    assert answer.header("Transfer-Encoding") is None, answer
    if answer.status < 200 or answer.status in (204, 304):
        assert length is None, answer
        return 0
    assert length is not None, answer
    return 0 if method == "HEAD" else int(length)


@frozen
class Row:
    """One clause of a specification: a request, and the answer it must get.

    :param clause: the sentence, as the test's name and docstring.
    :param headers: what the answer's headers must be; None for one that may not be there.
    :param code: the OCI error code in the body.
    :param answer: the exact body.
    :param lists: a part of the JSON body.
    """

    clause: str
    method: str
    target: str
    status: int
    sent: Mapping[str, str] = Factory(dict)
    body: bytes = b""
    headers: Mapping[str, str | None] = Factory(dict)
    code: str | None = None
    answer: bytes | None = None
    lists: Mapping[str, Any] = Factory(dict)

    def check(self, case: SynchronousTestCase, response: Response) -> None:
        """Compare the answer with what the clause says."""
        case.assertEqual(response.status, self.status, response)
        for name, value in self.headers.items():
            case.assertEqual(response.header(name), value, name)
        if self.code is not None and self.method != "HEAD":
            case.assertEqual(response.code, self.code)
        if self.method == "HEAD":
            case.assertEqual(response.body, b"")
        if self.answer is not None:
            case.assertEqual(response.body, self.answer)
        for key, value in self.lists.items():
            case.assertEqual(response.json[key], value)


def each(rows: Sequence[Row]) -> Callable[[Case], Case]:
    """Give a test case one test per row; the case's `call` makes the request."""

    def extend(case: Case) -> Case:
        for row in rows:
            name = "test_" + re.sub(r"[^a-z0-9]+", "_", row.clause.lower()).strip("_")
            assert not hasattr(case, name), f"two rows say {row.clause!r}"
            setattr(case, name, _test(row))
        return case

    return extend


def _test(row: Row) -> Callable[[Any], None]:
    def test(self: Any) -> None:
        row.check(self, self.edge.call(row.method, row.target, row.sent, row.body))

    test.__doc__ = row.clause
    return test
