"""New configurations and rotated logs, while clients pull and push: broken ones change nothing, good ones all of it."""

from __future__ import annotations

import asyncio
import random
import re
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.operations.client import Exchange, Fate
from tests.operations.load import Load, seed
from tests.operations.server import Pkgd
from tests.operations.stops import complaints, mirrored

__all__ = ["under_load"]

_STAYS = "the configuration stays as it was: "
_FOLLOWED = "the configuration has been read anew"


async def under_load(directory: Path, chance: random.Random) -> list[str]:
    """Each kind of broken file, then a good change, with the logs rotated at each signal: no request fails."""
    upstream, server = Pkgd(directory / "upstream"), Pkgd(directory / "server")
    upstream.start()
    failures: list[str] = []
    try:
        base = mirrored(upstream)
        server.write(base)
        server.start()
        content = await seed(server, upstream, chance)
        load = Load(server, content, chance)
        load.start()
        rotation = _Rotation(server)
        for name, (spoil, mend, why) in _broken(server, base).items():
            failures += [f"{name}: {one}" for one in await _refused(server, rotation, spoil, why)]
            mend()
        failures += await _followed(server, rotation, base)
        await load.stop()
        failures += [f"{one.name}: {one.fate.value} {one.why}" for one in load.log if one.fate is not Fate.ANSWERED]
        failures += load.wrong
        status = await asyncio.to_thread(server.stop)
        if status:
            failures.append(f"exit status {status}")
        failures += complaints(server, 0)
        failures += rotation.missing(load.log)
        print(f"  {len(load.log)} requests, {rotation.count} rotations, {len(failures)} failures")
    finally:
        upstream.end()
        server.end()
    return failures


def _broken(
    server: Pkgd, base: Mapping[str, Any]
) -> Mapping[str, tuple[Callable[[], object], Callable[[], object], str]]:
    """Kinds of broken files: how each comes about, how it is mended, and a word of what is said."""

    def spoiled(more: Mapping[str, Any]) -> Callable[[], object]:
        return lambda: server.write({**base, **more})

    def restore() -> None:
        server.write(base)

    users = server.users.read_text()
    key = server.directory / "key.asc"
    key.write_text("no key")
    key.chmod(0o600)
    signing = {
        "signing": {"keys": {"default": {"algorithm": "ed25519"}, "other": {"key_file": str(key)}}},
        "repositories": {"apt": [{"name": "main"}, {"name": "second", "signing_key": "other"}]},
    }
    registry = {"ca_file": str(server.directory / "nowhere.pem")}
    mirror = {"mirror": {**base["mirror"], "registries": {**base["mirror"]["registries"], "b.example": registry}}}
    return {
        "YAML": (lambda: server.write_text("version: 1\nserver: [\n"), restore, "line"),
        "unknown key": (spoiled({"limits": {"upload_siz": 1}}), restore, "upload_siz"),
        "wrong type": (spoiled({"limits": {"upload_size": "much"}}), restore, "limits.upload_size"),
        "missing file": (spoiled(mirror), restore, "nowhere.pem"),
        "broken key": (spoiled(signing), restore, "signing.keys.other"),
        "no users": (
            spoiled({"auth": {"mode": "basic", "basic_htpasswd_file": str(server.directory / "nobody")}}),
            restore,
            "nobody",
        ),
        "broken users": (
            lambda: server.users.write_text("no user\n"),
            lambda: server.users.write_text(users),
            "line 1",
        ),
        "configuration gone": (server.config.unlink, restore, str(server.config)),
    }


async def _refused(server: Pkgd, rotation: _Rotation, spoil: Callable[[], object], why: str) -> list[str]:
    """SIGHUP with what is broken: one line says why, and nothing else has changed."""
    since = server.said
    spoil()
    await rotation.turn()
    # The file is looked at every ten seconds too, which may happen to be now.
    lines = {line.partition(_STAYS)[2] for line in server.lines(since) if _STAYS in line}
    found = []
    if len(lines) != 1 or not all(why in line for line in lines):
        found.append(f"the log says {lines}")
    if any(_FOLLOWED in line for line in server.lines(since)):
        found.append("it was followed")
    metrics = await asyncio.to_thread(server.text, "/metrics")
    if "pkgd_config_last_reload_successful 0.0" not in metrics:
        found.append("the metrics do not say so")
    return found


async def _followed(server: Pkgd, rotation: _Rotation, base: Mapping[str, Any]) -> list[str]:
    """SIGHUP with a good change: it is in force."""
    found = []
    for number in range(3):
        since = server.said
        names = [{"name": "main"}, {"name": f"new{number}"}]
        server.write({**base, "repositories": {"apt": names}})
        await rotation.turn()
        if not any(_FOLLOWED in line for line in server.lines(since)):
            found.append(f"the log says nothing of change {number}")
        if await asyncio.to_thread(server.get, f"/apt/new{number}/dists/stable/InRelease") != 200:
            found.append(f"the repository new{number} is not there")
    return found


class _Rotation:
    """The access log, renamed before each SIGHUP as logrotate does it."""

    def __init__(self, server: Pkgd) -> None:
        self.count = 0
        self._server = server
        self._log = server.directory / "access.log"

    async def turn(self) -> None:
        """Rotate, send SIGHUP, and wait until the new file is there: the last thing that is done."""
        self.count += 1
        self._log.rename(self._log.with_suffix(f".{self.count}"))
        self._server.signal(signal.SIGHUP)
        await asyncio.to_thread(self._server.until, self._log.exists, "rotated")

    def missing(self, log: list[Exchange]) -> list[str]:
        """The requests that are in no file, or twice; each is told by what it calls itself."""
        text = "".join(one.read_text() for one in self._log.parent.glob("access.*"))
        numbers = [int(one) for one in re.findall(r'"load/([0-9]+)"$', text, re.MULTILINE)]
        asked = {one.number for one in log}
        written = [one for one in numbers if one in asked]
        lost, twice = asked - set(written), len(written) - len(set(written))
        torn = [line for line in text.splitlines() if not line.endswith('"')]
        return [
            *([f"{len(lost)} of {len(asked)} requests are in no access log"] if lost else []),
            *([f"{twice} requests are logged twice"] if twice else []),
            *[f"no whole line: {line}" for line in torn[:3]],
        ]
