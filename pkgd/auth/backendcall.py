"""One question to a back end, whether a user has a password, and what its answer means.

The password is shown to exactly one URL: no redirect is followed. Only 401 and 403 are a no; whatever else is not a
token is no answer at all.
"""

from __future__ import annotations

import uuid
from base64 import b64encode
from collections.abc import Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec
from attrs import field, frozen

from pkgd.auth.strictjson import parse_object
from pkgd.errors import TooLarge, UnexpectedStatus, UpstreamBusy, UpstreamCorrupt, UpstreamUnavailable
from pkgd.outbound.breaker import parse_retry_after
from pkgd.outbound.client import Answer, Client

__all__ = ["BackEndCall", "Question"]

MAX_ANSWER = 64 * 1024
_TOKEN_KINDS = ("application/jwt", "text/plain")


@frozen
class Question:
    """How a back end is asked.

    `service` is what this server is called, for the body; None sends no body. With `tells_scopes` the body also has
    what the user wants to do.
    `token_fields` are the members of the answer that may have the token, in this order.
    """

    url: str
    method: Literal["POST", "GET"] = "POST"
    service: str | None = None
    tells_scopes: bool = False
    token_fields: Sequence[str] = field(default=("token", "access_token", "jwt", "id_token"))

    @property
    def host(self) -> str:
        """Whom it goes to, for the log."""
        return urlsplit(self.url).netloc


class BackEndCall:
    """Asks one back end."""

    def __init__(self, question: Question, client: Client) -> None:
        self._question = question
        self._client = client
        self._headers = {"Accept": "application/json, application/jwt"}
        if question.method == "POST" and question.service is not None:
            self._headers["Content-Type"] = "application/json"

    @property
    def tells_scopes(self) -> bool:
        """Whether what it answers may depend on the scopes."""
        return self._question.tells_scopes

    async def ask(self, user: str, password: str, scopes: Sequence[str], now: float) -> str | None:
        """The token that the back end answers with, or None if it does not accept the two.

        :param scopes: what the user wants to do.
        :param now: seconds since the epoch.
        :raises Upstream: if it gives no answer that could be understood.
        """
        pair = b64encode(f"{user}:{password}".encode()).decode("ascii")
        answer = await self._send({"Authorization": f"Basic {pair}"}, scopes)
        try:
            return await self._read(answer, now)
        finally:
            answer.close()

    async def probe(self) -> int:
        """Ask without credentials; returns the status.

        :raises Upstream: if there is no answer.
        """
        answer = await self._send({})
        answer.close()
        return answer.status

    async def _send(self, headers: dict[str, str], scopes: Sequence[str] = ()) -> Answer:
        sent = {**self._headers, "X-Request-Id": str(uuid.uuid4()), **headers}
        return await self._client.request(self._question.method, self._question.url, sent, self._body(scopes))

    def _body(self, scopes: Sequence[str]) -> bytes | None:
        question = self._question
        if question.method == "GET":
            return None
        if question.service is None:
            return b""
        return msgspec.json.encode(
            {"service": question.service, **({"scopes": list(scopes)} if question.tells_scopes else {})}
        )

    async def _read(self, answer: Answer, now: float) -> str | None:
        host, status = self._question.host, answer.status
        if status in (401, 403):
            return None
        if status == 429:
            raise UpstreamBusy(host, "wants no more requests", parse_retry_after(answer.header("retry-after"), now))
        if status >= 500:
            raise UpstreamUnavailable(host, f"answers {status}")
        if status not in (200, 201):
            raise UnexpectedStatus(host, f"answers {status}, which is neither a yes nor a no")
        kind = (answer.header("content-type") or "").partition(";")[0].strip().lower()
        try:
            data = await answer.body.read_all(MAX_ANSWER)
        except TooLarge:
            raise UpstreamCorrupt(host, f"sends more than {MAX_ANSWER >> 10} KiB") from None
        token = self._token(kind, data)
        if token is None:
            raise UpstreamCorrupt(host, "accepts a user, and sends no token")
        return token

    def _token(self, kind: str, data: bytes) -> str | None:
        if kind in _TOKEN_KINDS:
            return data.decode("ascii", "replace").strip()
        if kind not in ("", "application/json") and not kind.endswith("+json"):
            return None
        try:
            members: dict[str, Any] = parse_object(data)
        except ValueError:
            return None
        found = (members.get(name) for name in self._question.token_fields)
        return next((one for one in found if isinstance(one, str)), None)
