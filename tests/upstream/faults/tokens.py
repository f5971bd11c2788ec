"""What only a token endpoint can do wrong."""

from __future__ import annotations

from tests.upstream import places
from tests.upstream.answers import document, failure
from tests.upstream.exchange import Exchange, Misbehaviour
from tests.upstream.fault import CORRUPT, NONE, REFUSED, UNAVAILABLE, Effect, Fault, Kind
from tests.upstream.faults.redirects import moved

_TOKEN = frozenset({Kind.TOKEN})


def _issued(content: object) -> Misbehaviour:
    async def misbehave(exchange: Exchange) -> None:
        await exchange.deliver(document(200, content))

    return misbehave


async def _refused(exchange: Exchange) -> None:
    await exchange.deliver(failure(401, "UNAUTHORIZED"))


async def _by_another_name(exchange: Exchange) -> None:
    await exchange.deliver(document(200, {"access_token": "a-token-of-the-upstream"}))


async def _elsewhere(exchange: Exchange) -> None:
    await exchange.deliver(moved(307, f"{places.ELSEWHERE_URL}/token"))


def _token(name: str, effects: frozenset[Effect], how: Misbehaviour) -> Fault:
    return Fault(f"token: {name}", effects, how, kinds=_TOKEN)


FAULTS = (
    _token("called access_token", NONE, _by_another_name),
    _token("of no use", REFUSED, _issued({"token": "of-no-use"})),
    _token("401", REFUSED, _refused),
    _token("none in the answer", CORRUPT, _issued({})),
    _token("empty", CORRUPT, _issued({"token": ""})),
    _token("a list", CORRUPT, _issued({"token": ["a"]})),
    _token("null", CORRUPT, _issued({"token": None})),
    _token("no object", CORRUPT, _issued(["token"])),
    _token("with a line break", CORRUPT, _issued({"token": "a\r\nX-Injected: b"})),
    _token("with a blank", CORRUPT, _issued({"token": "a b"})),
    _token("not ASCII", CORRUPT, _issued({"token": "tökén"})),
    _token("of 1 MiB", CORRUPT, _issued({"token": "a" * (1 << 20)})),
    _token("of 30 KB, of no use", REFUSED | CORRUPT | UNAVAILABLE, _issued({"token": "a" * 30_000})),
    _token("expires in the past", NONE, _issued({"token": "a-token-of-the-upstream", "expires_in": -5})),
    _token("expires never", NONE | CORRUPT, _issued({"token": "a-token-of-the-upstream", "expires_in": 1e300})),
    _token("expires on Tuesday", NONE | CORRUPT, _issued({"token": "a-token-of-the-upstream", "expires_in": "Tue"})),
    _token("redirected elsewhere", REFUSED | UNAVAILABLE | CORRUPT, _elsewhere),
)
