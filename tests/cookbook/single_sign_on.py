"""The recipe `single-sign-on`: people by a browser and by a code, jobs by their tokens, machines by keys."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import jwt
import jwt.algorithms
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.cookbook.engines import docker_engine
from tests.cookbook.laptop import forget_clients, installed_deb
from tests.cookbook.markdown import Recipe
from tests.cookbook.proxies import nginx
from tests.cookbook.servers import CONFIGURATION, get, serving
from tests.cookbook.village import PROVIDER, Village
from tests.live.bench import Case
from tests.live.content import expect
from tests.live.tools import CommandFailed, run, wait_for
from tests.oidc.bench import SECRET, Browser, NodeProvider, install_modules
from tests.oidc.cases import make_key

_PKG, _SSO, _GITLAB = (f"https://{name}.example.com" for name in ("pkg", "sso", "gitlab"))
_PORT = 24600
# What stands before the provider, and publishes GitLab's keys.
_FRONT = """\
server {{
    listen {address}:443 ssl;
    ssl_certificate {chain};
    ssl_certificate_key {key};
    server_name sso.example.com;
    location / {{
        proxy_pass http://127.0.0.1:{port};
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-Proto https;
    }}
}}
server {{
    listen {address}:443 ssl;
    ssl_certificate {chain};
    ssl_certificate_key {key};
    server_name gitlab.example.com;
    root {gitlab};
    default_type application/json;
}}
"""


def fetch(scratch: Path) -> None:
    """The provider's modules."""
    install_modules(scratch)


class GitLab:
    """What signs the tokens of jobs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        well_known = folder / ".well-known"
        well_known.mkdir(parents=True)
        discovery = {"issuer": _GITLAB, "jwks_uri": f"{_GITLAB}/keys"}
        (well_known / "openid-configuration").write_text(json.dumps(discovery))
        key = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        (folder / "keys").write_text(json.dumps({"keys": [{**key, "kid": "1", "use": "sig", "alg": "RS256"}]}))

    def token(self, project: str, protected: bool = True) -> str:
        """That of a job, in the words of GitLab's `id_tokens`."""
        now = int(time.time())
        claims = {
            "iss": _GITLAB,
            "aud": _PKG,
            "sub": f"project_path:{project}:ref_type:tag:ref:v1",
            "iat": now,
            "nbf": now - 5,
            "exp": now + 3600,
            "project_path": project,
            "namespace_path": project.partition("/")[0],
            "ref_protected": "true" if protected else "false",
        }
        return jwt.encode(claims, self._key, "RS256", {"kid": "1"})


def cases(village: Village) -> Iterator[Case]:
    """People, jobs, machines."""
    recipe = Recipe.read("single-sign-on")
    with ExitStack() as stack:
        stack.enter_context(village.state())
        # Nobody whom the provider lets in has the name of one of these.
        village.shell(Recipe.read("one-server").command("htpasswd").replace("alice", "glass"))
        village.write("/etc/pkgd/oidc-secret", SECRET, 0o600)
        gitlab = GitLab(Path("/run/gitlab"))
        provider = stack.enter_context(_provider(village, gitlab))
        browser = Browser(
            village.scratch / "node",
            shutil.which("chromium") or "chromium",
            village.scratch / "browser.log",
            ["pkg.example.com", "sso.example.com"],
        )
        stack.callback(browser.stop)
        stack.enter_context(serving(village, recipe.file(CONFIGURATION)))
        stack.enter_context(docker_engine(village, "single-sign-on"))
        group = _Group(village, recipe, provider, browser, gitlab)
        group.prepare()
        yield Case("check-config --online finds provider and GitLab", group.check)
        yield Case("a browser logs in and makes a key, docker pushes with it", group.person)
        yield Case("pkgd login by a code, docker asks its helper and pushes", group.helper)
        yield Case("a job of GitLab's pushes an image and a package, to the letter", group.job)
        yield Case("a job from a branch that is not protected is refused", group.unprotected)
        yield Case("apt installs with a machine's key", group.machine)
    forget_clients(village)


@contextmanager
def _provider(village: Village, gitlab: GitLab) -> Iterator[NodeProvider]:
    certificates = village.certificates
    files = {"chain": certificates.chain, "key": certificates.key, "gitlab": gitlab.folder}
    front = _FRONT.format(address=PROVIDER, port=_PORT, **files)
    provider = NodeProvider(village.scratch / "node", village.scratch, _PORT, f"{_PKG}/auth/callback", _SSO)
    provider.users = {"alice": {"groups": ["developers"]}}
    provider.start()
    try:
        with nginx(village, front, lambda: get(f"{_SSO}/.well-known/openid-configuration")[0] == 200):
            yield provider
    finally:
        provider.stop()


class _Group:
    def __init__(
        self, village: Village, recipe: Recipe, provider: NodeProvider, browser: Browser, gitlab: GitLab
    ) -> None:
        self._village = village
        self._recipe = recipe
        self._provider = provider
        self._browser = browser
        self._gitlab = gitlab

    def prepare(self) -> None:
        """Images that docker has, and docker's helper."""
        archive = self._village.scratch / "app.tar"
        name = "pkg.example.com/team/app"
        image = self._village.images.another_small("single-sign-on")
        run("skopeo", "copy", "--quiet", image.source, f"docker-archive:{archive}:{name}:1")
        run("docker", "load", "--quiet", "--input", str(archive))
        run("docker", "tag", f"{name}:1", f"{name}:v1")
        run("docker", "tag", f"{name}:1", f"{name}:2")
        helper = self._village.scratch / "bin/docker-credential-pkgd"
        program = (self._village.scratch / "bin/pkgd").read_text()
        helper.write_text(program.replace("-m pkgd ", "-m pkgd.login.helper "))
        helper.chmod(0o755)
        build = self._village.work / "build"
        build.mkdir(exist_ok=True)
        shutil.copy(self._village.work / "hello_1.0_amd64.deb", build / "app.deb")

    def check(self) -> None:
        self._village.shell("pkgd check-config --online -c /etc/pkgd/pkgd.yaml")

    def _log_in(self, url: str) -> None:
        self._browser.do("fresh")
        self._browser.do("go", url=url)

    def person(self) -> None:
        self._log_in(f"{_PKG}/ui/keys")
        self._browser.do("wait", at="input[name=login]")
        self._provider.log_in(self._browser, "alice")
        self._browser.do("arrive", url=f"{_PKG}/ui/keys")
        self._browser.do("wait", at="body[data-ready]")
        (self._village.work / "key-file").write_text(make_key(self._browser, "docker") + "\n")
        self._village.shell(self._recipe.command("docker login"))
        self._village.shell("docker logout pkg.example.com")

    def helper(self) -> None:
        command = self._recipe.command("pkgd login").split()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(2)]
            place = re.search(r"https?://\S+", lines[0])
            if place is None:
                raise CommandFailed(tuple(command), "no page is named", "".join(lines))
            self._confirm(place[0])
            rest = process.stdout.read()
        expect("what pkgd login says at last", "alice has logged in" in rest, True)
        self._village.write("~/.docker/config.json", self._recipe.file("~/.docker/config.json"), 0o600)
        given = self._village.shell("echo pkg.example.com | docker-credential-pkgd get")
        expect("the helper's user", json.loads(given)["Username"], "<token>")
        self._village.shell("docker push --quiet pkg.example.com/team/app:2")
        Path("~/.docker/config.json").expanduser().unlink()

    def _confirm(self, place: str) -> None:
        self._log_in(place)
        self._browser.do("click", at="button[type=submit]")
        self._browser.do("wait", at="input[name=login]")
        self._provider.log_in(self._browser, "alice")

    def _lines_of_job(self) -> str:
        job = yaml.safe_load(self._recipe.file(".gitlab-ci.yml"))["publish"]
        expect("whom the token is for", job["id_tokens"], {"PKGD": {"aud": _PKG}})
        return "\n".join(job["script"])

    def job(self) -> None:
        token = self._gitlab.token("team/app")
        self._village.shell(self._lines_of_job(), PKGD=token, CI_PROJECT_PATH="team/app", CI_COMMIT_TAG="v1")
        other = self._gitlab.token("other/project")
        login, push, _ = self._lines_of_job().splitlines()
        self._village.shell(f"{login}\n! {push}", PKGD=other, CI_PROJECT_PATH="team/app", CI_COMMIT_TAG="v1")

    def unprotected(self) -> None:
        token = self._gitlab.token("team/app", protected=False)
        self._village.shell('! echo "$PKGD" | docker login -u oidc --password-stdin pkg.example.com', PKGD=token)

    def machine(self) -> None:
        create, keep, install = self._recipe.command("key create").splitlines()
        self._village.shell(f"{create}\n{keep}")
        login = Path("/root/pkgd-credentials").read_text().strip()
        source = f"{_PKG}/apt/internal/stable.sources"
        wait_for("the new key", partial(_lets_in, source, login), seconds=10)
        self._village.shell(f"{install}\napt-get update\napt-get install -y hello")
        expect("installed", installed_deb(self._village), "hello 1.0")


def _lets_in(url: str, login: str) -> bool:
    return get(url, login)[0] == 200
