"""The recipe `public-mirror`: containerd, podman and docker; a crowd; and the day on which the registry is dead."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.cookbook.engines import Node, containerd_node, docker_engine, major_version
from tests.cookbook.internet import Internet, internet
from tests.cookbook.markdown import Recipe
from tests.cookbook.servers import CONFIGURATION, Server, get, serving
from tests.cookbook.village import ELSEWHERE, Village
from tests.live.bench import Case
from tests.live.content import expect
from tests.live.images import Image
from tests.live.tools import run, wait_for

HOSTS = "/etc/containerd/certs.d/_default/hosts.toml"
CONTAINERD = "/etc/containerd/config.toml"
REGISTRIES = "/etc/containers/registries.conf.d/50-pkgd.conf"
DAEMON = "/etc/docker/daemon.json"
CRIO_LOGINS = "/etc/crio/pkgd-auth.json"
ALPINE, PAUSE = "docker.io/library/alpine:3", "registry.k8s.io/pause:3.9"
# Tags are always asked for, so that a dead registry is noticed at once.
_ALWAYS_ASK = {"PKGD_MIRROR__TAG_TTL": "0s"}
_CROWD = 50


def cases(village: Village) -> Iterator[Case]:
    """Each client by its file; then fifty at once; then without the internet."""
    recipe = Recipe.read("public-mirror")
    with ExitStack() as stack:
        stack.enter_context(village.state())
        make_users(village)
        outside = stack.enter_context(internet(village, "public-mirror"))
        crowd = village.images.another_small("wanted-by-all")
        outside.publish(crowd, "registry-1.docker.io/library/new:1")
        server = stack.enter_context(serving(village, recipe.file(CONFIGURATION), **_ALWAYS_ASK))
        stack.enter_context(village.installed(client_files(recipe)))
        node = stack.enter_context(containerd_node(village, "public-mirror"))
        stack.enter_context(docker_engine(village, "public-mirror"))
        yield Case("who is in the network pulls, nobody else does", partial(_who, village))
        pulls = [
            Case("containerd by CRI", partial(pull_by_cri, node, ALPINE, PAUSE)),
            Case("containerd by ctr", partial(node.pull_with_ctr, ALPINE)),
            Case("podman", partial(village.shell, f"podman pull {ALPINE} {PAUSE}; podman rmi -a -f")),
            Case("docker", partial(village.shell, "docker pull alpine:3; docker rmi alpine:3")),
        ]
        yield from pulls
        trial = partial(_once, village, outside)
        yield Case("all of it came through pkgd: the registry gave each blob once", trial)
        trial = partial(_crowd_pulls, village, outside, crowd)
        yield Case(f"{_CROWD} clients at once: the registry gave each blob once", trial)
        yield Case("logins in files: CRI-O's and containerd's", partial(_logins, village, recipe, node, server))
        outside.die()
        for pull in pulls:
            yield Case(f"the registry is dead: {pull.name}", pull.trial)


def make_users(village: Village) -> None:
    """As the recipe `one-server` says."""
    village.shell(Recipe.read("one-server").command("htpasswd"))


def client_files(recipe: Recipe) -> dict[str, str]:
    """The files of the clients, without logins; of containerd's configuration, that for this machine's version."""
    version = {1: "version = 2", 2: "version = 3"}[major_version()]
    files = {path: recipe.file(path) for path in (REGISTRIES, DAEMON)}
    return {HOSTS: recipe.files(HOSTS)[0], CONTAINERD: recipe.file(CONTAINERD, version), **files}


def pull_by_cri(node: Node, *names: str) -> None:
    """Pull as Kubernetes does, and forget it again."""
    for name in names:
        node.images.pull(name)
        node.images.remove(name)


def status_from(address: str, path: str) -> str:
    """The status of a GET that comes from another address."""
    status = ["-o", "/dev/null", "-w", "%{http_code}"]
    return run("curl", "-sS", *status, "--interface", address, f"https://pkg.example.com{path}")


def _who(village: Village) -> None:
    path = "/v2/library/alpine/manifests/3?ns=docker.io"
    expect("status from elsewhere", status_from(ELSEWHERE, path), "401")
    expect("status from the network", status_from("10.0.0.1", path), "200")


def _once(village: Village, outside: Internet) -> None:
    outside.gave_each_blob_once(village.images.small, "library/alpine")
    outside.gave_each_blob_once(village.images.another_small("pause"), "pause")


def _crowd_pulls(village: Village, outside: Internet, image: Image) -> None:
    """skopeo keeps no blobs: each of them asks for all."""
    folders = [village.scratch / f"crowd-{number}" for number in range(_CROWD)]
    with ThreadPoolExecutor(_CROWD) as threads:
        list(threads.map(_pull_by_skopeo, folders))
    wanted = {blob.digest[7:] for blob in image.blobs}
    for folder in folders:
        expect(f"blobs of {folder.name}", wanted - {one.name for one in folder.iterdir()}, set())
    outside.gave_each_blob_once(image, "library/new")


def _pull_by_skopeo(folder: Path) -> None:
    run("skopeo", "copy", "--quiet", "docker://docker.io/library/new:1", f"dir:{folder}")


def _logins(village: Village, recipe: Recipe, node: Node, server: Server) -> None:
    """From outside the network nobody pulls without: each file has a key put in, of a robot that may."""
    village.shell("podman logout --all")
    robot = "pkgd key create -c /etc/pkgd/pkgd.yaml --robot node --allow 'mirror:**=pull'"
    key = village.shell(robot).strip()
    credentials = village.scratch / "node-credentials"
    credentials.write_text(f"key:{key}\n")
    wait_for("the new key", lambda: get("https://pkg.example.com/v2/", f"key:{key}")[0] == 200)
    setup = f"--url https://pkg.example.com --credentials {credentials} --install"
    village.shell(f"pkgd client-setup cri-o {setup}")
    shown = recipe.file(CRIO_LOGINS).splitlines()
    expect("lines of CRI-O's file", len(Path(CRIO_LOGINS).read_text().splitlines()), len(shown))
    said = village.shell(
        f"skopeo login --get-login --authfile {CRIO_LOGINS} pkg.example.com; "
        f"skopeo copy --quiet --authfile {CRIO_LOGINS} docker://{ALPINE} dir:{village.scratch}/by-crio"
    )
    expect("who has logged in by CRI-O's file", said.strip(), "key")
    before = Path(HOSTS).read_text()
    village.shell(f"pkgd client-setup containerd {setup} --no-fallback --force")
    try:
        node.pull_with_ctr(PAUSE)
        expect("mode", Path(HOSTS).stat().st_mode & 0o777, 0o600)
        wait_for("containerd's login in the log", lambda: "robot:node" in _log_of_containerd(server))
    finally:
        village.write(HOSTS, before)


def _log_of_containerd(server: Server) -> str:
    """The lines of its access log for requests of containerd's."""
    return "\n".join(server.lines('"containerd/'))
