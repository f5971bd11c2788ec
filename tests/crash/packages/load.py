"""Clients that upload, copy and delete packages, until they are told to stop or the server goes."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections.abc import Callable

from tests.crash.packages.ledger import PackageLedger, Thing
from tests.packages.fixtures import made_deb
from tests.packages.test_rpm import made_rpm
from tests.repositories.web import Answer, Web

_CLIENTS = 5


class Load:
    """Clients of one run; each has packages of its own."""

    def __init__(self, web: Web, ledger: PackageLedger, seed: str) -> None:
        self._web = web
        self._ledger = ledger
        self._seed = seed
        self._ended = False

    def run(self, seconds: float, finish: Callable[[], None] | None = None) -> None:
        """Work for so long; then call `finish`, which kills the server, or let every client end its request."""
        threads = [threading.Thread(target=self._client, args=(number,)) for number in range(_CLIENTS)]
        for one in threads:
            one.start()
        time.sleep(seconds)
        self._ended = True
        if finish is not None:
            finish()
        for one in threads:
            one.join()

    def _client(self, number: int) -> None:
        rng = random.Random(f"{self._seed}/{number}")
        mine: list[Thing] = []
        count = 0
        while not self._ended:
            try:
                if mine and rng.random() < 0.3:
                    self._remove(mine.pop(rng.randrange(len(mine))))
                elif mine and rng.random() < 0.2:
                    self._copy(rng.choice(mine), mine)
                else:
                    count += 1
                    self._add(f"p{self._seed}-{number}-{count}", rng, mine)
            except (OSError, http.client.HTTPException) as error:
                if not self._ended:
                    self._ledger.failures.append(f"the connection was lost: {error!r}")
                return

    def _add(self, name: str, rng: random.Random, mine: list[Thing]) -> None:
        if rng.random() < 0.5:
            thing, data = ("rpm", name), made_rpm(name, payload=rng.randbytes(20_000))
            path = f"/rpm/main/{name}.rpm"
        else:
            thing, data = ("apt:stable", name), made_deb(name, Description=f"a package\n {rng.randbytes(3000).hex()}")
            path = f"/apt/main/stable/main/{name}.deb"
        if self._do(thing, True, lambda: self._web.call("PUT", path, data)):
            mine.append(thing)

    def _copy(self, thing: Thing, mine: list[Thing]) -> None:
        where, name = thing
        if where != "apt:stable" or ("apt:testing", name) in mine:
            return
        body = b'{"source": "stable", "target": "testing", "name": "%s"}' % name.encode()
        headers = {"Content-Type": "application/json"}
        if self._do(
            ("apt:testing", name), True, lambda: self._web.call("POST", "/api/v1/apt/main/copy", body, headers)
        ):
            mine.append(("apt:testing", name))

    def _remove(self, thing: Thing) -> None:
        where, name = thing
        path = f"/rpm/main/{name}-1.0-1.x86_64.rpm"
        if where != "rpm":
            path = f"/apt/main/{where.partition(':')[2]}/main/{name}_1.0_amd64.deb"
        self._do(thing, False, lambda: self._web.call("DELETE", path))

    def _do(self, thing: Thing, is_there: bool, call: Callable[[], Answer]) -> bool:
        operation = self._ledger.begin(thing, is_there)
        answer = call()
        if not 200 <= answer.status < 300:
            self._ledger.failures.append(f"{thing}: {answer.status} {answer.text[:200]}")
            return False
        self._ledger.acknowledge(operation)
        return True
