"""A user who logs in by a provider, in a browser, and makes himself a password for his tools."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.modes.server import USER, ModalPkgd
from tests.oidc.bench import Browser, NodeProvider, install_modules
from tests.oidc.cases import log_in, make_key

__all__ = ["PROGRAMS", "SingleSignOn"]

PROGRAMS = ["node", "npm", "chromium"]


class SingleSignOn:
    """npm's `oidc-provider` and a browser."""

    def __init__(self, server: ModalPkgd, scratch: Path, port: int) -> None:
        """
        :param port: the provider's.
        """
        self._server = server
        node = install_modules(scratch)
        self._browser = Browser(node, shutil.which("chromium") or "chromium", scratch / "browser.log")
        self.provider = NodeProvider(node, scratch, port, f"{server.url}/auth/callback")
        self.provider.users = {USER: {"groups": []}}

    def make_key(self) -> str:
        """An API key of the user's."""
        log_in(self._server, self.provider, self._browser, USER)
        return make_key(self._browser, "tools")

    def stop(self) -> None:
        """End both."""
        self._browser.stop()
        self.provider.stop()
