"""The command `pkgd`: exit statuses, and what goes to which stream."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import yaml
from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from pkgd.__main__ import main
from pkgd.errors import InvalidKey
from pkgd.formats.openpgp import read_private_key

_WITH_PASSWORD = "mirror: {registries: {docker.io: {username: bob, password: hunter2-canary}}}"


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
        for command in ("serve", "check-config", "config-schema", "mirror", "upload", "auth", "signing-key", "version"):
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
            ["mirror"],
            ["mirror", "fetch"],
            ["mirror", "prefetch"],
            ["mirror", "prefetch", "a", "b"],
            ["mirror", "prefetch", "-j", "0", "a"],
            ["mirror", "prefetch", "-j", "many", "a"],
            ["mirror", "prefetch", "--platform", "amd64", "a"],
            ["mirror", "prefetch", "--url", "pkg.example.com", "a"],
            ["auth"],
            ["auth", "explain"],
            ["auth", "explain", "pull"],
            ["signing-key"],
            ["signing-key", "make"],
            ["signing-key", "generate", "a"],
            ["signing-key", "import"],
            ["signing-key", "import", "a", "b"],
            ["signing-key", "retire"],
            ["signing-key", "export", "a", "b"],
            ["signing-key", "export", "--secret"],
            ["signing-key", "export", "--passphrase-file", "a"],
            ["signing-key", "export", "--passphrase", "secret"],
            ["signing-key", "list", "a"],
            ["mirror", "prefetch", "a", "--url", "pkg.example.com"],
            ["mirror", "prefetch", "a", "--nonsense"],
            ["upload"],
            ["upload", "--repo", "rpm:main"],
            ["upload", "a.deb"],
            ["upload", "a.deb", "--repo", "main"],
            ["upload", "a.deb", "--repo", "apt:main"],
            ["upload", "a.rpm", "--repo", "rpm:main", "--suite", "stable"],
            ["upload", "a.rpm", "--repo", "rpm:main", "--url", "pkg.example.com"],
        ):
            found = run(*arguments)
            self.assertEqual((found.status, found.output), (2, ""), arguments)
            self.assertTrue(found.errors.splitlines()[-1].startswith("pkgd: "))

    def test_help(self) -> None:
        """Help that was asked for is output, and no error."""
        found = run("--help")

        self.assertEqual((found.status, found.errors), (0, ""))
        self.assertIn("check-config", found.output)


class ClosedPipeTests(CommandCase):
    """When nobody reads on, as in `pkgd … | head`, a command ends as one that SIGPIPE has ended: quietly."""

    def run_unread(self, *arguments: str) -> Run:
        """Run a command whose output is a pipe that nobody reads."""
        reading, writing = os.pipe()
        os.close(reading)
        errors = io.StringIO()
        with os.fdopen(writing, "w") as output:
            with redirect_stdout(output), redirect_stderr(errors):
                status = main(list(arguments))
            output.write("more")  # what is written or flushed later, by the interpreter at its end, fails no more
        return Run(status, "", errors.getvalue())

    def test_much(self) -> None:
        """What writes more than is buffered fails in the middle."""
        self.assertEqual(self.run_unread("config-schema"), Run(141, "", ""))

    def test_little(self) -> None:
        """What is buffered whole fails when it is flushed, also where a command ends by itself."""
        for arguments in (["version"], ["--version"], ["--help"], ["upload", "--help"]):
            self.assertEqual(self.run_unread(*arguments), Run(141, "", ""), arguments)

    def test_process(self) -> None:
        """So it is for a process, with both of its streams closed, too."""
        reading, writing = os.pipe()
        os.close(reading)
        try:
            found = subprocess.run(
                [sys.executable, "-m", "pkgd", "config-schema"], stdout=writing, stderr=writing, check=False
            )
        finally:
            os.close(writing)

        self.assertEqual(found.returncode, 141)


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

    def test_secrets(self) -> None:
        """A password is neither printed nor part of what is said of a file that is broken where it stands."""
        for text, status in {
            "hunter2-canary": 0,
            "@hunter2-canary": 1,
            "*hunter2-canary": 1,
            "[hunter2-canary]": 1,
        }.items():
            path = self.write(f"mirror: {{registries: {{docker.io: {{username: bob, password: {text}}}}}}}")
            for found in (run("check-config", "--print", "-c", path), run("check-config", "-c", path)):
                self.assertEqual(found.status, status, found.errors)
                self.assertNotIn("hunter2", found.output + found.errors)
        self.assertIn("'********'", run("check-config", "--print", "-c", self.write(_WITH_PASSWORD)).output)

    def test_password_files(self) -> None:
        """Password files are looked at: one that cannot be read is 1, and named with its key."""
        text = "mirror: {registries: {docker.io: {username: bob, password_file: nowhere}}}"
        found = run("check-config", "-c", self.write(text))

        self.assertEqual((found.status, found.output), (1, ""))
        self.assertIn("mirror.registries.docker.io.password_file: ", found.errors)


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


class UploadTests(CommandCase):
    """`upload` asks a running pkgd; what it does then is tested in `tests.upload`."""

    def test_help(self) -> None:
        """It explains itself."""
        found = run("upload", "--help")

        self.assertEqual((found.status, found.errors), (0, ""))
        for option in ("--repo", "--suite", "--component", "--url", "--ca-file", "FILE"):
            self.assertIn(option, found.output)

    def test_file(self) -> None:
        """A file that cannot be read is named, before anybody is asked."""
        found = run("upload", "nowhere.rpm", "--repo", "rpm:main", "--url", "http://127.0.0.1:1")

        self.assertEqual(found, Run(1, "", "pkgd: FILE: nowhere.rpm: No such file or directory\n"))

    def test_configuration(self) -> None:
        """Without a URL it is the configuration that says where pkgd listens."""
        path = self.write("server: {listen: ['unix:/run/pkgd.sock']}")

        found = run("upload", path, "--repo", "rpm:main", "-c", path)

        self.assertEqual((found.status, found.output), (1, ""))
        self.assertIn("--url", found.errors)


class InterruptedInput:
    """A standard input at which somebody presses Ctrl-C."""

    @property
    def buffer(self) -> InterruptedInput:
        """Its bytes."""
        return self

    def read(self) -> bytes:
        """Wait."""
        raise KeyboardInterrupt


class PrefetchTests(CommandCase):
    """`mirror prefetch` asks a running pkgd; what it does then is tested in `tests.prefetch`."""

    def prefetch(self, *arguments: str) -> Run:
        """Run it on an empty list."""
        return run("mirror", "prefetch", *arguments, self.write(""))

    def test_help(self) -> None:
        """It explains itself."""
        found = run("mirror", "prefetch", "--help")

        self.assertEqual((found.status, found.errors), (0, ""))
        for option in ("--url", "--ca-file", "--platform", "--jobs", "--json", "--config", "LIST"):
            self.assertIn(option, found.output)

    def test_list(self) -> None:
        """A list that cannot be read is named, before anybody is asked."""
        found = run("mirror", "prefetch", "nowhere.txt", "--url", "http://127.0.0.1:1")

        self.assertEqual(found, Run(1, "", "pkgd: LIST: nowhere.txt: No such file or directory\n"))

    def test_configuration(self) -> None:
        """Without a URL it is the configuration that says where pkgd listens, and it has to say it."""
        path = self.write("server: {listen: ['unix:/run/pkgd.sock']}")

        found = self.prefetch("-c", path)

        self.assertEqual((found.status, found.output), (1, ""))
        self.assertIn("unix:/run/pkgd.sock", found.errors)
        self.assertIn("--url", found.errors)

    def test_broken_configuration(self) -> None:
        """With a URL no configuration is read."""
        path = self.write("server: [")

        self.assertIn("not YAML", self.prefetch("-c", path).errors)
        self.assertIn("--ca-file", self.prefetch("-c", path, "--url", "https://a.test", "--ca-file", "none").errors)

    def test_interrupted(self) -> None:
        """Who interrupts it gets the prompt back, without a traceback."""
        self.addCleanup(setattr, sys, "stdin", sys.stdin)
        sys.stdin = InterruptedInput()  # type: ignore[assignment]

        self.assertEqual(run("mirror", "prefetch", "-"), Run(130, "", "pkgd: interrupted\n"))


class RebuildTests(CommandCase):
    """`rebuild`; what it does is tested in `tests.rebuild`."""

    def test_empty(self) -> None:
        """An empty state is rebuilt."""
        path = self.write(f"state_dir: {self.mktemp()}\nrepositories: {{apt: [], rpm: []}}")

        self.assertEqual(run("rebuild", "-c", path), Run(0, "index.sqlite: 0 repositories\n", ""))

    def test_refused(self) -> None:
        """What is not configured adopts nothing."""
        found = run("rebuild", "--adopt", "rpm:none", "-c", self.write(f"state_dir: {self.mktemp()}"))

        self.assertEqual((found.status, found.output), (1, ""))
        self.assertIn("apt:main/stable, rpm:main", found.errors)


class SigningKeyTests(CommandCase):
    """`signing-key` works on the keys of the configuration's state directory."""

    def setUp(self) -> None:
        """A configuration."""
        self.config = self.write(f"state_dir: {self.mktemp()}")

    def keys(self, command: str, *arguments: str) -> Run:
        """Run one of its commands."""
        return run("signing-key", command, "-c", self.config, *arguments)

    def test_life(self) -> None:
        """Made, shown, exported, rotated, retired."""
        made = self.keys("generate", "-a", "ed25519", "-u", "somebody")
        fingerprint = made.output.split()[1]

        self.assertEqual((made.status, made.errors), (0, ""))
        self.assertIn(fingerprint, self.keys("list").output)
        self.assertTrue(self.keys("export").output.startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----\n"))
        self.assertEqual(self.keys("rotate", "--algorithm", "ed25519").status, 0)
        self.assertEqual(self.keys("retire", fingerprint).status, 0)
        self.assertEqual({line.split()[0] for line in self.keys("list").output.splitlines()}, {"retired", "signs"})

    def test_passphrase(self) -> None:
        """Keys are kept, and read, under the passphrase of the configuration, with its algorithm."""
        secret = self.write("correct horse\n")
        Path(secret).chmod(0o600)
        state = os.path.abspath(self.mktemp())
        key = f"{{passphrase_file: {os.path.abspath(secret)}, algorithm: ed25519}}"
        self.config = self.write(f"state_dir: {state}\nsigning: {{keys: {{default: {key}}}}}")
        for command in ("generate", "rotate"):
            self.assertIn("  ed25519  ", self.keys(command).output)
        found = sorted(Path(state, "keys").iterdir())

        self.assertEqual(len(found), 2)
        for path in found:
            self.assertTrue(read_private_key(path.read_bytes(), "correct horse").fingerprint in path.name)
            self.assertRaises(InvalidKey, read_private_key, path.read_bytes())
        self.assertEqual(self.keys("list").output.count("signs"), 2)
        self.config = self.write(f"state_dir: {state}")
        self.assertEqual(self.keys("list").status, 1)

    def test_keys_elsewhere(self) -> None:
        """What is in a file of its own, or in GnuPG, is not looked after here, and nothing is made in its place."""
        state = self.mktemp()
        for key in ("{key_file: /etc/key.asc}", f"{{backend: gnupg, fingerprint: {'A1' * 20}}}"):
            self.config = self.write(f"state_dir: {state}\nsigning: {{keys: {{default: {key}}}}}")
            found = self.keys("generate")

            self.assertEqual((found.status, found.output), (1, ""))
            self.assertIn("signing.keys.default", found.errors)
        self.assertFalse(Path(state, "keys").exists())

    def test_options_behind_arguments(self) -> None:
        """Options may stand behind the argument, too."""
        fingerprint = self.keys("generate", "-a", "ed25519").output.split()[1]

        self.assertEqual(run("signing-key", "retire", fingerprint, "-c", self.config).errors.count("FINGERPRINT"), 0)
        self.assertIn("PUBLIC KEY", run("signing-key", "export", fingerprint, "-c", self.config).output)

    def test_refused(self) -> None:
        """What cannot be done is 1 and one line on standard error."""
        for command, *arguments in (["rotate"], ["export"], ["retire", "x"], ["import", "/nowhere"]):
            found = self.keys(command, *arguments)

            self.assertEqual((found.status, found.output), (1, ""))
            self.assertTrue(found.errors.startswith("pkgd: "))
            self.assertEqual(found.errors.count("\n"), 1)
