"""helm, which logs in with passwords and with API keys, and pushes and pulls charts as artifacts of a registry."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.live import nginx
from tests.live.auth_setup import NOT_LET_IN, PASSWORDS, Keys, asking_bench, refused
from tests.live.bench import Bench, Case
from tests.live.content import expect, hash_file
from tests.live.tools import must_be_there, run

PROGRAMS = ["helm", *nginx.PROGRAMS]

_VERSION = "0.1.0+of.us"
"""With what no tag may have: helm replaces it, there and back."""


def cases(bench: Bench) -> Iterator[Case]:
    """What helm's users do."""
    must_be_there("helm")
    ways = {"": (False, True), " behind nginx": (True, True), " behind nginx, by its word for the URL": (True, False)}
    for where, (proxied, told) in ways.items():
        if proxied and not bench.secure:
            continue
        with asking_bench(bench, proxied=proxied, told=told) as asking, asking.folder("helm") as folder:
            helm = _Helm(asking, folder)
            yield Case(f"login with a wrong password is refused{where}", helm.wrong_password, asking.server)
            yield Case(f"login, package, push, pull{where}", helm.pushes_and_pulls, asking.server)
            yield Case(f"a push that the policy denies says so{where}", helm.denied, asking.server)
            yield Case(f"without login, the public alone, and to read{where}", helm.anonymous, asking.server)
            yield Case(f"an API key pulls, and no more once revoked{where}", helm.key, asking.server)


class _Helm:
    """helm and a chart, against one server; its logins are in the suite's own home."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self._bench = bench
        self._folder = folder
        self._keys = Keys(bench, folder)
        certificates = bench.endpoint.certificates
        self._access = (f"--ca-file={certificates.authority}",) if certificates else ("--plain-http",)
        run("helm", "create", str(folder / "chart"))
        run("helm", "package", str(folder / "chart"), "--version", _VERSION, "--destination", str(folder))
        self._chart = folder / f"chart-{_VERSION}.tgz"

    def wrong_password(self) -> None:
        """The login itself fails."""
        refused(NOT_LET_IN, partial(self._login, "alice", "wrong"))

    def pushes_and_pulls(self) -> None:
        """Who may, can."""
        self._login("alice", PASSWORDS["alice"])
        self._push("team")
        self._pull("team")
        self._push("public")

    def denied(self) -> None:
        """helm shows the policy's sentence."""
        self._login("bob", PASSWORDS["bob"])
        self._pull("team")
        refused(r"bob may not push oci:team/chart: no rule allows it", partial(self._push, "team"))

    def anonymous(self) -> None:
        """After a logout what is for all can be pulled; nothing can be pushed, and nothing else be read."""
        self._logout()
        self._pull("public")
        refused(NOT_LET_IN, partial(self._push, "public"))
        refused(NOT_LET_IN, partial(self._pull, "team"))

    def key(self) -> None:
        """A robot's key opens what it names, and nothing after its end."""
        self._login("root", PASSWORDS["root"])
        self._push("seed")
        key = self._keys.create()
        self._login("key", key)
        self._pull("seed")
        refused(r"robot:ci may not push oci:seed/chart", partial(self._push, "seed"))
        self._keys.revoke(key)
        refused(NOT_LET_IN, partial(self._pull, "seed"))
        self._logout()

    def _login(self, user: str, password: str) -> None:
        entered = self._folder / "entered"
        entered.write_text(password)
        options = ("--username", user, "--password-stdin", *self._access)
        run("helm", "registry", "login", *options, self._bench.endpoint.address, standard_input=entered)

    def _logout(self) -> None:
        run("helm", "registry", "logout", self._bench.endpoint.address)

    def _push(self, below: str) -> None:
        run("helm", "push", str(self._chart), f"oci://{self._bench.endpoint.address}/{below}", *self._access)

    def _pull(self, below: str) -> None:
        with self._bench.folder("pulled") as folder:
            name = f"oci://{self._bench.endpoint.address}/{below}/chart"
            run("helm", "pull", name, "--version", _VERSION, "--destination", str(folder), *self._access)
            expect("chart", hash_file(folder / self._chart.name), hash_file(self._chart))
