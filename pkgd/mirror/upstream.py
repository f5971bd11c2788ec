"""One upstream registry, or one parent mirror, as it may be asked (distribution-spec; RFC 9110, 15.4).

A request goes through the breaker, then hop by hop: redirects are followed by our own rules, and a
401 is answered on each hop for that hop alone. What comes back is an answer with content, None for
a definite "not here", or an error that says whose fault it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import quote, urljoin, urlsplit

from attrs import field, frozen
from twisted.internet.defer import DeferredSemaphore
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from pkgd.errors import (
    LoopDetected,
    TooLarge,
    UnexpectedStatus,
    UpstreamBusy,
    UpstreamCorrupt,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from pkgd.errors import (
    Upstream as UpstreamError,
)
from pkgd.formats.names import Origin
from pkgd.metrics import MirrorMetrics
from pkgd.mirror.challenge import parse_challenges
from pkgd.mirror.tokens import Credentials, Tokens
from pkgd.outbound.breaker import Breaker, parse_retry_after
from pkgd.outbound.client import Answer, Client

__all__ = ["Document", "Endpoint", "Stream", "Upstream"]

log = Logger()

MAX_REDIRECTS = 5

_REDIRECTS = frozenset([301, 302, 303, 307, 308])
# What stands for itself in targets; some come from upstreams, with escapes of their own ("Link").
_SPECIAL = "/:?&=,@%+!$'()*;~"


@frozen
class Endpoint:
    """Where an upstream is: `host` is what it is called in the log, `base` its URL.

    `is_mirror` says that it is a parent mirror, which is told the upstream that is meant (`ns`).
    """

    host: str
    base: str
    credentials: Credentials | None = None
    is_mirror: bool = False
    max_concurrent: int = 16


@frozen
class Document:
    """A small answer, whole; of a HEAD, without `data`."""

    answer: Answer
    data: bytes = field(repr=False, default=b"")


class Stream:
    """A large answer, whose body is read piece by piece. It holds one of its upstream's places until it is closed."""

    def __init__(self, answer: Answer, done: Callable[[], None]) -> None:
        self.answer = answer
        self._done: Callable[[], None] | None = done

    def close(self) -> None:
        """Done with it. May be called again."""
        done, self._done = self._done, None
        if done is not None:
            done()


class Upstream:
    """Asks one endpoint."""

    def __init__(
        self, endpoint: Endpoint, client: Client, clock: IReactorTime, metrics: MirrorMetrics, own_id: str
    ) -> None:
        """
        :param own_id: what this mirror calls itself in `Via`.
        """
        self.endpoint = endpoint
        self._client = client
        self._clock = clock
        self._metrics = metrics
        self._own_id = own_id
        self._tokens = Tokens(endpoint.host, endpoint.base, client, endpoint.credentials, clock)
        self._breaker = Breaker(endpoint.host, clock, lambda is_open: metrics.circuit_open(endpoint.host, is_open))
        # Two budgets, so that no manifest waits for layers.
        self._documents = DeferredSemaphore(endpoint.max_concurrent)
        self._blobs = DeferredSemaphore(endpoint.max_concurrent)

    @property
    def host(self) -> str:
        """What it is called in the log."""
        return self.endpoint.host

    @property
    def is_idle(self) -> bool:
        """Whether nobody asks it for anything at present."""
        return all(one.tokens == one.limit for one in (self._documents, self._blobs))

    async def document(
        self, method: str, origin: Origin, path: str, via: str, headers: Mapping[str, str], limit: int
    ) -> Document | None:
        """Fetch something small as a whole, or its head.

        :param path: what is wanted of the repository, such as `manifests/latest`.
        :param via: the `Via` of the request that this is done for, "" if it had none.
        :raises UpstreamCorrupt: also if it has more than `limit` bytes.
        """
        await self._documents.acquire()
        try:
            answer = await self._ask(method, origin, path, via, headers)
            if answer is None:
                return None
            try:
                data = b"" if method == "HEAD" else await answer.body.read_all(limit)
            except TooLarge as error:
                raise UpstreamCorrupt(self.host, f"sends more than the {limit} bytes that are allowed") from error
            except UpstreamError as error:
                error.host = self.host
                raise
            finally:
                answer.close()
            self._metrics.sent_from_upstream(self.host, len(data))
            return Document(answer, data)
        finally:
            self._documents.release()

    async def stream(self, origin: Origin, path: str, via: str, headers: Mapping[str, str]) -> Stream | None:
        """Fetch something large, piece by piece; the caller closes it."""
        await self._blobs.acquire()
        try:
            answer = await self._ask("GET", origin, path, via, headers)
        except BaseException:
            self._blobs.release()
            raise
        if answer is None:
            self._blobs.release()
            return None
        return Stream(answer, lambda: self._streamed(answer))

    def _streamed(self, answer: Answer) -> None:
        answer.close()
        self._metrics.sent_from_upstream(self.host, answer.body.received)
        self._blobs.release()

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()

    # -- one request --

    async def _ask(self, method: str, origin: Origin, path: str, via: str, headers: Mapping[str, str]) -> Answer | None:
        self._breaker.check()
        started, code, why = self._clock.seconds(), "error", ""
        try:
            sent = {**headers, "Via": f"{via}, 1.1 {self._own_id}" if via else f"1.1 {self._own_id}"}
            answer = await self._follow(method, self._url(origin, path), sent)
            code = str(answer.status)
            self._note_limits(answer)
            return self._judge(answer)
        except UpstreamError as error:
            code, why = self._failed(error, code)
            raise
        finally:
            seconds = self._clock.seconds() - started
            self._metrics.upstream_exchange(self.host, code, seconds)
            log.info(
                "asked {host}: {method} {name}/{path}: {code} in {milliseconds} ms{why}",
                host=self.host,
                method=method,
                name=origin.name,
                path=path,
                code=code,
                milliseconds=int(seconds * 1000),
                why=why,
            )

    def _failed(self, error: UpstreamError, code: str) -> tuple[str, str]:
        """Draw the conclusions from a failure; returns what to log of it.

        The client learns that the upstream failed, not which of the hosts behind it.
        """
        why = f": {error.host} {error.reason}"
        error.host = self.host
        if isinstance(error, UpstreamUnavailable):
            self._breaker.failed()
        else:
            self._breaker.succeeded()
        if isinstance(error, UpstreamBusy):
            self._breaker.busy(error.retry_after)
        return "timeout" if isinstance(error, UpstreamTimeout) else code, why

    def _url(self, origin: Origin, path: str) -> str:
        url = f"{self.endpoint.base}/v2/{quote(f'{origin.name}/{path}', safe=_SPECIAL)}"
        if self.endpoint.is_mirror:
            url += f"{'&' if '?' in url else '?'}ns={origin.host}"
        return url

    async def _follow(self, method: str, url: str, headers: Mapping[str, str]) -> Answer:
        """Send the request, and follow redirects.

        :raises UpstreamUnavailable: if they go in a circle, too far, or where they may not.
        """
        seen = {url}
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._authorized(method, url, headers)
            location = answer.header("location")
            if answer.status not in _REDIRECTS or location is None:
                return answer
            answer.close()
            url = self._next(url, location)
            if url in seen:
                raise UpstreamUnavailable(self.host, "redirects in a circle")
            seen.add(url)
        raise UpstreamUnavailable(self.host, "redirects too often")

    def _next(self, url: str, location: str) -> str:
        """The target of a redirect: never from TLS to plain HTTP, never with credentials in it."""
        try:
            location = location.strip().partition("#")[0]
            # What is whole stays as it is written: it may be signed.
            target = location if urlsplit(location).scheme else urljoin(url, location)
            parts = urlsplit(target)
            allowed = parts.scheme == "https" or (parts.scheme == "http" and urlsplit(url).scheme == "http")
            allowed = allowed and parts.username is None and bool(parts.hostname) and parts.port != 0
        except ValueError:
            allowed = False
        if not allowed or not target.isascii() or not target.isprintable() or " " in target:
            raise UpstreamUnavailable(self.host, "redirects to where it may not")
        return target

    async def _authorized(self, method: str, url: str, headers: Mapping[str, str]) -> Answer:
        """Send to one URL, with what its own host has issued; answer a 401 once."""
        known = self._tokens.known(url)
        answer = await self._client.request(method, url, _with_authorization(headers, known))
        if answer.status != 401:
            return answer
        challenges = parse_challenges(answer.headers("www-authenticate"))
        answer.close()
        issued = await self._tokens.answer(url, challenges, known)
        answer = await self._client.request(method, url, _with_authorization(headers, issued))
        if answer.status == 401 and issued.startswith("Basic "):
            answer.close()
            raise UpstreamRefused(self.host, "does not accept the configured credentials", definite=False)
        return answer

    def _judge(self, answer: Answer) -> Answer | None:
        """The answer if it has content, None if the thing isn't there; else what it means, raised."""
        status = answer.status
        if status in (200, 206):
            self._breaker.succeeded()
            return answer
        answer.close()
        if status >= 500 and status != 508:
            raise UpstreamUnavailable(self.host, f"answers {status}")
        self._breaker.succeeded()
        if status in (404, 410):
            return None
        if status in (401, 403):
            raise UpstreamRefused(self.host, "denies access")
        if status == 429:
            pause = parse_retry_after(answer.header("retry-after"), self._clock.seconds())
            raise UpstreamBusy(self.host, "wants no more requests for now", pause)
        if status == 508:
            raise LoopDetected(self.host)
        raise UnexpectedStatus(self.host, f"answers {status}")

    def _note_limits(self, answer: Answer) -> None:
        """Docker Hub tells what is left of its rate limit: `ratelimit-remaining: 76;w=21600`."""
        left = (answer.header("ratelimit-remaining") or "").partition(";")[0].strip()
        if left.isascii() and left.isdigit() and len(left) < 10:
            self._metrics.ratelimit_remaining(self.host, float(left))


def _with_authorization(headers: Mapping[str, str], authorization: str | None) -> Mapping[str, str]:
    return headers if authorization is None else {**headers, "Authorization": authorization}
