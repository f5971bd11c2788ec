"""A pkgd that asks who somebody is: its users, its rules, its robots' keys; directly, and behind nginx.

    root   may do everything
    alice  may pull and push `team`, push `public`, and pull what has been seeded or comes from registry.k8s.io
    bob    may pull `team`
    ci     a robot, may pull what has been seeded

`public` may be pulled by anybody, and so may Docker Hub through the mirror.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bcrypt

from tests.live.bench import Bench
from tests.live.cell import OUTER_ADDRESS
from tests.live.nginx import running_nginx
from tests.live.registry import Endpoint, Registry
from tests.live.server import Pkgd, Setup, pkgd_program
from tests.live.tools import CommandFailed, run, wait_for

__all__ = ["NOT_LET_IN", "PASSWORDS", "ROOT", "Keys", "asking_bench", "asking_sections", "refused"]

PASSWORDS = {name: f"the password of {name}: 'öß' & \"$1\"" for name in ("root", "alice", "bob")}
ROOT = f"root:{PASSWORDS['root']}"

NOT_LET_IN = r"(?i)unauthorized|\b401\b|invalid username/password|authentication required"
"""How the clients say that they need other credentials."""

_RULES = [
    ("oci:public/**", "anonymous", ["pull"]),
    ("mirror:docker.io/**", "anonymous", ["pull"]),
    ("oci:team/**", "user:alice", ["pull", "push", "overwrite"]),
    ("oci:public/**", "user:alice", ["push", "overwrite"]),
    ("oci:seed/**", "user:alice", ["pull"]),
    ("mirror:registry.k8s.io/**", "user:alice", ["pull"]),
    ("oci:team/**", "user:bob", ["pull"]),
    ("oci:seed/**", "user:robot:ci", ["pull"]),
]


def asking_sections(folder: Path) -> dict[str, Any]:
    """The sections `auth` and `authorization`; their file of users is put into the folder."""
    users = folder / "users"
    hashes = {name: bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)) for name, password in PASSWORDS.items()}
    users.write_text("".join(f"{name}:{hashed.decode()}\n" for name, hashed in hashes.items()))
    rules = [{"resources": [what], "subjects": [who], "actions": actions} for what, who, actions in _RULES]
    # Many clients fail here on purpose, all from one address.
    throttle = {"per_ip": "600/m", "per_user": "600/m"}
    return {
        "auth": {"mode": "basic", "basic_htpasswd_file": str(users), "throttle": throttle},
        "authorization": {"admins": {"users": ["root"]}, "rules": rules},
    }


@contextmanager
def asking_bench(bench: Bench, *, proxied: bool = False, told: bool = True) -> Iterator[Bench]:
    """A pkgd that asks who somebody is, for the block.

    It knows its URL when it speaks plain HTTP, and behind nginx; where it speaks TLS it has to do without.

    :param told: whether it is told its URL behind nginx, too; else it has only nginx' word for it.
    """
    port = 21705 if proxied else 21701
    front = Endpoint(OUTER_ADDRESS, 21702, bench.certificates)
    with bench.folder("asking") as folder:
        setup = Setup(
            "pkgd-asking",
            "127.0.0.1" if proxied else bench.endpoint.host,
            port,
            None if proxied else bench.endpoint.certificates,
            behind_proxy=proxied,
            external_url=(front.url if told else None)
            if proxied
            else None
            if bench.secure
            else f"http://{bench.endpoint.host}:{port}",
            more=asking_sections(folder),
        )
        with bench.serving(setup) as server:
            if not proxied:
                yield bench.reaching(server, setup.endpoint, ROOT)
                return
            with running_nginx(folder, front, setup, "/ready"):
                yield bench.reaching(server, front, ROOT)


def refused(reason: str, trial: Callable[[], object]) -> None:
    """What a client does must fail, and the client say why, in words that match `reason`."""
    try:
        trial()
    except CommandFailed as error:
        said = str(error).partition("\n")[2]  # without the command
        if not re.search(reason, said):
            raise
    else:
        raise CommandFailed((), f"succeeded, but must fail with {reason!r}", "")


class Keys:
    """The keys of the robot, by pkgd's own command: over the API, or on the server itself."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        assert isinstance(bench.server, Pkgd)
        self._bench = bench
        self._local = ["-c", str(bench.server.configuration)]
        credentials = folder / "credentials-of-root"
        credentials.write_text(f"{ROOT}\n")
        self._remote = ["--url", bench.endpoint.url, "--credentials", str(credentials)]
        if bench.endpoint.certificates:
            self._remote += ["--ca-file", str(bench.endpoint.certificates.authority)]

    def create(self) -> str:
        """A key that is good at once."""
        return self._create(self._remote)

    def create_on_server(self) -> str:
        """A key that is made beside the running daemon, as soon as that has noticed."""
        key = self._create(self._local)
        registry = Registry(self._bench.endpoint, f"any:{key}")
        wait_for("the daemon letting the new key in", lambda: registry.answers("/v2/"), seconds=10)
        return key

    def _create(self, where: list[str]) -> str:
        options = ["--robot", "ci", "--allow", "oci:seed/**=pull", "--expires", "1d"]
        return run(*pkgd_program(), "key", "create", *where, *options).strip()

    def revoke(self, key: str) -> None:
        """End a key; from the next request on it is worth nothing."""
        run(*pkgd_program(), "key", "revoke", *self._remote, key.split("_")[1])
