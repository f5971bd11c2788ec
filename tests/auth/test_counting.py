"""What operators call those who vouch."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.counting import method_of


class MethodTests(SynchronousTestCase):
    """`method_of`."""

    def test_words(self) -> None:
        """Few words, whatever back ends, keys and issuers are called."""
        for source, method in (
            ("htpasswd", "htpasswd"),
            ("api:ldap", "api"),
            ("key", "key"),
            ("key:ab12", "key"),
            ("oidc", "oidc"),
            ("workload", "oidc"),
            ("workload:https://ci.example.com", "oidc"),
        ):
            self.assertEqual(method_of(source), method)
