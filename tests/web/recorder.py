"""A request without a connection: for what only looks at a request, or writes one answer."""

from __future__ import annotations

from typing import Any

from pkgd.flow import BufferPool, Inflow
from pkgd.web.head import parse_head
from pkgd.web.request import Request
from tests.web.messages import Response, split_answers

__all__ = ["Recorder", "recorded"]


class Recorder:
    """Stands for the channel and the site of one request, and keeps what the request does to them."""

    stopping = False
    secure = False

    def __init__(self, peer: str) -> None:
        self.site = self
        self.peer = peer
        self.written = b""
        self.logged: list[int] = []
        self.was_answered = False
        self.aborted = False

    # -- as a channel --

    def write(self, data: bytes) -> None:
        """Keep what is written."""
        self.written += data

    def answered(self, request: Request) -> None:
        """Note the end of the answer."""
        self.was_answered = True

    def abort(self) -> None:
        """Note that the connection is dropped."""
        self.aborted = True

    def pause_body(self) -> None:
        """There is no body to pause."""

    def resume_body(self) -> None:
        """There is no body to resume."""

    def body_wanted(self) -> None:
        """There is no body to send."""

    # -- as a site --

    def now(self) -> float:
        """No time passes."""
        return 0.0

    def common_headers(self) -> bytes:
        """None."""
        return b""

    names_requests = False

    def name_of(self, request: Request) -> str:
        """All have one name."""
        return "one"

    def log_access(self, request: Request) -> None:
        """Note the status that would be logged."""
        self.logged.append(request.status)

    # -- for the test --

    def answer(self, method: str = "GET") -> Response:
        """The one answer that has been written."""
        (only,) = split_answers(self.written, [method])[0]
        return only


def recorded(
    line: str = "GET /v2/ HTTP/1.1", headers: dict[str, str] | None = None, peer: str = "192.0.2.7"
) -> tuple[Request, Recorder]:
    """A request with this request line and these headers, and the recorder of what it does."""
    lines = [line, "Host: localhost", *(f"{name}: {value}" for name, value in (headers or {}).items()), "", ""]
    recorder: Any = Recorder(peer)
    head = parse_head("\r\n".join(lines).encode("latin-1"))
    return Request(recorder, head, Inflow(BufferPool(8, 1), recorder, 0)), recorder
