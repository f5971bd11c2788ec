"""The kubelet's exec plugin, against the JSON of Kubernetes' "Kubelet CredentialProvider (v1)"."""

from __future__ import annotations

import io
import json
import os
from contextlib import redirect_stdout
from typing import Any

from pkgd.auth.secrettexts import new_key
from pkgd.commands.k8s_credential_provider import (
    API_VERSION,
    MAX_REQUEST,
    CredentialProviderOptions,
    answer,
    run,
)
from pkgd.errors import ConfigError
from tests.test_main import CommandCase
from tests.test_main import run as run_pkgd

REQUEST = {
    "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
    "kind": "CredentialProviderRequest",
    "image": "pkg.example.com/team/app",
}
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6bnM6YXBwIn0.c2ln"


def request(**changes: Any) -> bytes:
    """What a kubelet writes."""
    return json.dumps({**REQUEST, **changes}).encode()


class KeyFileTests(CommandCase):
    """A node with an API key."""

    def setUp(self) -> None:
        """The key is in a file, as an editor leaves it."""
        self.key = new_key().text
        self.file = self.write(f"{self.key}\n")

    def test_response(self) -> None:
        """The response is the documented object, for the registry of the image."""
        self.assertEqual(
            answer(request(), self.file),
            {
                "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
                "kind": "CredentialProviderResponse",
                "cacheKeyType": "Registry",
                "auth": {"pkg.example.com": {"username": "key", "password": self.key}},
            },
        )

    def test_registry(self) -> None:
        """A port is part of the registry's name, as is what surrounds an IPv6 address."""
        for host in ("pkg.example.com:5000", "localhost", "10.0.0.1:80", "[2001:db8::1]:5000"):
            self.assertEqual(list(answer(request(image=f"{host}/a/b"), self.file)["auth"]), [host])

    def test_token_first(self) -> None:
        """A pod that has a token is let in by that, and not by the node's key."""
        found = answer(request(serviceAccountToken=TOKEN), self.file)

        self.assertNotIn(self.key, json.dumps(found))

    def test_no_token(self) -> None:
        """An empty token, as Go writes a field that is not omitted, is none."""
        found = answer(request(serviceAccountToken="", serviceAccountAnnotations=None), self.file)

        self.assertEqual(found["auth"]["pkg.example.com"]["password"], self.key)

    def test_file_without_key(self) -> None:
        """A file without a key, or with a slip in it, is never shown to anybody, in the error neither."""
        slip = self.key[:-1] + ("a" if self.key[-1] != "a" else "b")
        for text in ("", "\n" + self.key, "root:hunter2-canary", slip, self.key + " x", "ö", self.key * 200):
            path = self.write(text)
            error = self.assertRaises(ConfigError, answer, request(), path)
            self.assertIn(path, error.message)
            self.assertNotIn(text.strip() or "pkgd_", error.message)

    def test_no_file(self) -> None:
        """A file that is not there is an error that names it."""
        self.assertIn("/nowhere/key", self.assertRaises(ConfigError, answer, request(), "/nowhere/key").message)


class TokenTests(CommandCase):
    """A kubelet that sends the tokens of service accounts (KEP-4412)."""

    def test_response(self) -> None:
        """The token is the password, and the kubelet doesn't keep it beyond this pull."""
        found = answer(request(serviceAccountToken=TOKEN, serviceAccountAnnotations={"a/b": "c"}), None)

        self.assertEqual(
            found,
            {
                "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
                "kind": "CredentialProviderResponse",
                "cacheKeyType": "Registry",
                "cacheDuration": "0s",
                "auth": {"pkg.example.com": {"username": "serviceaccount", "password": TOKEN}},
            },
        )

    def test_nothing_to_show(self) -> None:
        """Without token and key the kubelet is told that there are no credentials: it pulls as anybody may."""
        self.assertEqual(answer(request(), None)["auth"], None)


class HostileTests(CommandCase):
    """What is no request ends with 1, one line, and nothing on standard output."""

    def test_requests(self) -> None:
        """Whatever the bytes are, they are refused by name, and what is in them is not repeated."""
        for given in (
            b"",
            b"null",
            b"[]",
            b'"hunter2-canary"',
            b"{",
            b"\xff\xfe",
            b"[" * 100_000,
            b"{}",
            b" " * (MAX_REQUEST + 1),
            request(kind="CredentialProviderResponse"),
            request(kind=None),
            request(apiVersion="credentialprovider.kubelet.k8s.io/v1beta1"),
            request(apiVersion=["hunter2-canary"]),
            request(serviceAccountToken=["hunter2-canary"]),
            request(serviceAccountToken=None),
        ):
            error = self.assertRaises(ConfigError, answer, given, None)
            self.assertIn("standard input: ", error.message)
            self.assertNotIn("canary", error.message)

    def test_images(self) -> None:
        """An image without a registry gets nothing, nor does one that the kubelet would take for a pattern of many."""
        for image in (
            *("", "app", "/app", "*/app", "*.example.com/app", "a?b.example/app", "[a-z].example/app", "a b/app"),
            *("pkg.example.com:/app", "pkg.example.com:x/app", "pkg.example.com\n/app", "https://pkg.example.com/app"),
            *("user@pkg.example.com/app", "-a/app", "ö.example/app", "١.example/app"),
            *(None, 1, ["pkg.example.com/app"], {}),
        ):
            error = self.assertRaises(ConfigError, answer, request(image=image, serviceAccountToken=TOKEN), None)
            self.assertIn("its image has no registry", error.message)


class CommandTests(CommandCase):
    """The command, as the kubelet runs it."""

    def test_streams(self) -> None:
        """It reads to the end of its input, and says nothing but the response, in one line."""
        options = CredentialProviderOptions()
        options.parseOptions([])

        output = self.run_on(options, request(serviceAccountToken=TOKEN))

        self.assertEqual(output.count("\n"), 1)
        self.assertEqual(json.loads(output)["apiVersion"], API_VERSION)

    def run_on(self, options: CredentialProviderOptions, given: bytes) -> str:
        """What is said on standard output."""
        output = io.StringIO()
        with redirect_stdout(output):
            run(options, io.BytesIO(given))
        return output.getvalue()

    def test_usage(self) -> None:
        """It is listed, and takes no arguments."""
        self.assertIn("k8s-credential-provider", run_pkgd().errors)
        found = run_pkgd("k8s-credential-provider", os.devnull)
        self.assertEqual((found.status, found.output), (2, ""))
