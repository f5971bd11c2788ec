"""Secrets that are easily found again: they reach the upstream that they are for, and nobody and nothing else.

The mirror's credentials are canaries, and so are those that clients send along; after every case all that any upstream
has been told is searched, and at the end all that the mirror has written.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from tests.upstream import places
from tests.upstream.answers import Lock, document
from tests.upstream.bench import (
    Bench,
    Case,
    Trial,
    blob_path,
    expect,
    host_of,
    manifest_path,
    pull,
    require,
)
from tests.upstream.client import Answer
from tests.upstream.content import REPOSITORY, TAG
from tests.upstream.disk import holders
from tests.upstream.exchange import Asked, Exchange, Misbehaviour, Part
from tests.upstream.faults.redirects import moved
from tests.upstream.faults.statuses import answered
from tests.upstream.mirror import Mirror
from tests.upstream.scripted import Upstream

USERNAME = "canary-user-5e1f"
PASSWORD = "canary-password-c0ffee"
TOKEN = "canary-token-0123456789"
CLIENT = "canary-client-7777"
_BASIC = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
_CLIENT_BASIC = base64.b64encode(f"{CLIENT}:{CLIENT}".encode()).decode()
SECRETS = (PASSWORD, _BASIC, TOKEN)
CLIENTS = (CLIENT, _CLIENT_BASIC)

_AUTH, _OTHER_DOMAIN = f"auth.{places.DOMAIN}", "token.other-domain.net"
_AUTH_ADDRESS, _OTHER_ADDRESS = places.MORE_PUBLIC


async def cases(bench: Bench) -> AsyncIterator[Case]:
    """Upstreams with locks, hosts to which they point, and one mirror that has the keys."""
    async with _Scene(bench) as scene, bench.mirror({"registries": scene.registries()}, "canaries") as mirror:
        canaries = Canaries(mirror, scene)
        for case in canaries.cases():
            yield Case(case.name, canaries.watched(case))
        yield Case("the process shows no secret", canaries.process)
    yield Case("nothing that was written holds a secret", canaries.written)


class _Scene:
    """Everybody who may learn a secret, or must not."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.image = bench.image
        self.delivery = bench.surroundings.delivery
        basic = Lock("Basic", USERNAME, PASSWORD)
        bearer = Lock("Bearer", USERNAME, PASSWORD, TOKEN)
        names = ("basic", "bearer", "near", "far", "plain", "wrong", "delivering", "private", "hopping", "broken")
        self.locked = {name: self._upstream(name) for name in names}
        for name, upstream in self.locked.items():
            upstream.lock = basic if name == "basic" else bearer
        self.locked["near"].lock = _pointing(bearer, f"https://{_AUTH}/token")
        self.locked["far"].lock = _pointing(bearer, f"https://{_OTHER_DOMAIN}/token")
        self.locked["plain"].lock = _pointing(bearer, f"http://{_AUTH}/token")
        self.locked["wrong"].lock = Lock("Bearer", USERNAME, "another password", TOKEN)
        self.neighbour = bench.upstream()
        self.auth = self._public(_AUTH, _AUTH_ADDRESS, bearer)
        self.other = self._public(_OTHER_DOMAIN, _OTHER_ADDRESS, Lock())

    def _upstream(self, name: str) -> Upstream:
        return self.bench.secure_upstream(name) if name in ("near", "far") else self.bench.upstream()

    def _public(self, host: str, address: str, lock: Lock) -> Upstream:
        self.bench.names.set(host, [address])
        found = Upstream({}, 443, address, self.bench.authority.context(host), host)
        found.lock = lock
        return found

    async def __aenter__(self) -> _Scene:
        for one in self.everybody():
            if one is not self.delivery:
                await one.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        for one in self.everybody():
            if one is not self.delivery:
                await one.close()

    def everybody(self) -> list[Upstream]:
        """All of them."""
        return [*self.locked.values(), self.neighbour, self.auth, self.other, self.delivery]

    def registries(self) -> dict[str, object]:
        """The mirror's keys, one of them in a file."""
        file = self.bench.scratch / "password"
        file.write_text(PASSWORD + "\n")
        key = {"username": USERNAME, "password": PASSWORD}
        sections = {host_of(name): self.bench.section(one, **key) for name, one in self.locked.items()}
        in_file = {"username": USERNAME, "password_file": str(file)}
        sections[host_of("bearer")] = self.bench.section(self.locked["bearer"], **in_file)
        neighbour = f"{places.LOOPBACK}:{self.neighbour.port}"
        sections[host_of("private")] = self.bench.section(self.locked["private"], **key, private_hosts=[neighbour])
        return sections


def _pointing(lock: Lock, realm: str) -> Lock:
    challenge = f'Bearer realm="{realm}",service="scripted",scope="repository:{REPOSITORY}:pull"'
    return Lock(lock.scheme, lock.username, lock.password, lock.token, challenge)


class Canaries:
    """The cases."""

    def __init__(self, mirror: Mirror, scene: _Scene) -> None:
        self._mirror = mirror
        self._scene = scene
        self._image = scene.image
        self._answers: list[Answer] = []

    def cases(self) -> Sequence[Case]:
        """All of them."""
        return (
            Case("Basic", lambda: self._pull("basic")),
            Case("Bearer, the password in a file", lambda: self._pull("bearer")),
            Case("a token service of the same domain gets the credentials", self._near),
            Case("a token service of another domain gets none", self._far),
            Case("a token service without TLS gets nothing", self._plain),
            Case("wrong credentials", self._wrong),
            Case("a redirect to another host takes nothing along", self._delivering),
            Case("a redirect to a private host that is allowed takes nothing along", self._private),
            Case("a redirect to another port that is not allowed", self._hopping),
            Case("an upstream that repeats what it was told", self._broken),
        )

    def watched(self, case: Case) -> Trial:
        """The case's trial, and then a look at what everybody has been told."""

        async def trial() -> None:
            for one in self._scene.everybody():
                one.forget()
            self._answers.clear()
            await case.trial()
            self._search()

        return trial

    # -- the cases --

    async def _ask(self, target: str) -> Answer:
        """As a client that has secrets of its own."""
        own = {"Authorization": f"Basic {_CLIENT_BASIC}", "Cookie": f"session={CLIENT}", "X_Auth_Token": CLIENT}
        answer = await pull(self._mirror, target, **own)
        self._answers.append(answer)
        return answer

    async def _pull(self, name: str) -> None:
        host = host_of(name)
        for target, body in (
            (manifest_path(TAG, host), self._image.index.data),
            (manifest_path(self._image.manifest.digest, host), self._image.manifest.data),
            (blob_path(self._image.largest, host), self._image.layers[-1]),
        ):
            answer = await self._ask(target)
            expect(f"GET {target} ({answer})", (answer.status, answer.whole, answer.body == body), (200, True, True))
        require("the upstream was shown the credentials or a token", self._scene.locked[name].requests)

    async def _denied(self, name: str) -> None:
        answer = await self._ask(manifest_path(TAG, host_of(name)))
        expect(f"status ({answer})", (answer.status, answer.code), (403, "DENIED"))

    async def _near(self) -> None:
        await self._pull("near")
        require("the token service was asked", self._scene.auth.asked(Part.TOKEN))
        asked = self._scene.auth.requests[0]
        expect("Authorization at the token service", asked.value("authorization"), f"Basic {_BASIC}")

    async def _far(self) -> None:
        await self._denied("far")
        for asked in self._scene.other.requests:
            expect("Authorization at a token service of another domain", asked.value("authorization"), None)

    async def _plain(self) -> None:
        await self._denied("plain")
        expect("requests at the token service", len(self._scene.auth.requests), 0)

    async def _wrong(self) -> None:
        await self._denied("wrong")

    async def _delivering(self) -> None:
        self._scene.locked["delivering"].misbehave(_redirected(places.DELIVERY_URL), Part.BLOB)
        await self._pull("delivering")
        require("the other host was asked", self._scene.delivery.asked(Part.BLOB))

    async def _private(self) -> None:
        self._scene.locked["private"].misbehave(_redirected(self._scene.neighbour.url), Part.BLOB)
        await self._pull("private")
        require("the other host was asked", self._scene.neighbour.asked(Part.BLOB))

    async def _hopping(self) -> None:
        self._scene.locked["hopping"].misbehave(_redirected(self._scene.neighbour.url), Part.BLOB)
        answer = await self._ask(blob_path(self._image.largest, host_of("hopping")))
        expect(f"status ({answer})", answer.status, 502)
        expect("connections to the other port", self._scene.neighbour.accepted, 0)

    async def _broken(self) -> None:
        upstream = self._scene.locked["broken"]
        for how in (_echoing(401), _echoing(403), _echoing(500), _echoing(400), _echoing(200), answered(502)):
            upstream.misbehave(how, Part.MANIFEST, Part.BLOB, Part.REFERRERS, Part.TOKEN)
            for target in (manifest_path(TAG, host_of("broken")), blob_path(self._image.strong, host_of("broken"))):
                answer = await self._ask(target)
                require(f"it fails: {answer}", answer.status >= 400 or answer.is_broken)

    # -- the search --

    def _search(self) -> None:
        for one in self._scene.everybody():
            for asked in one.requests:
                self._search_request(one, asked)
        for answer in self._answers:
            shown = f"{answer.fields} {answer.body.decode('latin-1') if answer.status >= 400 else ''}"
            expect("secrets in an answer", [one for one in (*SECRETS, *CLIENTS) if one in shown], [])

    def _search_request(self, upstream: Upstream, asked: Asked) -> None:
        told = f"{asked.target} {asked.fields}"
        found = [one for one in CLIENTS if one in told]
        expect(f"secrets of clients, told to {upstream.url} ({asked})", found, [])
        if upstream not in (*self._scene.locked.values(), self._scene.auth):
            expect(f"secrets told to {upstream.url} ({asked})", [one for one in SECRETS if one in told], [])
        expect(f"secrets in a URL of {upstream.url}", [one for one in SECRETS if one in asked.target], [])

    async def process(self) -> None:
        """What other users of the machine can see of the process."""
        for name in ("cmdline", "environ"):
            shown = _shown(self._mirror.pid, name)
            expect(f"secrets in {name}", [one for one in (*SECRETS, *CLIENTS) if one in shown], [])

    async def written(self) -> None:
        """State and logs; of the configuration file nobody can keep the password."""
        for secret in (*SECRETS, *CLIENTS):
            found = [*holders(self._mirror.state, secret.encode()), *holders(self._mirror.log.parent, secret.encode())]
            expect(f"files that hold {secret}", [one for one in found if not one.endswith("pkgd.yaml")], [])


def _shown(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_bytes().decode("latin-1")


def _redirected(origin: str) -> Misbehaviour:
    async def misbehave(exchange: Exchange) -> None:
        if exchange.reply.status == 401:
            await exchange.deliver()
            return
        await exchange.deliver(moved(307, f"{origin}{exchange.asked.path}"))

    return misbehave


def _echoing(status: int) -> Misbehaviour:
    """Repeat in the body and in headers what the request has said."""

    async def misbehave(exchange: Exchange) -> None:
        told = exchange.asked.value("authorization") or f"Basic {_BASIC}"
        reply = document(status, {"errors": [{"code": "ECHO", "message": f"{told} {USERNAME}:{PASSWORD}"}]})
        challenge = f'Bearer realm="https://{_OTHER_DOMAIN}/token",service="scripted"'
        await exchange.deliver(reply.set("WWW-Authenticate", challenge).set("X-Echo", told))

    return misbehave
