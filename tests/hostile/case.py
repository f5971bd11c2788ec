"""What a hostile case is: bytes to send, and the answers that are good enough."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field

from tests.crash.content import digest_of

CLOSED = 0
"""Stands among the expected statuses for "the connection is closed without this answer"."""

REPOSITORY = "hostile/app"
SESSION = b"{session}"
"""In a request line: the path of an upload session that is opened for the case."""
SESSION_ELSEWHERE = b"{session elsewhere}"
"""In a request line: the same, under the name of another repository."""
BLOB_DATA = random.Random(7).randbytes(65_536)
"""A blob that the repository holds."""
BLOB = digest_of(BLOB_DATA).encode()
CONFIG_DATA = b"{}"
"""Another one."""
CONFIG = digest_of(CONFIG_DATA).encode()

_API_REQUEST = re.compile(rb"(?!HEAD )[A-Z]+ /v2/[\x21-\x7e]* HTTP/1\.[01]\r\n")


@dataclass(frozen=True, slots=True)
class Pause:
    """Send nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Flood:
    """Send a piece many times."""

    piece: bytes
    times: int
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class HalfClose:
    """Send no more, but go on reading."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Drop the connection with a TCP reset."""


@dataclass(frozen=True, slots=True)
class AwaitContinue:
    """Wait until the server says `100 Continue` or answers."""


Step = bytes | Pause | Flood | HalfClose | Reset | AwaitContinue


@dataclass(frozen=True)
class Case:
    """One conversation; `expected` has a set of good statuses for every answer, in order."""

    category: str
    name: str
    steps: tuple[Step, ...]
    expected: tuple[frozenset[int], ...]
    patience: float = 3.0
    """How long the client waits for an answer before it says that it will send no more."""
    interim: int | None = None
    """How many `100 Continue` are right, if that matters."""
    headless: tuple[bool, ...] = field(default=())
    """Which of the answers are to HEAD, if not all or none."""
    deaf: float = 0.0
    """For how many seconds the client reads nothing."""

    @property
    def speaks_to_api(self) -> bool:
        """Whether the first request is one for `/v2/` whose refusal must be an OCI error document."""
        return isinstance(self.steps[0], bytes) and _API_REQUEST.match(self.steps[0]) is not None

    def answers_head(self, number: int) -> bool:
        """Whether the numbered answer is one to HEAD, and so has no body."""
        if self.headless:
            return self.headless[number]
        return isinstance(self.steps[0], bytes) and self.steps[0].lstrip(b"\r\n").startswith(b"HEAD ")


def case(category: str, name: str, expected: str, *steps: Step, patience: float = 3.0) -> Case:
    """A case of one or more answers: `expected` is written like `400 404`, `200, 400 closed`."""
    return Case(category, name, steps, statuses(expected), patience)


def statuses(text: str) -> tuple[frozenset[int], ...]:
    """Read the notation of `case`: answers are separated by commas, good statuses by spaces."""
    return tuple(
        frozenset(CLOSED if word == "closed" else int(word) for word in answer.split()) for answer in text.split(",")
    )


def request(line: bytes, *headers: bytes, body: bytes = b"", host: bytes | None = b"Host: localhost") -> bytes:
    """The bytes of a request, with a good Host unless told otherwise; the body's framing is the caller's business."""
    lines = [line, *([host] if host is not None else []), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def get(target: bytes, *headers: bytes) -> bytes:
    """The bytes of a GET."""
    return request(b"GET %b HTTP/1.1" % target, *headers)


def sized(line: bytes, body: bytes, *headers: bytes) -> bytes:
    """The bytes of a request with a body and its true Content-Length."""
    return request(line, *headers, b"Content-Length: %d" % len(body), body=body)


def shown(data: bytes, length: int = 60) -> str:
    """Bytes as part of a name: short and printable."""
    text = repr(data)[2:-1]
    return text if len(text) <= length else f"{text[: length - 30]}…{text[-20:]}({len(data)} B)"
