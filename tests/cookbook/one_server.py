"""The recipe `one-server`: TLS, then users in place, then every client with its login."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.cookbook.engines import docker_engine
from tests.cookbook.laptop import forget_clients, installed_deb, installed_rpm
from tests.cookbook.markdown import Recipe
from tests.cookbook.servers import CONFIGURATION, Server, get, serving
from tests.cookbook.village import PASSWORD, Village
from tests.live.bench import Case
from tests.live.content import expect
from tests.live.tools import run, wait_for
from tests.repositories.packages import Workshop

ALICE = f"alice:{PASSWORD}"
_MANIFEST = "/v2/team/alpine/manifests/3"


def cases(village: Village) -> Iterator[Case]:
    """The page from top to bottom."""
    recipe = Recipe.read("one-server")
    group = _Group(village, recipe)
    with ExitStack() as stack:
        stack.enter_context(village.state())
        server = stack.enter_context(serving(village, recipe.file(CONFIGURATION, "mode: none")))
        stack.enter_context(docker_engine(village, "one-server"))
        group.prepare()
        yield Case("check-config accepts the file", group.check)
        yield Case("nobody asked: an image and packages", lambda: group.fill(server))
        yield Case("users in place: the same content, the same URLs", lambda: group.add_users(server))
        yield Case("docker logs in and pushes again", lambda: village.shell(recipe.command("docker login")))
        yield Case("podman logs in and pulls", lambda: village.shell(recipe.command("podman login")))
        yield Case("curl uploads with a password", lambda: village.shell(recipe.command("curl ")))
        yield Case("pkgd upload logs in, and is refused without", group.upload)
        yield Case("a key for machines", lambda: group.make_key(server))
        yield Case("apt installs with the key, by client-setup", group.apt)
        yield Case("dnf installs with the key, by client-setup", group.dnf)
        yield Case("zypper refreshes with the key, by client-setup", group.zypper)
        yield Case("dput uploads, by client-setup", group.dput)
        yield Case("the key cannot write", group.key_cannot_write)
    forget_clients(village)


class _Group:
    def __init__(self, village: Village, recipe: Recipe) -> None:
        self._village = village
        self._recipe = recipe

    def prepare(self) -> None:
        """An image that docker has."""
        image = self._village.images.another_small("one-server")
        archive = self._village.scratch / "alpine.tar"
        run("skopeo", "copy", "--quiet", image.source, f"docker-archive:{archive}:alpine:3")
        run("docker", "load", "--quiet", "--input", str(archive))

    def check(self) -> None:
        self._village.shell(self._recipe.command("check-config").splitlines()[0])

    def fill(self, server: Server) -> None:
        _, *push = self._recipe.command("docker login").splitlines()
        self._village.shell("\n".join(push))
        self._village.shell(self._recipe.command("curl ").replace('-u "alice:$PASSWORD" ', ""))
        self._digest = get(server.url + _MANIFEST, headers={"Accept": "*/*"})

    def add_users(self, server: Server) -> None:
        server.stop()
        self._village.shell(self._recipe.command("htpasswd"))
        server.use(self._recipe.file(CONFIGURATION, "mode: basic"))
        server.start()
        for path in (_MANIFEST, "/apt/internal/dists/stable/InRelease", "/rpm/internal/el9/repodata/repomd.xml"):
            expect(f"{path} for nobody", server.status(path), 401)
            expect(f"{path} for alice", server.status(path, ALICE), 200)
        expect("the image", get(server.url + _MANIFEST, ALICE, {"Accept": "*/*"}), self._digest)

    def upload(self) -> None:
        credentials = self._village.scratch / "alice"
        credentials.write_text(f"{ALICE}\n")
        upload = "pkgd upload --url https://pkg.example.com --repo apt:internal --suite testing hello_1.0_amd64.deb"
        self._village.shell(f"! {upload}")
        self._village.shell(f"{upload} --credentials {credentials}")

    def make_key(self, server: Server) -> None:
        self._village.shell(self._recipe.command("key create"))
        login = Path("/root/pkgd-credentials").read_text().strip()
        wait_for("the new key", lambda: server.status("/apt/internal/stable.sources", login) == 200, seconds=10)

    def apt(self) -> None:
        self._village.shell(self._recipe.command("client-setup apt --url https://pkg.example.com --repo internal --c"))
        expect("installed", installed_deb(self._village), "hello 1.0")
        expect("mode", Path("/etc/apt/auth.conf.d/pkgd.conf").stat().st_mode & 0o777, 0o600)
        shown = [one.text for one in self._recipe.blocks if "sources.list.d/internal.sources" in one.text]
        self._is_abridged(shown, Path("/etc/apt/sources.list.d/internal.sources"))

    def dnf(self) -> None:
        self._village.shell(self._recipe.command("client-setup dnf"))
        expect("installed", installed_rpm().exists(), True)
        shown = [one.text for one in self._recipe.blocks if "yum.repos.d/internal-el9.repo\n" in one.text]
        self._is_abridged(shown, Path("/etc/yum.repos.d/internal-el9.repo"))

    @staticmethod
    def _is_abridged(shown: list[str], written: Path) -> None:
        """What the page shows begins as the file does, but for the key's text and the secret."""
        (text,) = shown
        end = re.escape(text.partition(" …\n")[0]).replace(r"pkgd_\.\.\.", r"pkgd_\w+")
        expect(f"the page has {written}", bool(re.match(end, written.read_text())), True)

    def zypper(self) -> None:
        setup = "pkgd client-setup zypper --url https://pkg.example.com --repo internal/el9"
        self._village.shell(f"{setup} --credentials /root/pkgd-credentials --install")
        added, refresh = self._recipe.command("zypper addrepo").splitlines()
        expect("refresh", refresh, "zypper refresh")
        # At a terminal zypper asks whether the key is to be trusted.
        self._village.shell(f"{added}\nzypper --non-interactive --gpg-auto-import-keys refresh internal-el9")
        found = self._village.shell("zypper --non-interactive search --repo internal-el9 hello")
        expect("found by zypper", "hello" in found, True)
        self._village.shell("zypper removerepo internal-el9")

    def dput(self) -> None:
        changes = Workshop(self._village.scratch / "dput").source("by-dput")
        self._village.write("~/.dput.cf", self._recipe.file("~/.dput.cf"))
        answers = self._village.scratch / "answers"
        answers.write_text(f"{PASSWORD}\n")
        run("setsid", "dput", "-f", "pkgd", str(changes), standard_input=answers)
        found = get("https://pkg.example.com/api/v1/packages?repository=apt:internal&name=by-dput", ALICE)
        expect("listed", b"by-dput" in found[1], True)

    def key_cannot_write(self) -> None:
        command = 'curl -sS -o /dev/null -w "%{http_code}" -u "$(cat /root/pkgd-credentials)" -T hello_1.0_amd64.deb'
        said = self._village.shell(f"{command} https://pkg.example.com/apt/internal/stable/main/")
        expect("status", said, "403")
