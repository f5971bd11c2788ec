"""Fill a server, change `auth.mode` and nothing else, from none to basic to oidc and back, and compare.

A line for each check that fails, then the counts.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.live.tools import PACKAGES, install
from tests.modes import single_sign_on
from tests.modes.clients import PROGRAMS, header, reads
from tests.modes.content import fill, leave_original, pulls
from tests.modes.server import PASSWORD, USER, Answer, ModalPkgd, basic, digests
from tests.modes.single_sign_on import SingleSignOn
from tests.repositories.server import free_environment

_PORT = 25300


class Checks:
    """Counts what is as it should be."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0

    def check(self, what: str, good: bool, detail: object = "") -> None:
        """Note one."""
        self.passed += good
        self.failed += not good
        if not good:
            print(f"FAILED {what}: {detail}", flush=True)


def main() -> int:
    """Run the suite and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.modes", description=__doc__)
    parser.add_argument("--port", type=int, default=_PORT, help="the first of two ports that are free")
    options = parser.parse_args()
    PACKAGES.update({program: (package,) for program, package in PROGRAMS.items()})
    install([*PROGRAMS, *single_sign_on.PROGRAMS])
    scratch = Path(tempfile.mkdtemp(prefix="pkgd-modes-"))
    checks = Checks()
    server = ModalPkgd(options.port, scratch / "state", scratch / "logs")
    provider = SingleSignOn(server, scratch, options.port + 1)
    free_environment()
    server.oidc = provider.provider.section()
    try:
        _Run(server, checks, scratch, provider).go()
        notices = server.new_crash_notices()
        checks.check("no traceback in the log", not notices, notices)
    finally:
        provider.stop()
        if server.is_running():
            server.stop()
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


class _Run:
    """One server, from mode to mode."""

    def __init__(self, server: ModalPkgd, checks: Checks, scratch: Path, provider: SingleSignOn) -> None:
        self._server = server
        self._checks = checks
        self._scratch = scratch
        self._provider = provider
        self._before: dict[str, Answer] = {}
        self._packages: dict[str, str] = {}
        self._stored: dict[str, str] = {}

    def go(self) -> None:
        """All of it: without authentication, with users, with a provider, and all the way back."""
        leave_original(self._server.state)
        with self._mode("none"):
            fill(self._server)
            self._note()
        self._stored = digests(self._server.state)
        self._checks.check("there is something stored", len(self._stored) > 40, len(self._stored))
        with self._mode("basic"):
            self._compare((USER, PASSWORD))
            key = json.loads(self._server.ask("POST", "/api/v1/keys", header((USER, PASSWORD)), b"{}").body)["key"]
            self._checks.check("probes are open", all(map(self._server.answers, ("/health", "/ready"))))
        self._provider.provider.start()
        with self._mode("oidc"):
            own = self._provider.make_key()
            self._compare(("key", own))
            self._checks.check("a key of mode basic is a key", self._status("/v2/", ("key", key)) == 200)
            self._checks.check("the password is none any more", self._status("/v2/", (USER, PASSWORD)) == 401)
        self._provider.provider.stop()
        with self._mode("basic"):
            self._same(header((USER, PASSWORD)), "basic again")
            self._checks.check("a key of mode oidc is a key", self._status("/v2/", ("key", own)) == 200)
        with self._mode("none"):
            self._same({}, "none again")
        with self._mode("basic", touches_storage=True):
            self._push()

    @contextmanager
    def _mode(self, mode: str, touches_storage: bool = False) -> Iterator[None]:
        """The server in a mode, for the block; what is stored may not be another thing afterwards."""
        self._server.mode = mode
        self._server.start()
        yield
        self._server.stop()
        if self._stored and not touches_storage:
            after = digests(self._server.state)
            changed = [name for name in {*self._stored, *after} if self._stored.get(name) != after.get(name)]
            self._checks.check(f"storage is untouched by mode {mode}", not changed, changed)

    def _note(self) -> None:
        """What everybody gets who need not show anything."""
        self._before = {target: self._server.ask("GET", target) for target in pulls(self._server, {})}
        for target, answer in self._before.items():
            self._checks.check(f"none: {target}", answer.status == 200, answer)
        self._checks.check("there is enough to compare", len(self._before) > 80, len(self._before))
        self._packages = reads(self._server, self._scratch / "none", None)
        self._checks.check("apt and dnf have all packages", len(self._packages) == 3, self._packages)

    def _compare(self, login: tuple[str, str]) -> None:
        """Everything that could be pulled can be, to the byte, by who logs in, and by nobody else."""
        mode, ask = self._server.mode, self._server.ask
        targets = [target for target in self._before if "/manifests/" in target]
        scopes = {target.split("/manifests/")[0].removeprefix("/v2/") for target in targets}
        query = "&".join(["scope=registry:catalog:*", *(f"scope=repository:{name}:pull" for name in sorted(scopes))])
        token = json.loads(ask("GET", f"/auth/token?{query}", header(login)).body)["token"]
        for target in self._before:
            checked = _status(ask("GET", target), _closed(target))
            self._checks.check(f"{mode}: without credentials: {target}", *checked)
        wrong = ask("GET", "/v2/app/manifests/latest", basic(password="wrong"))
        self._checks.check(f"{mode}: wrong password", wrong.status == 401, wrong)
        self._same(header(login), f"{mode}: by name and password")
        for target, answer in self._before.items():
            if target.startswith("/v2/"):
                found = ask("GET", target, {"Authorization": f"Bearer {token}"})
                self._checks.check(f"{mode}: by token: {target}", found == answer, found)
        same = list(dict.fromkeys(pulls(self._server, header(login))))
        self._checks.check(f"{mode}: the same is found", same == list(self._before), same)
        packages = reads(self._server, self._scratch / mode, login)
        self._checks.check(f"{mode}: apt and dnf read the same", packages == self._packages, packages)

    def _same(self, headers: Mapping[str, str], when: str) -> None:
        for target, answer in self._before.items():
            found = self._server.ask("GET", target, dict(headers))
            self._checks.check(f"{when}: {target}", found == answer, found)

    def _status(self, target: str, login: tuple[str, str]) -> int:
        return self._server.ask("GET", target, header(login)).status

    def _push(self) -> None:
        """What was pushed without a name goes on under one, and stands in the audit log."""
        check, ask = self._checks.check, self._server.ask
        manifest = ask("GET", "/v2/app/manifests/latest", basic())
        kind = {"Content-Type": dict(manifest.headers)["content-type"]}
        refused = ask("PUT", "/v2/app/manifests/new", kind, manifest.body)
        check("a push without credentials is refused", refused.status == 401, refused)
        pushed = ask("PUT", "/v2/app/manifests/new", {**kind, **basic()}, manifest.body)
        check("a push with credentials is not", pushed.status == 201, pushed)
        deleted = ask("DELETE", "/v2/app/manifests/new", basic())
        check("deleting is for admins", deleted.status == 403, deleted)
        self._server.stop()  # which writes it down
        text = self._server.audit.read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        named = [line for line in lines if line["user"] == USER and line["action"] == "push"]
        check("the audit log has the push", len(named) == 1 and named[0]["tags"] == ["new"], named)
        check("and the wrong password", any(line["action"] == "fail-login" for line in lines))
        check("and those without a name", any(line["user"] is None for line in lines))
        check("and no password", PASSWORD not in text)


def _closed(target: str) -> int:
    """What nobody gets without credentials. The list of all packages is open, and then empty."""
    return 200 if target == "/api/v1/packages" else 401


def _status(answer: Answer, status: int) -> tuple[bool, Answer]:
    is_empty = answer.status != 200 or json.loads(answer.body)["packages"] == []
    return answer.status == status and is_empty, answer


if __name__ == "__main__":
    sys.exit(main())
