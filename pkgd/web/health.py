"""`/health`: the reactor answers. `/ready`: requests will be answered. For probes; open to everybody.

What hinders writes only is `degraded` and leaves `/ready` at 200: pulls and deletes go on.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine
from enum import Enum
from typing import Any

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from pkgd.built import built
from pkgd.errors import PkgdError, Unsupported
from pkgd.storage.interfaces import ObjectStore
from pkgd.storage.space import FreeSpace
from pkgd.web.gate import declares
from pkgd.web.request import Request
from pkgd.web.respond import send_json

__all__ = ["HealthApi", "Phase", "Readiness"]

_Count = Callable[[], Coroutine[Any, Any, int]]

_NO_STORE = b"Cache-Control: no-store\r\n"


class Phase(Enum):
    """Where the daemon's life stands."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"


class Readiness:
    """Knows whether requests will be answered, from probes in the background."""

    def __init__(
        self, store: ObjectStore, space: FreeSpace, write_probe: Callable[[], Deferred[None]], damaged: _Count
    ) -> None:
        """
        :param damaged: how many damaged objects wait for somebody.
        """
        self.phase = Phase.STARTING
        self._store = store
        self._space = space
        self._write_probe = write_probe
        self._damaged = damaged
        self._storage: str = "not read yet"
        self._degraded: list[str] = []

    @property
    def ready(self) -> bool:
        """Whether the daemon is to get requests."""
        return self.phase is Phase.SERVING and self._storage == "ok"

    def is_draining(self) -> bool:
        """Whether the stop has begun."""
        return self.phase is Phase.DRAINING

    def report(self) -> dict[str, object]:
        """The body of `/ready`."""
        return {
            "status": "ready" if self.ready else "not_ready",
            "checks": {"phase": self.phase.value, "storage": self._storage},
            "degraded": list(self._degraded),
        }

    async def free(self) -> int:
        """How many bytes are free.

        :raises Storage: if it cannot be told.
        """
        return await self._space.free()

    async def probe(self) -> None:
        """Ask the storage once: a read decides, space and a write are noted. The probes answer from that."""
        try:
            await self._store.stat(f"__probe__/{secrets.token_hex(4)}")
            self._storage = "ok"
        except PkgdError as error:
            self._storage = error.message
        degraded = []
        try:
            if await self._space.low():
                degraded.append("free space is below storage.filesystem.min_free: writes are refused")
            await self._write_probe()
        except PkgdError as error:
            degraded.append(f"writes fail: {error.message}")
        try:
            if damaged := await self._damaged():
                degraded.append(f"{damaged} damaged objects are in quarantine")
        except PkgdError as error:
            degraded.append(f"the quarantine cannot be read: {error.message}")
        self._degraded = degraded


class HealthApi:
    """The two probes."""

    app = Klein()

    def __init__(
        self,
        readiness: Readiness,
        clock: IReactorTime,
        oidc: Callable[[], str] | None = None,
        started: float | None = None,
    ) -> None:
        """
        :param oidc: how it is with the provider that users log in by; None if there is none.
        :param started: when the daemon was started, by the clock; None for now.
        """
        self._readiness = readiness
        self._clock = clock
        self._oidc = oidc
        self._started = clock.seconds() if started is None else started
        self._version = built().version

    @app.route("/health", methods=["GET", "HEAD"])
    @declares(None)
    def health(self, request: Request) -> None:
        """200 as long as the reactor answers; no I/O."""
        uptime = int(self._clock.seconds() - self._started)
        report: dict[str, object] = {"status": "ok", "version": self._version, "uptime": uptime}
        if self._oidc is not None:
            report["oidc"] = self._oidc()
        send_json(request, 200, report, _NO_STORE)

    @app.route("/ready", methods=["GET", "HEAD"])
    @declares(None)
    def ready(self, request: Request) -> None:
        """200 if requests will be answered, else 503."""
        send_json(request, 200 if self._readiness.ready else 503, self._readiness.report(), _NO_STORE)

    @app.route("/health", methods=["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    @app.route("/ready", methods=["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    @declares(None)
    def other(self, request: Request) -> None:
        """Nothing else can be done with a probe."""
        raise Unsupported("probes are read", ("GET", "HEAD"))
