"""Clients of the registry: the files and commands of each, to the letter."""

from __future__ import annotations

import json
import tomllib

from twisted.trial.unittest import SynchronousTestCase

from pkgd.clientsetup.images import containerd, crio, docker, helm, podman
from pkgd.clientsetup.model import Commands, File, Lines, Login, Part, Target

OPEN = Target("https://pkg.example.com")
KEY = Target("https://pkg.example.com", Login("key"))
PLAIN = Target("http://10.0.0.5:8080")


def files(parts: list[Part]) -> dict[str, File]:
    """The files of a set-up, by their paths."""
    return {one.path: one for one in parts if isinstance(one, File)}


def typed(parts: list[Part]) -> list[str]:
    """The lines that are typed."""
    return [line for one in parts if isinstance(one, Commands) for line in one.text.splitlines()]


class ContainerdTests(SynchronousTestCase):
    """`_default/hosts.toml`."""

    path = "/etc/containerd/certs.d/_default/hosts.toml"

    def test_mirror(self) -> None:
        """Without `server`, so that the registry itself is asked where pkgd does not answer."""
        text = files(containerd(OPEN))[self.path].text
        self.assertEqual(
            text,
            f'# {self.path}\n[host."https://pkg.example.com"]\n'
            '  capabilities = ["pull", "resolve"]\n  dial_timeout = "2s"\n',
        )

    def test_no_fallback(self) -> None:
        """With `server`, nobody else is ever asked."""
        text = files(containerd(Target("https://pkg.example.com", falls_back=False)))[self.path].text
        self.assertEqual(tomllib.loads(text)["server"], "https://pkg.example.com")

    def test_login(self) -> None:
        """The key goes with every request to this host alone, and the file is for root alone."""
        file = files(containerd(KEY))[self.path]
        header = tomllib.loads(file.text)["host"]["https://pkg.example.com"]["header"]
        self.assertEqual((header, file.mode), ({"Authorization": "Basic a2V5OnBrZ2RfLi4u"}, 0o600))

    def test_plugin(self) -> None:
        """The plug-in of the runtime interface has one name in containerd 1 and another in 2."""
        names = [
            list(tomllib.loads(one.text)["plugins"])
            for one in containerd(OPEN)
            if isinstance(one, Lines) and one.path == "/etc/containerd/config.toml"
        ]
        self.assertEqual(names, [["io.containerd.cri.v1.images"], ["io.containerd.grpc.v1.cri"]])


class PodmanTests(SynchronousTestCase):
    """`registries.conf.d`, for podman and for CRI-O."""

    path = "/etc/containers/registries.conf.d/50-pkgd.conf"

    def test_mirror(self) -> None:
        """Every registry is found below the mirror by its own name."""
        found = tomllib.loads(files(podman(OPEN))[self.path].text)["registry"]
        self.assertEqual(
            {one["prefix"]: [mirror["location"] for mirror in one["mirror"]] for one in found},
            {name: [f"pkg.example.com/{name}"] for name in ("docker.io", "registry.k8s.io", "ghcr.io", "quay.io")},
        )
        self.assertNotIn("insecure", str(found))

    def test_plain(self) -> None:
        """Where pkgd speaks no TLS the file says so, of the mirrors and of pkgd's own repositories."""
        found = tomllib.loads(files(podman(PLAIN))[self.path].text)["registry"]
        self.assertTrue(all(mirror["insecure"] for one in found for mirror in one.get("mirror", [])))
        self.assertEqual(found[-1], {"location": "10.0.0.5:8080", "insecure": True})

    def test_login(self) -> None:
        """podman asks for the password itself."""
        self.assertEqual(typed(podman(KEY)), ["podman login -u key pkg.example.com"])
        self.assertEqual(typed(podman(OPEN)), [])

    def test_crio(self) -> None:
        """CRI-O reads the same file, and logins from one of its own that nobody else may read."""
        found = files(crio(KEY))
        logins = found["/etc/crio/pkgd-auth.json"]
        self.assertEqual(found[self.path], files(podman(KEY))[self.path])
        self.assertEqual(json.loads(logins.text), {"auths": {"pkg.example.com": {"auth": "a2V5OnBrZ2RfLi4u"}}})
        self.assertEqual(logins.mode, 0o600)
        settings = tomllib.loads(found["/etc/crio/crio.conf.d/50-pkgd.conf"].text)
        self.assertEqual(settings, {"crio": {"image": {"global_auth_file": "/etc/crio/pkgd-auth.json"}}})
        self.assertEqual(list(files(crio(OPEN))), [self.path])


class DockerTests(SynchronousTestCase):
    """The engine and its command line."""

    def test_mirror(self) -> None:
        """A mirror of Docker Hub."""
        text = files(docker(OPEN))["/etc/docker/daemon.json"].text
        self.assertEqual(text, '{ "registry-mirrors": ["https://pkg.example.com"] }\n')

    def test_plain(self) -> None:
        """Plain HTTP has to be allowed."""
        found = json.loads(files(docker(PLAIN))["/etc/docker/daemon.json"].text)
        self.assertEqual(found["insecure-registries"], ["10.0.0.5:8080"])

    def test_login(self) -> None:
        """By a key or a password."""
        self.assertIn("docker login -u key pkg.example.com", typed(docker(KEY)))
        self.assertNotIn("login", " ".join(typed(docker(OPEN))))

    def test_browser(self) -> None:
        """Where people log in by a browser, docker asks the helper; a key is good as well."""
        parts = docker(Target("https://pkg.example.com", Login("key"), by_browser=True))
        (settings,) = [one for one in parts if isinstance(one, Lines)]
        self.assertEqual(settings.path, "~/.docker/config.json")
        self.assertEqual(json.loads(settings.text), {"credHelpers": {"pkg.example.com": "pkgd"}})
        self.assertIn("pkgd login https://pkg.example.com", typed(parts))
        self.assertIn("docker login -u key pkg.example.com", typed(parts))


class HelmTests(SynchronousTestCase):
    """Charts."""

    def test_commands(self) -> None:
        """A login, a push and an install."""
        lines = typed(helm(KEY))
        self.assertEqual(lines[0], "helm registry login -u key pkg.example.com")
        self.assertEqual(lines[1], "helm push chart-1.0.0.tgz oci://pkg.example.com/charts")
        self.assertTrue(all(line.endswith("--plain-http") for line in typed(helm(PLAIN))))
