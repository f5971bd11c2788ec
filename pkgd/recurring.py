"""What the daemon does again and again while it serves: probes, expiry, limits, files that may have changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pkgd.composition import Parts
from pkgd.config import Config
from pkgd.errors import PkgdError, Storage
from pkgd.packages.expiry import KeyExpiry
from pkgd.progress import Until
from pkgd.sharing import Tasks

__all__ = ["Recurring"]

log = Logger()

# How often storage is probed, and changed certificates and expired uploads are looked for, in seconds.
PROBE_INTERVAL = 10.0
CERTIFICATE_INTERVAL = 10.0
EXPIRY_INTERVAL = 600.0
# How often uses of the mirror's cache are written down, and its limits looked at.
FLUSH_INTERVAL = 60.0
EVICTION_INTERVAL = 600.0
SWEEP_INTERVAL = 3600.0
# How often it is measured how much is stored.
USAGE_INTERVAL = 3600.0
# How often it is looked whether it is time to read again what could not be read.
SUSPECT_INTERVAL = 30.0
# How often the file of users is looked at, and whether it is time for a new key of tokens.
USERS_INTERVAL = 2.0
KEYS_INTERVAL = 3600.0
# How soon the start tries again to read API keys.
KEYS_RETRY = 1.0
# How often a provider that cannot be asked is asked again; one that can is once an hour.
PROVIDER_INTERVAL = 10.0

Job = Callable[[], Coroutine[Any, Any, None]]


class Recurring:
    """See the module. `pauses` are those between two times; the stop ends them."""

    def __init__(self, reactor: Any, parts: Parts, tasks: Tasks, keep_start_reserve: Callable[[], None]) -> None:
        self.pauses: list[Deferred[None]] = []
        self._reactor = reactor
        self._parts = parts
        self._tasks = tasks
        self._stopping = parts.readiness.is_draining
        self._keep_start_reserve = keep_start_reserve
        warn = parts.present.serving.config.signing.rotate_warn
        self._key_expiry = KeyExpiry(parts.packages.signers, reactor, warn, parts.mirror.metrics.keys_expire)
        self._interval = parts.upkeep.interval
        # Who collects garbage; another one when the configuration has another interval.
        self._collecting = object()

    def start(self) -> None:
        """Begin with everything, now that the daemon serves."""
        self.every("readiness", PROBE_INTERVAL, self._probe)
        self.every("upload expiry", EXPIRY_INTERVAL, self._expire)
        if self._parts.present.certificates is not None:
            self.every("certificates", CERTIFICATE_INTERVAL, self.refresh_certificates)
        self.every("uses of the cache", FLUSH_INTERVAL, self._flush_uses)
        self.every("limits of the cache", EVICTION_INTERVAL, self._keep_limits)
        self.every("old generations", SWEEP_INTERVAL, self._sweep)
        self._start_collecting()
        self.every("usage", USAGE_INTERVAL, lambda: self._parts.usage.measure(self._stopping))
        self._tasks.start("scrub", self._scrub())
        self.every("suspects", SUSPECT_INTERVAL, self._look_at_suspects)
        self._tasks.start("retention", self._retain())
        self.every("users", USERS_INTERVAL, self.refresh_users)
        self.every("keys of tokens", KEYS_INTERVAL, self.refresh_keys)
        self.every("provider", PROVIDER_INTERVAL, self._look_for_provider)

    def every(self, name: str, interval: float, job: Job) -> None:
        """Do a job now and again until the stop.

        :param interval: from the end of one to the beginning of the next, in seconds.
        """
        self._tasks.start(name, self._again(interval, job))

    def follow(self, config: Config) -> None:
        """A new configuration has taken effect."""
        self._key_expiry.use(self._parts.packages.signers, config.signing.rotate_warn)
        if self._parts.upkeep.interval != self._interval:
            self._start_collecting()

    async def look_at_keys(self) -> None:
        """Say which signing keys expire."""
        await self._key_expiry.run()

    def wake(self) -> None:
        """End the pauses: the daemon stops, and everything sees that."""
        for pause in list(self.pauses):
            pause.callback(None)

    async def _again(self, interval: float, job: Job, goes_on: Callable[[], bool] = lambda: True) -> None:
        """Its failure is logged, and it is done again."""
        while not self._stopping() and goes_on():
            try:
                await job()
            except PkgdError as error:
                log.error("a recurring job failed: {reason}", reason=error.message)
            except Exception:
                log.failure("a recurring job failed")
            await self._pause(interval)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not beyond the beginning of the stop, which wakes only those that have paused before."""
        if self._stopping():
            return
        pause: Deferred[None] = Deferred()
        self.pauses.append(pause)
        timer = self._reactor.callLater(seconds, pause.callback, None)
        try:
            await pause
        finally:
            self.pauses.remove(pause)
            if timer.active():
                timer.cancel()

    # -- the state --

    async def _probe(self) -> None:
        parts = self._parts
        await parts.readiness.probe()
        await self.keep_reserves()
        await parts.packages.start_waiting()
        parts.mirror.metrics.storage.free(await parts.readiness.free())

    async def read_keys(self) -> None:
        """Before anybody is served who may have one of the API keys: again and again, until they can be read."""
        while not self._stopping():
            try:
                await self._parts.present.serving.authentication.look()
            except Storage as error:
                log.error("API keys cannot be read, so nobody is served yet: {reason}", reason=error.message)
                await self._pause(KEYS_RETRY)
            else:
                return

    async def keep_reserves(self) -> None:
        """Have something set aside, on each file system, for what deletes and a start need where there is no space."""
        parts = self._parts
        await parts.blocking.disk(self._keep_start_reserve)
        held = [await one.reserve.keep(parts.blocking) for one in (parts.spool, parts.packages.spool)]
        parts.mirror.metrics.storage.reserved(all(held))

    async def _look_at_suspects(self) -> None:
        await self._parts.suspects.look(Until(self._stopping))

    async def _expire(self) -> None:
        parts, age = self._parts, self._parts.present.serving.config.limits.upload_expiry
        expired = await parts.uploads.expire(age, time.time())
        parts.mirror.metrics.uploads(await parts.uploads.active(), expired)
        if expired:
            log.info("{count} abandoned uploads have been removed", count=expired)
        await parts.packages.pending.expire(age)

    async def _keep_limits(self) -> None:
        """Keep the mirror's cache within its limits, once its ledger is known to be right."""
        await self._parts.mirror.survey.run(self._stopping)
        await self._parts.mirror.evictor.run(self._stopping)

    async def _flush_uses(self) -> None:
        mirror = self._parts.mirror
        await mirror.ledger.flush()
        mirror.metrics.mirror.cached_bytes(await mirror.ledger.by_host())

    async def _sweep(self) -> None:
        """Give up the generations of package repositories that are out of their window, and look at their keys."""
        await self._key_expiry.run()
        await self._parts.packages.sweep()

    def _start_collecting(self) -> None:
        """Collect garbage as often as it is configured; whoever did so before ends when it wakes."""
        self._collecting = object()
        self._interval = self._parts.upkeep.interval
        if self._interval:
            self._tasks.start("garbage collection", self._collect(self._collecting))

    async def _collect(self, turn: object) -> None:
        upkeep = self._parts.upkeep
        interval = upkeep.interval
        await self._pause(upkeep.delay)
        await self._again(interval, partial(upkeep.recur, Until(self._stopping)), lambda: self._collecting is turn)

    async def _scrub(self) -> None:
        scrubbing = self._parts.scrubbing
        await self._pause(scrubbing.interval)  # first what is begun at every start
        await self._again(scrubbing.interval, lambda: scrubbing.recur(Until(self._stopping)))

    async def _retain(self) -> None:
        retaining = self._parts.retaining
        await self._pause(retaining.look)
        await self._again(retaining.look, lambda: retaining.recur(Until(self._stopping)))

    # -- what may have changed --

    async def refresh_certificates(self) -> None:
        """Load the certificate anew, if it has changed."""
        certificates = self._parts.present.certificates
        if certificates is not None:
            await self._parts.blocking.disk(certificates.refresh)

    async def refresh_users(self) -> None:
        """Read the file of users and what other processes have changed of API keys, if they have changed."""
        authentication = self._parts.present.serving.authentication
        await authentication.refresh(self._parts.blocking)
        await authentication.look()

    async def refresh_keys(self) -> None:
        """Sign tokens with a new key, if it is time for one, and forget what is over."""
        authentication = self._parts.present.serving.authentication
        await authentication.refresh_keys(self._parts.blocking)
        await authentication.sweep()

    async def _look_for_provider(self) -> None:
        browsers = self._parts.present.serving.authentication.browsers
        if browsers is not None:
            await browsers.provider.look()
