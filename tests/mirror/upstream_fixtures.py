"""An Internet in memory: a client that answers what the test says, and remembers what it was asked."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from attrs import field, frozen
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from pkgd.flow import BufferPool, Inflow
from pkgd.formats.names import Origin, RepositoryName
from pkgd.metrics import Metrics
from pkgd.mirror.tokens import Credentials
from pkgd.mirror.upstream import Document, Endpoint, Stream, Upstream
from pkgd.outbound.settings import Trust
from pkgd.outbound.target import Target

__all__ = [
    "ALPINE",
    "BLOB",
    "CDN",
    "CREDENTIALS",
    "HOME",
    "ISSUED",
    "LIMIT",
    "MANIFEST",
    "NOW",
    "PASSWORD",
    "REALM",
    "SLOTS",
    "Asked",
    "DockerHubCase",
    "Internet",
    "Reply",
    "Step",
    "UpstreamCase",
    "bearer",
    "redirect",
    "token",
]

T = TypeVar("T")

NOW = 1_750_000_000.0

PASSWORD = "canary-password"
ISSUED = "canary-token"
CREDENTIALS = Credentials("robot", PASSWORD)

HOME = "https://registry-1.docker.io"
REALM = "https://auth.docker.io/token"
MANIFEST = f"{HOME}/v2/library/alpine/manifests/3"
BLOB = f"{HOME}/v2/library/alpine/blobs/sha256:00"
CDN = "https://cdn.example.com/sha256/00?signature=a%2Fb&expires=5"
ALPINE = Origin("docker.io", RepositoryName("library/alpine"))
SLOTS = 3
LIMIT = 100


@frozen
class Asked:
    """A request that was sent."""

    method: str
    url: str
    headers: dict[str, str]

    @property
    def authorization(self) -> str | None:
        """What it showed of itself."""
        return self.headers.get("Authorization")

    @property
    def parameters(self) -> dict[str, str]:
        """What its query says."""
        return dict(parse_qsl(urlsplit(self.url).query, keep_blank_values=True))

    def __str__(self) -> str:
        return f"{self.method} {self.url}"

    def shows(self, secret: str) -> bool:
        """Whether a secret stands in it, as it is or encoded."""
        said = " ".join([self.url, *self.headers.values()])
        encoded = [
            base64.b64decode(value[6:]).decode() for value in self.headers.values() if value.startswith("Basic ")
        ]
        return any(secret in text for text in [said, *encoded])


@frozen
class Reply:
    """An answer. `ends` says how its body does: whole, with an error, or (False) not at all."""

    status: int = 200
    headers: Mapping[str, str | list[str]] = field(factory=dict)
    data: bytes = b""
    ends: Exception | bool = True


Step = Reply | Exception | Deferred[Any] | Callable[[Asked], Any]
"""What comes of a request: an answer, an error, either of them later, or as the request deserves."""


class _Answer:
    """What `pkgd.outbound.client.Answer` is to its users."""

    def __init__(self, reply: Reply, is_head: bool) -> None:
        self.status = reply.status
        self.is_open = True
        self.length = self._length(reply, is_head)
        self.body = Inflow(BufferPool(1 << 16, 2), self, 0 if is_head else self.length)
        self._reply = reply
        self._unsent = reply.data
        self._headers = {name.lower(): value for name, value in reply.headers.items()}

    @staticmethod
    def _length(reply: Reply, is_head: bool) -> int | None:
        stated = reply.headers.get("Content-Length")
        if stated is not None:
            return int(str(stated))
        return None if is_head or reply.ends is not True else len(reply.data)

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next(iter(self.headers(name)), None)

    def headers(self, name: str) -> list[str]:
        """All values of a header."""
        value = self._headers.get(name.lower(), [])
        return [value] if isinstance(value, str) else value

    def close(self) -> None:
        """Done with it."""
        self.is_open = False
        self.body.close()

    # -- what an Inflow asks of its source --

    def body_wanted(self) -> None:
        """Somebody reads."""
        self._deliver()

    def resume_body(self) -> None:
        """There is room."""
        self._deliver()

    def pause_body(self) -> None:
        """There is no room."""

    def _deliver(self) -> None:
        while self._unsent and (room := self.body.room()) is not None:
            count = min(len(room), len(self._unsent))
            room[:count], self._unsent = self._unsent[:count], self._unsent[count:]
            self.body.filled(count)
        if not self._unsent and self._reply.ends is True:
            self.body.end()
        elif not self._unsent and isinstance(self._reply.ends, Exception):
            self.body.fail(self._reply.ends)


class Internet:
    """Stands for `pkgd.outbound.client.Client`, and refuses the URLs that it refuses.

    :param private: hosts that may be asked although they are not public.
    """

    def __init__(self, *private: str) -> None:
        self.asked: list[Asked] = []
        self.answers: list[_Answer] = []
        self.closed = False
        self._trust = Trust(private_hosts=frozenset(private))
        self._steps: dict[str, list[Step]] = {}

    def at(self, url: str, *steps: Step) -> None:
        """What comes of requests to a URL, one after the other; the last step comes again and again.

        Without a query it stands for the URL with any. What has been said of it before is forgotten.
        """
        self._steps[url] = list(steps)

    async def request(self, method: str, url: str, headers: Mapping[str, str]) -> _Answer:
        """See `Client.request`."""
        Target.parse(url, self._trust)
        asked = Asked(method, url, dict(headers))
        self.asked.append(asked)
        steps = self._steps.get(url) or self._steps.get(url.partition("?")[0])
        assert steps, f"the test does not say what comes of {asked}"
        step: Any = steps.pop(0) if len(steps) > 1 else steps[0]
        while not isinstance(step, Reply):
            if isinstance(step, Exception):
                raise step
            step = await step if isinstance(step, Deferred) else step(asked)
        self.answers.append(_Answer(step, method == "HEAD"))
        return self.answers[-1]

    async def close(self) -> None:
        """See `Client.close`."""
        self.closed = True

    # -- what a test asks --

    @property
    def urls(self) -> list[str]:
        """Where the requests went."""
        return [one.url for one in self.asked]

    @property
    def open(self) -> list[_Answer]:
        """The answers that nobody has closed."""
        return [one for one in self.answers if one.is_open]

    def shown(self, secret: str) -> list[str]:
        """The origins that were told a secret."""
        return sorted({"{0.scheme}://{0.netloc}".format(urlsplit(one.url)) for one in self.asked if one.shows(secret)})


def bearer(realm: str, service: str = "", scope: str = "") -> Reply:
    """A 401 that wants a token."""
    parameters = {"realm": realm, "service": service, "scope": scope}
    said = ",".join(f'{name}="{value}"' for name, value in parameters.items() if value)
    return Reply(401, {"WWW-Authenticate": f"Bearer {said}"}, b'{"errors": []}')


def token(value: str, **more: Any) -> Reply:
    """A token service's answer."""
    return Reply(data=json.dumps({"token": value, **more}).encode())


def redirect(location: str, status: int = 307) -> Reply:
    """A redirect."""
    return Reply(status, {"Location": location}, b"<a>Temporary Redirect</a>")


class UpstreamCase(SynchronousTestCase):
    """A test case with an Internet and a log, both of which it leaves tidy."""

    def setUp(self) -> None:
        """Nobody has been asked, nothing has been logged."""
        self.clock = Clock()
        self.clock.advance(NOW)
        self.internet = Internet()
        self.lines: list[str] = []
        note: Any = self._note
        globalLogPublisher.addObserver(note)
        self.addCleanup(globalLogPublisher.removeObserver, note)

    def begin(self, call: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
        """Start a call that may have to wait."""
        return Deferred.fromCoroutine(call)

    def do(self, call: Coroutine[Deferred[Any], Any, T]) -> T:
        """The result of a call that has come to its end."""
        result: T = self.successResultOf(self.begin(call))
        return result

    def refusal(self, call: Coroutine[Deferred[Any], Any, Any], kind: type[Exception]) -> Any:
        """The error that a call has ended with, of exactly that class."""
        error = self.failureResultOf(self.begin(call), kind).value
        self.assertIs(type(error), kind)
        return error

    def _note(self, event: LogEvent) -> None:
        self.lines.append(formatEvent(event))


class DockerHubCase(UpstreamCase):
    """Docker Hub, with credentials and few places, which has one manifest and one blob."""

    def setUp(self) -> None:
        """Nobody has asked yet."""
        super().setUp()
        self.metrics = Metrics()
        self.metrics.mirror.use(["docker.io"])
        self.internet.at(MANIFEST, Reply(data=b"manifest"))
        self.internet.at(BLOB, Reply(data=b"blob"))
        self.internet.at(REALM, token(ISSUED))
        self.upstream = self.made(Endpoint("docker.io", HOME, CREDENTIALS, max_concurrent=SLOTS))

    def made(self, endpoint: Endpoint) -> Upstream:
        """What asks an endpoint."""
        client: Any = self.internet
        return Upstream(endpoint, client, self.clock, self.metrics.mirror, "pkgd-1234")

    async def document(
        self, method: str = "GET", path: str = "manifests/3", headers: Mapping[str, str] | None = None, via: str = ""
    ) -> Document | None:
        """Ask for something small."""
        return await self.upstream.document(method, ALPINE, path, via, headers or {}, LIMIT)

    async def stream(self, headers: Mapping[str, str] | None = None) -> Stream | None:
        """Ask for the blob."""
        return await self.upstream.stream(ALPINE, "blobs/sha256:00", "", headers or {})

    def refused(self, kind: type[Exception], **asked: Any) -> Any:
        """The error instead of a document; nothing is left open or taken."""
        error = self.refusal(self.document(**asked), kind)
        self.assertEqual(self.internet.open, [])
        self.assertTrue(self.upstream.is_idle)
        return error

    def samples(self, name: str) -> dict[str, float]:
        """A metric of Docker Hub's, by its code if it has one."""
        return {
            sample.labels.get("code", ""): sample.value
            for family in text_string_to_metric_families(self.metrics.render()[0].decode())
            for sample in family.samples
            if sample.name == name and sample.labels["upstream"] == "docker.io"
        }
