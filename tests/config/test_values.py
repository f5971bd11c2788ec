"""What types don't say: paths, networks, certificates, and who may reach the daemon."""

from __future__ import annotations

import os
from ipaddress import ip_network

from tests.config.cases import ConfigCase


class ValueTests(ConfigCase):
    """Paths, networks and certificates."""

    def test_relative_paths(self) -> None:
        """A path is relative to the file that names it; the tree's root is relative to the state."""
        tls, log = (
            "server: {tls: {certificate: tls/a.pem, key: /b.pem}}",
            "logging: {access: {file: ./access.log, format: json}}",
        )
        config = self.read(f"state_dir: ../data\n{tls}\n{log}")

        self.assertEqual((config.state_dir, config.storage.filesystem.root), ("/etc/data", "/etc/data/oci"))
        self.assertEqual((config.server.tls.certificate, config.server.tls.key), ("/etc/pkgd/tls/a.pem", "/b.pem"))
        self.assertEqual(config.logging.access.file, "/etc/pkgd/access.log")
        self.assertEqual(config.logging.access.format, "json")

    def test_links(self) -> None:
        """Links in the way of the state are followed at the start; what is there opens nothing through one."""
        there, link = os.path.abspath(self.mktemp()), os.path.abspath(self.mktemp())
        os.mkdir(there)
        os.symlink(there, link)

        for config in (self.read(f"state_dir: {link}"), self.read("", {"STATE_DIRECTORY": link})):
            self.assertEqual((config.state_dir, config.storage.filesystem.root), (there, f"{there}/oci"))
        os.symlink(link, f"{there}/oci")
        self.assertEqual(self.read(f"state_dir: {link}").storage.filesystem.root, there)

    def test_absolute_root(self) -> None:
        """The tree may lie elsewhere: an existing one is served in place."""
        self.assertEqual(self.read("storage: {filesystem: {root: /srv/oci}}").storage.filesystem.root, "/srv/oci")

    def test_no_access_log(self) -> None:
        """`null` turns the access log off."""
        self.assertIsNone(self.read("logging: {access: {file: null}}").logging.access.file)

    def test_trusted_networks(self) -> None:
        """Trusted proxies are networks or single addresses, of either family."""
        config = self.read("server: {trusted_proxies: [10.0.0.0/8, 192.0.2.7, 'fd00::/8', 10.1.2.3/8]}")

        expected = [ip_network(one) for one in ("10.0.0.0/8", "192.0.2.7/32", "fd00::/8", "10.0.0.0/8")]
        self.assertEqual(config.trusted_networks, expected)

    def test_not_networks(self) -> None:
        """What is no network is refused before anything starts."""
        for text in ("nginx", "10.0.0.0/33", "10.0.0", "''", "0x7f.1"):
            self.assert_refused(f"server: {{trusted_proxies: [{text}]}}", "server.trusted_proxies")

    def test_grace(self) -> None:
        """Garbage has to have been garbage for ten minutes: a push is not done in one step."""
        for text in ("0s", "599s", "9.99m"):
            self.assert_refused(f"storage: {{gc: {{grace: {text}}}}}", "storage.gc.grace")
        self.assertEqual(self.read("storage: {gc: {grace: 10m}}").storage.gc.grace, 600.0)

    def test_tls_pair(self) -> None:
        """A certificate without its key, or a key alone, is refused."""
        for one in ("certificate", "key"):
            self.assert_refused(f"server: {{tls: {{{one}: a.pem}}}}", "server.tls")


class ExposureTests(ConfigCase):
    """An endpoint that others can reach needs somebody to have said who may do what."""

    def test_open_endpoints(self) -> None:
        """Without an `auth` section, only this machine may reach the daemon."""
        endpoints = [
            "tcp:8080",
            "tcp:8080:interface=0.0.0.0",
            r"tcp6:8080:interface=\:\:",
            "tcp:8080:interface=192.0.2.1",
            "ssl:443",
        ]
        endpoints += [
            "tcp:8080:interface=127.0.0.1.example.com",
            "tcp:8080:interface=127.0.0.1:interface=0.0.0.0",
            "tcp:8080:interface=",
            "systemd:domain=INET:name=http",
        ]
        for endpoint in endpoints:
            error = self.assert_refused(f"server: {{listen: ['{endpoint}']}}", "server.listen")
            self.assertIn("mode: none", error.reason)
            self.assertEqual(
                self.read(f"auth: {{mode: none}}\nserver: {{listen: ['{endpoint}']}}").server.listen, [endpoint]
            )

    def test_loopback(self) -> None:
        """Loopback addresses of either family and UNIX sockets are this machine."""
        endpoints = [
            "tcp:8080:interface=127.0.0.1",
            "tcp:8080:interface=127.1.2.3",
            "tcp:8080:interface=localhost",
            "unix:/run/pkgd.sock",
            "systemd:domain=UNIX:name=http",
        ]
        for endpoint in [
            *endpoints,
            r"tcp:8080:interface=\:\:1",
            r"tcp6:8080:interface=\:\:1",
            "tcp:interface=127.0.0.1:port=0",
        ]:
            self.assertEqual(self.read(f"server: {{listen: ['{endpoint}']}}").server.listen, [endpoint])

    def test_none(self) -> None:
        """A daemon that listens nowhere is a mistake."""
        self.assert_refused("server: {listen: []}", "server.listen")
