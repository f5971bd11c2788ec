"""The README: every line of its commands, as a new user would type them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cookbook.internet import internet
from tests.cookbook.laptop import forget_clients, installed_deb, installed_rpm
from tests.cookbook.markdown import Recipe
from tests.cookbook.public_mirror import make_users
from tests.cookbook.servers import get, serving
from tests.cookbook.village import Village
from tests.live.bench import Case
from tests.live.content import expect
from tests.live.tools import Daemon, running

_ROOT = Path(__file__).parents[2]
# What the first suite of all has done when this one begins.
_SET_UP = "make test"


def cases(village: Village) -> Iterator[Case]:
    """From `make run` to `pkgd rebuild`."""
    readme = Recipe.parse("README", (_ROOT / "README.md").read_text(encoding="utf-8"))
    group = _Group(village, readme)
    group.prepare()
    with internet(village, "readme"):
        with _made(village, "first"):
            yield Case("make run, then the first push", lambda: group.type("podman push"))
            yield Case("the first packages, by apt and dnf", group.packages)
            yield Case("pkgd upload, client-setup", group.commands)
        with _made(village, "second", PKGD_ENABLEPROXY="true"):
            yield Case("as a mirror", lambda: group.type("docker.io/library/alpine:3"))
            yield Case("pkgd mirror prefetch", lambda: group.line("pkgd mirror prefetch"))
        with village.state():
            make_users(village)
            (team,) = [one.text for one in readme.blocks if one.language == "yaml"]
            (village.work / "pkgd.yaml").write_text(team.replace("users}", "/etc/pkgd/users}"))
            yield Case("pkgd check-config, config-schema", group.check)
            with serving(village, team):
                yield Case("pkgd serve with a team's configuration, key create, auth explain", group.serve)
            yield Case("pkgd rebuild", lambda: group.line("pkgd rebuild"))
    yield Case("every other command of the README is known", group.others)
    forget_clients(village)


@contextmanager
def _made(village: Village, name: str, **variables: str) -> Iterator[None]:
    """`make run` for the block, whose set-up is done; its state is not the checkout's."""
    state = village.scratch / f"readme-{name}"
    words = [f"{key}={value}" for key, value in {"PKGD_STATE_DIR": str(state), **variables}.items()]
    command = ["env", f"PYTHONPATH={_ROOT}", *words, "make", "-C", str(_ROOT), "-o", ".venv/.complete", "run"]
    with running(Daemon("make run", command, village.scratch / f"readme-{name}.log")) as daemon:
        daemon.wait_until(lambda: get("http://127.0.0.1:8080/ready")[0] == 200, seconds=60)
        yield


class _Group:
    def __init__(self, village: Village, readme: Recipe) -> None:
        self._village = village
        self._lines = [line for text in readme.commands() for line in text.splitlines() if line.strip()]
        self._readme = readme
        self._tried = {_SET_UP, "make run"}

    def prepare(self) -> None:
        """What a user has: sudo, and a list of images."""
        sudo = self._village.scratch / "bin/sudo"
        sudo.write_text('#!/bin/sh\nexec "$@"\n')
        sudo.chmod(0o755)
        (self._village.work / "images.txt").write_text("alpine:3\nregistry.k8s.io/pause:3.9\n")

    def _type(self, commands: str) -> str:
        self._tried |= {_word(line) for line in commands.splitlines()}
        return self._village.shell(commands)

    def type(self, having: str) -> None:
        """The block that has a text in it."""
        self._type(self._readme.command(having))
        self._village.shell("podman rmi -a -f")

    def line(self, beginning: str) -> str:
        """The line that begins so."""
        (line,) = [one for one in self._lines if one.startswith(beginning)]
        return self._type(line)

    def packages(self) -> None:
        self._type(self._readme.command("/etc/apt/sources.list.d/pkgd.sources"))
        self._village.shell("apt-get update; apt-get install -y hello; dnf install -y hello")
        expect("installed", (installed_deb(self._village), installed_rpm().exists()), ("hello 1.0", True))

    def commands(self) -> None:
        self.line("pkgd upload ")
        expect("the source", "URIs: http://127.0.0.1:8080/apt/main" in self.line("pkgd client-setup"), True)

    def check(self) -> None:
        expect("accepted", "can be used" in self.line("pkgd check-config"), True)
        expect("a schema", '"enableProxy"' in self.line("pkgd config-schema"), True)

    def serve(self) -> None:
        self._tried.add(_word("pkgd serve -c pkgd.yaml"))
        expect("a key", "pkgd_" in self.line("pkgd key create"), True)
        expect("who may", "allowed: alice" in self.line("pkgd auth explain"), True)

    def others(self) -> None:
        """Lines that this suite has not been taught: their commands exist."""
        for line in self._lines:
            if _word(line) not in self._tried:
                self._village.shell(f"{_word(line)} --help")


def _word(line: str) -> str:
    """A command without its arguments: `pkgd mirror prefetch`, `make run`, `curl`."""
    words = line.split("#", maxsplit=1)[0].split()
    end = 1
    while end < len(words) and words[0] in ("pkgd", "make") and words[end].replace("-", "").isalpha():
        if words[end].startswith("-") or end == 3:
            break
        end += 1
    return " ".join(words[:end])
