"""The command `pkgd client-setup`: whose texts are printed, what the server is asked, what is refused."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from typing import Any

from pkgd.commands.client_setup import ClientSetupOptions, run
from pkgd.errors import ConfigError, PkgdError
from pkgd.prefetch.transport import Unreachable
from tests import test_main
from tests.test_main import CommandCase

URL = "https://pkg.example.com"


class FakeAnswer:
    """An answer of a server."""

    def __init__(self, status: int, text: bytes) -> None:
        self.status = status
        self._text = text

    def header(self, name: str) -> str:
        """None."""
        return ""

    def read(self, size: int) -> bytes:
        """All of it."""
        return self._text

    def close(self) -> None:
        """Nothing."""


class FakeServer:
    """Remembers what it is asked, and how one came to it."""

    def __init__(self, answer: FakeAnswer | Exception) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str]] = []
        self.connected: list[tuple[str, str | None, str | None]] = []

    def connect(self, server: Any, ca_file: str | None, authorization: str | None) -> Any:
        """Make the transport."""
        self.connected.append((str(server), ca_file, authorization))

        def transport(method: str, path: str, headers: Mapping[str, str]) -> FakeAnswer:
            self.asked.append((method, path))
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

        return transport


def nobody(*_: object) -> Any:
    """No server may be asked."""
    raise AssertionError("a server is asked")


class SetupCase(CommandCase):
    """Runs the command."""

    def printed(self, *arguments: str, connect: Callable[..., Any] = nobody) -> str:
        """What it prints."""
        options = ClientSetupOptions()
        options.parseOptions(arguments)
        output = io.StringIO()
        with redirect_stdout(output):
            run(options, connect)
        return output.getvalue()

    def refused(self, *arguments: str, connect: Callable[..., Any] = nobody) -> str:
        """Why it refuses."""
        error = self.assertRaises(PkgdError, self.printed, *arguments, connect=connect)
        return str(error.message)


class TargetTests(SetupCase):
    """For whom it is."""

    def test_url(self) -> None:
        """A URL alone means a server that asks nobody, without its scheme's own port."""
        for url in (URL, f"{URL}/", f"{URL}:443"):
            self.assertEqual(self.printed("podman", "--url", url).count("login"), 0)
            self.assertIn('location = "pkg.example.com/docker.io"', self.printed("podman", "--url", url))
        self.assertIn('"pkg.example.com:8443/docker.io"', self.printed("podman", "--url", f"{URL}:8443"))

    def test_user(self) -> None:
        """With a user there is a login, and a word in the place of the password."""
        self.assertIn("podman login -u alice pkg.example.com", self.printed("podman", "--url", URL, "--user", "alice"))
        self.assertIn("password=PASSWORD", self.printed("zypper", "--url", URL, "--user", "alice"))

    def test_configuration(self) -> None:
        """The configuration says the URL, whether somebody has to log in, and the first repositories."""
        path = self.write(
            "server: {external_url: 'https://pkg.example.com'}\n"
            "auth: {mode: basic, basic_htpasswd_file: users}\n"
            "repositories: {apt: [{name: internal, suites: [{codename: testing}]}], rpm: [{name: internal/el9}]}\n"
        )
        text = self.printed("curl", "-c", path)
        self.assertIn(f'-u key -T hello_1.0_amd64.deb "{URL}/apt/internal/testing/main/"', text)
        self.assertIn(f'"{URL}/rpm/internal/el9/"', text)

    def test_modes(self) -> None:
        """With `none` nobody logs in; with `oidc` docker gets its helper."""
        server = "server: {external_url: 'https://pkg.example.com'}\n"
        self.assertNotIn("login", self.printed("docker", "-c", self.write(server + "auth: {mode: none}\n")))
        oidc = "auth: {mode: oidc, oidc: {issuer: 'https://sso.example.com', client_id: pkgd}}\n"
        self.assertIn("credHelpers", self.printed("docker", "-c", self.write(server + oidc)))

    def test_no_external_url(self) -> None:
        """Without a URL nobody can say how clients reach the server."""
        self.assertIn("server.external_url", self.refused("podman", "-c", self.write("auth: {mode: none}\n")))

    def test_repo(self) -> None:
        """A repository may be named with its kind; one of the other kind stays as it was."""
        text = self.printed("curl", "--url", URL, "--repo", "rpm:internal/el9", "--suite", "testing")
        self.assertIn("/apt/main/testing/main/", text)
        self.assertIn("/rpm/internal/el9/", text)
        self.assertIn("/apt/internal/", self.printed("curl", "--url", URL, "--repo", "internal"))

    def test_usage(self) -> None:
        """What is not understood ends with 2."""
        for arguments in ([], ["emacs"], ["apt", "dnf"], ["apt", "--repo", "oci:a"], ["apt", "--url", "pkg"]):
            found = test_main.run("client-setup", *arguments)
            self.assertEqual((found.status, found.output), (2, ""), arguments)

    def test_aliases(self) -> None:
        """Clients are known by what people call them."""
        self.assertEqual(self.printed("crio", "--url", URL), self.printed("cri-o", "--url", URL))
        self.assertEqual(self.printed("upload", "--url", URL), self.printed("curl", "--url", URL))


class AskingTests(SetupCase):
    """What only the server knows."""

    def test_apt(self) -> None:
        """The source comes from the server, with its keys."""
        server = FakeServer(FakeAnswer(200, b"Types: deb\n"))
        text = self.printed("apt", "--url", URL, "--ca-file", "ca.pem", connect=server.connect)
        self.assertIn("# /etc/apt/sources.list.d/main.sources\nTypes: deb\n", text)
        self.assertEqual(server.asked, [("GET", "/apt/main/stable.sources")])
        self.assertEqual(server.connected, [(f"{URL}:443", "ca.pem", None)])

    def test_credentials(self) -> None:
        """Who has credentials shows them, and they are in what is printed."""
        server = FakeServer(FakeAnswer(200, b"[it]\n"))
        file = self.write("key:pkgd_x\n")
        text = self.printed("dnf", "--url", URL, "--credentials", file, connect=server.connect)
        self.assertIn("username=key\npassword=pkgd_x\n", text)
        self.assertEqual(server.connected[0][2], "Basic a2V5OnBrZ2RfeA==")

    def test_placeholder(self) -> None:
        """What stands for a password is never shown to a server."""
        server = FakeServer(FakeAnswer(200, b"[it]\n"))
        self.printed("dnf", "--url", URL, "--user", "key", connect=server.connect)
        self.assertIsNone(server.connected[0][2])

    def test_no(self) -> None:
        """Any other answer, and none, is an error that says what to do."""
        for answer, said in (
            (FakeAnswer(401, b""), "401; give --credentials"),
            (FakeAnswer(404, b"no such suite"), "404"),
            (Unreachable("refused"), "no connection: refused"),
            (ConnectionResetError("reset"), "no pkgd"),
        ):
            self.assertIn(said, self.refused("apt", "--url", URL, connect=FakeServer(answer).connect))


class InstallTests(SetupCase):
    """`--install`, as far as it goes without writing to this machine's own files."""

    def test_secret_is_needed(self) -> None:
        """A word in the place of a password is not installed."""
        self.assertIn("--credentials", self.refused("zypper", "--url", URL, "--user", "key", "--install"))

    def test_nothing_to_write(self) -> None:
        """What a set-up has beside files is printed, so that it can be done."""
        text = self.printed("dput", "--url", URL, "--install")
        self.assertIn("# in ~/.dput.cf\n[pkgd]\n", text)

    def test_errors_are_errors(self) -> None:
        """A configuration that cannot be read is said as one."""
        self.assertRaises(ConfigError, self.printed, "dput", "-c", self.mktemp())
