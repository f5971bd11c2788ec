"""docker's helper for credentials."""

from __future__ import annotations

import io
import json
import os

from twisted.trial.unittest import SynchronousTestCase

from pkgd.login.credentials import CredentialsFile, Login
from pkgd.login.helper import NOT_FOUND, answer


class HelperTests(SynchronousTestCase):
    """Questions on standard input."""

    def setUp(self) -> None:
        """Alice has logged in to one server."""
        self.path = os.path.join(os.path.abspath(self.mktemp()), "credentials.json")
        self.file = CredentialsFile(self.path)
        self.file.put("pkg.example.com", Login("<token>", "refresh", "alice"))

    def ask(self, action: str, text: str = "") -> tuple[int, str]:
        """The status, and what is said."""
        output = io.StringIO()
        return answer(action, self.file, io.StringIO(text), output), output.getvalue()

    def test_get(self) -> None:
        """A refresh token has the user that docker knows it by."""
        status, text = self.ask("get", "https://pkg.example.com\n")

        self.assertEqual(
            (status, json.loads(text)),
            (0, {"ServerURL": "https://pkg.example.com", "Username": "<token>", "Secret": "refresh"}),
        )

    def test_not_there(self) -> None:
        """Of another server nothing is known, in docker's words for that."""
        self.assertEqual(self.ask("get", "other.example.com"), (1, NOT_FOUND + "\n"))

    def test_store_and_erase(self) -> None:
        """What docker login has is kept, and erased again; what is none is refused."""
        kept = {"ServerURL": "https://a.example.com", "Username": "bob", "Secret": "pkgd_x"}
        self.assertEqual(self.ask("store", json.dumps(kept)), (0, ""))
        self.assertEqual(json.loads(self.ask("get", "a.example.com")[1])["Secret"], "pkgd_x")
        self.assertEqual(self.ask("erase", "https://a.example.com"), (0, ""))
        self.assertEqual(self.ask("erase", "https://a.example.com"), (0, ""))
        self.assertEqual(self.ask("get", "a.example.com")[0], 1)
        for text in ("", "{", "[]", '{"ServerURL": "x"}'):
            self.assertEqual(self.ask("store", text)[0], 1)

    def test_list(self) -> None:
        """Servers and users, without secrets."""
        self.assertEqual(json.loads(self.ask("list")[1]), {"https://pkg.example.com": "<token>"})

    def test_broken(self) -> None:
        """A broken file is said to be one."""
        with open(self.path, "w", encoding="utf-8") as file:
            file.write("{")

        status, text = self.ask("get", "pkg.example.com")
        self.assertEqual((status, self.path in text), (1, True))

    def test_usage(self) -> None:
        """Anything else is answered by what there is."""
        self.assertIn("get|store|erase|list", self.ask("")[1])
