"""How configurations are read in tests."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.trial.unittest import SynchronousTestCase

from pkgd.config import Config, parse
from pkgd.errors import ConfigError

__all__ = ["ConfigCase"]


class ConfigCase(SynchronousTestCase):
    """Reads configurations, and asserts what is wrong with them."""

    def read(self, text: str = "", environment: Mapping[str, str] | None = None) -> Config:
        """The configuration of a file in `/etc/pkgd`."""
        return parse(text, environment or {}, "/etc/pkgd")

    def assert_refused(self, text: str, path: str, environment: Mapping[str, str] | None = None) -> ConfigError:
        """The text is refused because of the key `path`."""
        error: ConfigError = self.assertRaises(ConfigError, self.read, text, environment)
        self.assertEqual(error.path, path, error.message)
        return error
