"""Clients that log in, with passwords and with API keys, where some repositories are for everybody and others aren't.

Over TLS pkgd isn't told its URL, over plain HTTP it is; behind an nginx that speaks TLS for it, once and once not.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.live import buildah, docker, nginx, podman, skopeo
from tests.live.auth_clients import LIGHT, Client, DockerClient, SkopeoClient
from tests.live.auth_setup import NOT_LET_IN, PASSWORDS, Keys, asking_bench, refused
from tests.live.bench import Bench, Case

PROGRAMS = [
    *(*docker.PROGRAMS, *podman.PROGRAMS, *buildah.PROGRAMS, *skopeo.PROGRAMS, *nginx.PROGRAMS),
    *("crane", "oras"),
]


def cases(bench: Bench) -> Iterator[Case]:
    """Every client against pkgd itself, and behind nginx."""
    with asking_bench(bench) as asking:
        yield from _cases(asking, LIGHT, "")
    if bench.secure:
        with asking_bench(bench, proxied=True) as asking:
            yield from _cases(asking, LIGHT, " behind nginx")
        with asking_bench(bench, proxied=True, told=False) as asking:
            yield from _cases(asking, LIGHT, " behind nginx, by its word for the URL")


def _cases(asking: Bench, light: list[type[Client]], where: str) -> Iterator[Case]:
    with asking.folder("logins") as folder:
        keys = Keys(asking, folder)
        for kind in light:
            (folder / kind.program).mkdir()
            yield from _cases_of(LoggingIn(kind(asking, folder / kind.program), keys), where)
        copy = partial(_copy_with_credentials, SkopeoClient(asking, folder))
        yield Case(f"skopeo --dest-creds and --src-creds{where}", copy, asking.server)
        with docker.running_docker(asking) as engine:
            yield from _cases_of(LoggingIn(DockerClient(asking, folder, engine), keys), where)


def _cases_of(trial: LoggingIn, where: str) -> Iterator[Case]:
    server, program = trial.client.bench.server, f"{trial.client.program}{where}"
    if trial.client.tells_wrong_password:
        yield Case(f"{program}: login with a wrong password is refused", trial.wrong_password, server)
    yield Case(f"{program}: login, push, pull", trial.pushes_and_pulls, server)
    yield Case(f"{program}: a push that the policy denies says so", trial.denied, server)
    yield Case(f"{program}: without login, the public alone, and to read", trial.anonymous, server)
    yield Case(f"{program}: an API key pulls, and no more once revoked", trial.key, server)


class LoggingIn:
    """One client's cases."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self.client = client
        self._keys = keys
        self._image = client.bench.images.another_small(f"auth-{client.program}")

    @property
    def _private(self) -> str:
        return self.client.bench.seed(self._image)

    @property
    def _public(self) -> str:
        return self.client.bench.seed(self._image, "public/to/all")

    def wrong_password(self) -> None:
        """The login itself fails."""
        for user, password in (("alice", "wrong"), ("nobody", PASSWORDS["alice"])):
            refused(NOT_LET_IN, partial(self.client.login, user, password))

    def pushes_and_pulls(self) -> None:
        """Who may, can."""
        self._as("alice", PASSWORDS["alice"])
        name = f"team/{self.client.program}"
        self.client.push(self._image, name)
        self.client.pull(self._image, name)
        self.client.pull(self._image, self._private)
        self.client.push(self._image, f"public/{self.client.program}")

    def denied(self) -> None:
        """The client shows the policy's sentence."""
        self._as("bob", PASSWORDS["bob"])
        self.client.pull(self._image, f"team/{self.client.program}")
        push = partial(self.client.push, self._image, "team/of-bob")
        refused(r"bob may not push oci:team/of-bob: no rule allows it", push)

    def anonymous(self) -> None:
        """After a logout what is for all can be pulled; nothing can be pushed, and nothing else be read."""
        self.client.logout()
        self.client.pull(self._image, self._public)
        refused("credentials are needed", partial(self.client.push, self._image, "public/to/anonymous"))
        refused(NOT_LET_IN, partial(self.client.pull, self._image, self._private))

    def key(self) -> None:
        """A robot's key, which is a password: it opens what it names, and nothing after its end."""
        key = self._keys.create()
        self._as("key", key)
        self.client.pull(self._image, self._private)
        refused(r"robot:ci may not push oci:seed/of-robot", partial(self.client.push, self._image, "seed/of-robot"))
        self._keys.revoke(key)
        refused(NOT_LET_IN, partial(self.client.pull, self._image, self._private))
        self.client.logout()

    def _as(self, user: str, password: str) -> None:
        self.client.login(user, password)


def _copy_with_credentials(client: SkopeoClient) -> None:
    """Without any login, by the option of the command."""
    image = client.bench.images.another_small("auth-creds")
    right, wrong = f"alice:{PASSWORDS['alice']}", "alice:wrong"
    client.push(image, "team/creds", f"--dest-creds={right}")
    client.pull(image, "team/creds", f"--src-creds={right}")
    refused(NOT_LET_IN, partial(client.push, image, "team/creds", f"--dest-creds={wrong}"))
    refused(NOT_LET_IN, partial(client.pull, image, "team/creds", f"--src-creds={wrong}"))
