"""The command `pkgd`: exit statuses, and what goes to which stream."""

from __future__ import annotations

import io
import json
import os
from contextlib import redirect_stderr, redirect_stdout

import yaml
from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from pkgd import __version__
from pkgd.__main__ import main


@frozen
class Run:
    """How a command ended."""

    status: int
    output: str
    errors: str


def run(*arguments: str) -> Run:
    """Run a command of pkgd in this process."""
    output, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(output), redirect_stderr(errors):
        try:
            status = main(list(arguments))
        except SystemExit as end:
            status = int(end.code or 0)
    return Run(status, output.getvalue(), errors.getvalue())


class CommandCase(SynchronousTestCase):
    """Runs commands, some of them on a file."""

    def write(self, text: str) -> str:
        """A configuration file."""
        path: str = self.mktemp()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path


class UsageTests(CommandCase):
    """What is not understood ends with 2, and standard output stays empty for the next program."""

    def test_no_command(self) -> None:
        """Without a command, the commands are listed."""
        found = run()

        self.assertEqual((found.status, found.output), (2, ""))
        for command in ("serve", "check-config", "config-schema", "version"):
            self.assertIn(command, found.errors)

    def test_unknown(self) -> None:
        """An unknown command, option or argument is an error that ends with what was wrong."""
        for arguments in (
            ["srve"],
            ["--nonsense"],
            ["version", "now"],
            ["check-config", "--nope"],
            ["serve", "-c"],
            ["check-config", "x"],
        ):
            found = run(*arguments)
            self.assertEqual((found.status, found.output), (2, ""), arguments)
            self.assertTrue(found.errors.splitlines()[-1].startswith("pkgd: "))

    def test_help(self) -> None:
        """Help that was asked for is output, and no error."""
        found = run("--help")

        self.assertEqual((found.status, found.errors), (0, ""))
        self.assertIn("check-config", found.output)


class VersionTests(CommandCase):
    """The version, as a command and as an option."""

    def test_version(self) -> None:
        """Both print it and nothing else."""
        for arguments in (["version"], ["--version"]):
            self.assertEqual(run(*arguments), Run(0, f"{__version__}\n", ""))


class CheckConfigTests(CommandCase):
    """`check-config` says whether a configuration can be used."""

    def test_usable(self) -> None:
        """A usable configuration is 0 and one line."""
        found = run("check-config", "-c", self.write("version: 1"))

        self.assertEqual(found, Run(0, "the configuration can be used\n", ""))

    def test_unusable(self) -> None:
        """One that cannot be used is 1, with the key, the reason and the suggestion on standard error."""
        found = run("check-config", "-c", self.write("server: {listn: []}"))

        self.assertEqual(found, Run(1, "", "pkgd: server.listn: unknown key – did you mean listen?\n"))

    def test_missing(self) -> None:
        """A file that is not there is 1, and named."""
        path = self.mktemp()

        found = run("check-config", "-c", path)

        self.assertEqual((found.status, found.output), (1, ""))
        self.assertIn(path, found.errors)

    def test_broken_yaml(self) -> None:
        """What is no YAML is 1, without a traceback."""
        found = run("check-config", "-c", self.write("server: ["))

        self.assertEqual((found.status, found.output), (1, ""))
        self.assertTrue(found.errors.startswith("pkgd: not YAML"))

    def test_certificates(self) -> None:
        """Certificate files are looked at: a pair that cannot be loaded is 1."""
        found = run("check-config", "-c", self.write("server: {tls: {certificate: a.pem, key: b.pem}}"))

        self.assertEqual((found.status, found.output), (1, ""))
        self.assertIn("a.pem", found.errors)

    def test_print(self) -> None:
        """`--print` shows the whole effective configuration, and what it shows can be used again."""
        path = self.write("limits: {body_timeout: 5m, upload_size: 1GiB}\nstate_dir: data")
        found = run("check-config", "--print", "-c", path)
        shown = yaml.safe_load(found.output)

        self.assertEqual(
            (found.status, shown["limits"]["body_timeout"], shown["limits"]["upload_size"]), (0, 300, 1 << 30)
        )
        self.assertEqual(shown["state_dir"], os.path.join(os.path.dirname(os.path.abspath(path)), "data"))
        self.assertEqual(run("check-config", "--print", "-c", self.write(found.output)).output, found.output)


class ConfigSchemaTests(CommandCase):
    """`config-schema` is for editors."""

    def test_schema(self) -> None:
        """It prints the JSON Schema."""
        found = run("config-schema")

        self.assertEqual((found.status, found.errors), (0, ""))
        self.assertIn("server", json.loads(found.output)["$defs"]["Config"]["properties"])


class ServeTests(CommandCase):
    """`serve` runs the daemon, if it can be run."""

    def test_unusable(self) -> None:
        """With a configuration that cannot be used it ends with 1 before anything starts."""
        for text in ("server: {listn: []}", "server: {listen: ['tcp:0']}", "server: ["):
            found = run("serve", "-c", self.write(text))
            self.assertEqual((found.status, found.output), (1, ""))
            self.assertTrue(found.errors.startswith("pkgd: "))
