"""The recipe `laptop`: no configuration, docker, apt and dnf."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cookbook.engines import docker_engine
from tests.cookbook.internet import internet
from tests.cookbook.markdown import Recipe
from tests.cookbook.servers import get
from tests.cookbook.village import Village, empty
from tests.live.bench import Case
from tests.live.content import expect
from tests.live.tools import Daemon, running


def cases(village: Village) -> Iterator[Case]:
    """The page from top to bottom, once packages are there and once they are not."""
    recipe = Recipe.read("laptop")
    with serving_nothing(village, recipe.command("pkgd serve"), "laptop"):
        with internet(village, "laptop"), docker_engine(village, "laptop"):
            yield Case("docker pushes and pulls", lambda: village.shell(recipe.command("docker push")))
        yield Case("apt installs", lambda: village.shell(recipe.command("apt-get install")))
        yield Case("the package is there", lambda: expect("hello", installed_deb(village), "hello 1.0"))
        yield Case("client-setup again is content", lambda: _again(village, recipe))
        yield Case("dnf installs", lambda: village.shell(recipe.command("dnf install")))
        yield Case("the rpm is there", lambda: expect("note", installed_rpm().read_text(), "hello\n"))
    forget_clients(village)


@contextmanager
def serving_nothing(village: Village, command: str, name: str) -> Iterator[Path]:
    """pkgd without any file, by a command, for the block; its log."""
    folder = village.scratch / f"home-{name}"
    folder.mkdir()
    log = village.scratch / f"{name}.log"
    with running(Daemon("pkgd", ["env", "-C", str(folder), "sh", "-c", f"exec {command}"], log)) as daemon:
        daemon.wait_until(lambda: get("http://127.0.0.1:8080/ready")[0] == 200, seconds=60)
        yield log


def installed_deb(village: Village) -> str:
    """Name and version of the package, as dpkg has it."""
    return village.shell("dpkg-query -W -f '${Package} ${Version}' hello").strip()


def installed_rpm() -> Path:
    """The file of the rpm package."""
    return Path("/usr/share/hello-rpm/note")


def forget_clients(village: Village) -> None:
    """Remove what was installed, and what clients were told."""
    for command in ("dpkg --purge hello", "rpm -e hello"):
        village.shell(f"{command} || true")
    for folder in ("/etc/apt/sources.list.d", "/etc/apt/auth.conf.d", "/etc/yum.repos.d", "/var/cache/dnf"):
        if Path(folder).is_dir():
            empty(Path(folder))


def _again(village: Village, recipe: Recipe) -> None:
    """The same file again is no change; one with other lines is left alone."""
    (line,) = [one for one in recipe.command("apt-get install").splitlines() if "client-setup" in one]
    expect("said", "as it should be" in village.shell(line), True)
    file = Path("/etc/apt/sources.list.d/main.sources")
    text = file.read_text()
    file.write_text("# mine\n")
    village.shell(f"! {line}")
    expect("the file", file.read_text(), "# mine\n")
    village.shell(f"{line} --force")
    expect("the file", file.read_text(), text)
