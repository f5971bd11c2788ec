"""The command `pkgd`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from twisted.python import usage

from pkgd.built import built
from pkgd.commands import (
    backup,
    check_config,
    client_setup,
    explain,
    gc,
    healthcheck,
    k8s_credential_provider,
    key,
    mirror,
    rebuild,
    refresh_token,
    restore,
    retention,
    scrub,
    serve,
    signing_key,
    upload,
    user,
    verify,
    version,
)
from pkgd.commands.common import INTERRUPTED, NOBODY_READS
from pkgd.errors import PkgdError
from pkgd.login import command as login
from pkgd.login import helper
from pkgd.terminal import write_to_nobody

__all__ = ["main"]

# The name under which docker finds its helper; the frozen executable has it as a link.
_HELPER = "docker-credential-pkgd"


# Name, options, what it does, and one line for the list of commands.
_COMMANDS: list[tuple[str, Any, Callable[[Any], int | None], str]] = [
    ("serve", serve.ServeOptions, serve.run, "Run the daemon in the foreground."),
    (
        "check-config",
        check_config.CheckOptions,
        check_config.run,
        "Say whether a configuration can be used; exit with 1 if not.",
    ),
    ("config-schema", usage.Options, check_config.print_schema, "Print the JSON Schema of the configuration."),
    ("mirror", mirror.MirrorOptions, mirror.run, "What the mirror can be told to do."),
    ("upload", upload.UploadOptions, upload.run, "Put packages into a repository."),
    (
        "client-setup",
        client_setup.ClientSetupOptions,
        client_setup.run,
        "Print, or write, what docker, apt and other clients have to be told.",
    ),
    ("auth", explain.AuthOptions, explain.run, "Who may do what."),
    ("login", login.LoginOptions, login.run_login, "Log in by a browser, for docker and others."),
    ("logout", login.LoginOptions, login.run_logout, "Log out again."),
    ("key", key.KeyOptions, key.run, "API keys, for users' tools and for robots."),
    (
        "k8s-credential-provider",
        k8s_credential_provider.CredentialProviderOptions,
        k8s_credential_provider.run,
        "Credentials for the kubelet, which runs this.",
    ),
    (
        "refresh-token",
        refresh_token.RefreshTokenOptions,
        refresh_token.run,
        "Refresh tokens, which tools such as docker keep of a login.",
    ),
    ("user", user.UserOptions, user.run, "Who is not let in any more."),
    ("signing-key", signing_key.SigningKeyOptions, signing_key.run, "The keys that sign apt and rpm repositories."),
    ("backup", backup.BackupOptions, backup.run, "Copy the state into a new directory, also beside a running daemon."),
    ("restore", restore.RestoreOptions, restore.run, "Put a backup into an empty state directory."),
    ("verify", verify.VerifyOptions, verify.run, "Look through a state or a backup for what is missing or damaged."),
    ("healthcheck", healthcheck.HealthcheckOptions, healthcheck.run, "Whether the running daemon takes requests."),
    ("gc", gc.GcOptions, gc.run, "Remove blobs that no manifest names."),
    (
        "retention",
        retention.RetentionOptions,
        retention.run,
        "Remove tags, manifests and packages that no rule keeps.",
    ),
    ("scrub", scrub.ScrubOptions, scrub.run, "Read everything again, and take out what is damaged."),
    ("rebuild", rebuild.RebuildOptions, rebuild.run, "Derive anew what is derived from the state, after damage."),
    ("version", version.VersionOptions, version.run, "Say exactly what was built."),
]


class _Command(usage.Options):
    """pkgd: an OCI registry, and what grows around it."""

    subCommands = [[name, None, options, line] for name, options, _, line in _COMMANDS]

    def opt_version(self) -> None:
        """Print the version."""
        print(built().version)
        raise SystemExit(0)


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Returns the exit status: 0 done, 1 it cannot be done, 2 it was not understood, 130 interrupted, 141 nobody reads
    what it writes any more, as in `pkgd … | head`.
    """
    try:
        try:
            return _run(arguments)
        finally:
            if sys.stdout is not None:  # it may have been closed by whoever has started us
                sys.stdout.flush()
    except BrokenPipeError:
        write_to_nobody()
        return NOBODY_READS


def _run(arguments: list[str] | None) -> int:
    if arguments is None and os.path.basename(sys.argv[0]).startswith(_HELPER):
        return helper.main()
    command: Any = _Command()
    try:
        command.parseOptions(sys.argv[1:] if arguments is None else arguments)
        if not command.subCommand:
            raise usage.UsageError("which command?")
    except usage.UsageError as error:
        print(f"{command}\npkgd: {error}", file=sys.stderr)
        return 2
    runs = {name: run for name, _, run, _ in _COMMANDS}
    try:
        return runs[command.subCommand](command.subOptions) or 0
    except PkgdError as error:
        print(f"pkgd: {error.message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("pkgd: interrupted", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
