"""containerd with credentials: ctr --user, a header in hosts.toml, and what Kubernetes' pull secrets bring over CRI."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.live import nginx
from tests.live.auth_setup import NOT_LET_IN, PASSWORDS, Keys, asking_bench, refused
from tests.live.bench import Bench, Case
from tests.live.containerd import Containerd, running_containerd
from tests.live.content import expect
from tests.live.cri import CallRefused, ImageService
from tests.live.images import Image
from tests.live.registry import basic
from tests.live.server import pkgd_program
from tests.live.tools import CommandFailed, run

PROGRAMS = ["containerd", "ctr", "runc", "tar", *nginx.PROGRAMS]

_KUBELET = "credentialprovider.kubelet.k8s.io/v1"
_NAMESPACE, _CRI_NAMESPACE = "suite", "k8s.io"
_ALICE = f"alice:{PASSWORDS['alice']}"


def cases(bench: Bench) -> Iterator[Case]:
    """ctr and CRI, against pkgd itself and behind nginx."""
    ways = {"": (False, True), " behind nginx": (True, True), " behind nginx, by its word for the URL": (True, False)}
    for where, (proxied, told) in ways.items():
        if proxied and not bench.secure:
            continue
        with (
            asking_bench(bench, proxied=proxied, told=told) as asking,
            asking.folder("node") as folder,
            running_containerd(folder, cri=True) as containerd,
        ):
            server, node = asking.server, AskingNode(asking, containerd, Keys(asking, folder))
            yield Case(f"ctr --user pushes and pulls{where}", node.user, server)
            yield Case(f"ctr without credentials, or with wrong ones{where}", node.stranger, server)
            yield Case(f"ctr --user with a key, made beside the daemon{where}", node.key, server)
            yield Case(f"ctr pulls by a header in hosts.toml{where}", node.header, server)
            yield Case(f"CRI pulls with a pull secret{where}", node.pull_secret, server)
            yield Case(f"CRI pulls with what pkgd k8s-credential-provider says{where}", node.kubelet, server)


class AskingNode:
    """One containerd against one server."""

    def __init__(self, bench: Bench, containerd: Containerd, keys: Keys) -> None:
        self._bench = bench
        self._containerd = containerd
        self._keys = keys
        self._image = bench.images.another_small("auth-containerd")
        containerd.introduce(bench.endpoint)

    def _ctr(self, *arguments: str) -> None:
        run("ctr", "--address", str(self._containerd.socket), "--namespace", _NAMESPACE, *arguments)

    def _pull(self, image: Image, name: str, user: str | None = None) -> None:
        full_name = self._bench.full_name(name)
        options = ["--user", user] if user else []
        self._ctr("images", "pull", f"--hosts-dir={self._containerd.hosts}", *options, full_name)
        self._containerd.holds(_NAMESPACE, [image.manifest, *image.blobs])
        self._ctr("images", "rm", "--sync", full_name)

    def _push(self, image: Image, name: str, user: str | None = None) -> None:
        archive = self._containerd.folder / "archive.tar"
        run("tar", "-C", str(image.layout.root), "-cf", str(archive), "oci-layout", "index.json", "blobs")
        self._ctr("images", "import", "--no-unpack", f"--base-name={self._bench.endpoint.address}/{name}", str(archive))
        full_name = self._bench.full_name(name)
        options = ["--user", user] if user else []
        try:
            self._ctr("images", "push", f"--hosts-dir={self._containerd.hosts}", *options, full_name)
        finally:
            self._ctr("images", "rm", "--sync", full_name)

    def user(self) -> None:
        """Who may, can; who may not push, can't."""
        self._push(self._image, "team/ctr", _ALICE)
        self._pull(self._image, "team/ctr", _ALICE)
        self._pull(self._image, "team/ctr", f"bob:{PASSWORDS['bob']}")
        refused(r"(?i)\b401\b|\b403\b|insufficient_scope|denied|authorization failed", partial(self._push_as_bob))

    def _push_as_bob(self) -> None:
        self._push(self._bench.images.another_small("auth-ctr-bob"), "team/of-bob", f"bob:{PASSWORDS['bob']}")

    def stranger(self) -> None:
        """The public alone is read."""
        self._pull(self._image, self._bench.seed(self._image, "public/to/all"))
        seeded = self._bench.seed(self._image)
        for user in (None, "alice:wrong"):
            refused(f"{NOT_LET_IN}|authorization failed", partial(self._pull, self._image, seeded, user))

    def key(self) -> None:
        """A key is a password."""
        key, seeded = self._keys.create_on_server(), self._bench.seed(self._image)
        self._pull(self._image, seeded, f"any:{key}")
        self._keys.revoke(key)
        refused(f"{NOT_LET_IN}|authorization failed", partial(self._pull, self._image, seeded, f"any:{key}"))

    def header(self) -> None:
        """As the documentation has it: the header goes along with every request to this host."""
        seeded = self._bench.seed(self._image)
        file: Path = self._containerd.hosts / self._bench.endpoint.address / "hosts.toml"
        before = file.read_text()
        try:
            self._write_header(file, before, _ALICE)
            self._pull(self._image, seeded)
            self._write_header(file, before, "alice:wrong")
            refused(f"{NOT_LET_IN}|authorization failed", partial(self._pull, self._image, seeded))
        finally:
            file.write_text(before)

    def _write_header(self, file: Path, before: str, credentials: str) -> None:
        table = f'[host."{self._bench.endpoint.url}".header]\n  Authorization = "{basic(credentials)}"\n'
        file.write_text(before + table)

    def pull_secret(self) -> None:
        """With the secret it comes, without or with a wrong one it doesn't."""
        service = ImageService(self._containerd.socket)
        name = self._bench.full_name(self._bench.seed(self._image))
        for user, password in (("", ""), ("alice", "wrong")):
            try:
                service.pull(name, user, password)
            except CallRefused:
                continue
            raise CommandFailed(("CRI", "PullImage", name), f"succeeded for {user!r}", "")
        expect("image id", service.pull(name, "alice", PASSWORDS["alice"]), self._image.config.digest)
        self._containerd.holds(_CRI_NAMESPACE, [self._image.manifest, *self._image.blobs])
        service.remove(name)

    def kubelet(self) -> None:
        """As the kubelet asks for the credentials of a registry, and hands them on."""
        folder, repository = self._containerd.folder, f"{self._bench.endpoint.address}/{self._bench.seed(self._image)}"
        asked, key_file = folder / "asked", folder / "node-key"
        key = self._keys.create()
        key_file.write_text(f"{key}\n")
        request = {"apiVersion": _KUBELET, "kind": "CredentialProviderRequest", "image": repository}
        asked.write_text(json.dumps(request))
        command = (*pkgd_program(), "k8s-credential-provider", "--key-file", str(key_file))
        given = json.loads(run(*command, standard_input=asked))["auth"][self._bench.endpoint.address]
        service, name = ImageService(self._containerd.socket), self._bench.full_name(self._bench.seed(self._image))
        expect("image id", service.pull(name, given["username"], given["password"]), self._image.config.digest)
        service.remove(name)
        self._keys.revoke(key)
