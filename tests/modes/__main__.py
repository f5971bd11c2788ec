"""Fill a server, change `auth.mode` and nothing else, and compare: a line for each check, then the counts."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.modes.content import fill, leave_original, pulls
from tests.modes.server import Answer, ModalPkgd, basic, digests

_PORT = 24300


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
    parser.add_argument("--port", type=int, default=_PORT, help="a port that is free")
    options = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="pkgd-modes-"))
    checks = Checks()
    server = ModalPkgd(options.port, scratch / "state", scratch / "logs")
    try:
        _run(server, checks)
        notices = server.new_crash_notices()
        checks.check("no traceback in the log", not notices, notices)
    finally:
        if server.is_running():
            server.stop()
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


def _run(server: ModalPkgd, checks: Checks) -> None:
    leave_original(server.state)
    server.start()
    fill(server)
    before = {target: server.ask("GET", target) for target in pulls(server, {})}
    for target, answer in before.items():
        checks.check(f"none: {target}", answer.status == 200, answer)
    checks.check("there is enough to compare", len(before) > 80, len(before))
    server.stop()
    stored = digests(server.state)

    server.mode = "basic"
    server.start()
    _compare(server, checks, before)
    checks.check("probes are open", server.answers("/health") and server.answers("/ready"))
    server.stop()
    _same_storage(checks, "after none → basic", stored, digests(server.state))

    server.mode = "none"
    server.start()
    for target, answer in before.items():
        checks.check(f"none again: {target}", server.ask("GET", target) == answer)
    server.stop()
    _same_storage(checks, "after basic → none", stored, digests(server.state))

    server.mode = "basic"
    server.start()
    _push(server, checks)
    server.stop()


def _compare(server: ModalPkgd, checks: Checks, before: Mapping[str, Answer]) -> None:
    """Everything that could be pulled can be, to the byte, by who logs in, and by nobody else."""
    scopes = {target.split("/manifests/")[0].removeprefix("/v2/") for target in before if "/manifests/" in target}
    query = "&".join(["scope=registry:catalog:*", *(f"scope=repository:{name}:pull" for name in sorted(scopes))])
    token = json.loads(server.ask("GET", f"/auth/token?{query}", basic()).body)["token"]
    for target, answer in before.items():
        checks.check(f"without credentials: {target}", *_status(server.ask("GET", target), _closed(target)))
        wrong = server.ask("GET", target, basic(password="wrong")) if target == "/v2/app/manifests/latest" else None
        checks.check(f"wrong password: {target}", wrong is None or wrong.status == 401, wrong)
        found = server.ask("GET", target, basic())
        checks.check(f"by name and password: {target}", found == answer, found)
        if target.startswith("/v2/"):
            found = server.ask("GET", target, {"Authorization": f"Bearer {token}"})
            checks.check(f"by token: {target}", found == answer, found)
    same = list(dict.fromkeys(pulls(server, basic())))
    checks.check("the same is found", same == list(before), same)


def _closed(target: str) -> int:
    """What nobody gets without credentials. The list of all packages is open, and then empty."""
    return 200 if target == "/api/v1/packages" else 401


def _status(answer: Answer, status: int) -> tuple[bool, Answer]:
    is_empty = answer.status != 200 or json.loads(answer.body)["packages"] == []
    return answer.status == status and is_empty, answer


def _same_storage(checks: Checks, when: str, before: Mapping[str, str], after: Mapping[str, str]) -> None:
    changed = [name for name in {*before, *after} if before.get(name) != after.get(name)]
    checks.check(f"storage is untouched {when}", not changed, changed)
    checks.check("there is something stored", len(before) > 40, len(before))


def _push(server: ModalPkgd, checks: Checks) -> None:
    """What was pushed without a name goes on under one, and stands in the audit log."""
    manifest = server.ask("GET", "/v2/app/manifests/latest", basic())
    kind = {"Content-Type": dict(manifest.headers)["content-type"]}
    refused = server.ask("PUT", "/v2/app/manifests/new", kind, manifest.body)
    checks.check("a push without credentials is refused", refused.status == 401, refused)
    pushed = server.ask("PUT", "/v2/app/manifests/new", {**kind, **basic()}, manifest.body)
    checks.check("a push with credentials is not", pushed.status == 201, pushed)
    deleted = server.ask("DELETE", "/v2/app/manifests/new", basic())
    checks.check("deleting is for admins", deleted.status == 403, deleted)
    server.stop()
    lines = [json.loads(line) for line in server.audit.read_text().splitlines()]
    named = [line for line in lines if line["user"] == "alice" and line["action"] == "push"]
    checks.check("the audit log has the push", len(named) == 1 and named[0]["tags"] == ["new"], named)
    checks.check("and the wrong password", any(line["action"] == "fail-login" for line in lines))
    checks.check("and those without a name", any(line["user"] is None for line in lines))
    checks.check("and no password", "correct horse" not in server.audit.read_text())


if __name__ == "__main__":
    sys.exit(main())
