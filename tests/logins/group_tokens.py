"""Tokens that clients bring from elsewhere: as Bearer, as a password, and at the token service."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import urlencode

from tests.auth.issuing import jwk, jwks
from tests.live.tools import wait_for
from tests.logins.bench import AUDIENCE, Bench, Case, Pkgd, Service, expect


def cases(bench: Bench) -> Iterator[Case]:
    """All of them."""
    for name, trial in (
        ("a job's token as Bearer, as a password, and for an access token", _carriers),
        ("claims that are required", _required),
        ("issuers that are not ours, or did not sign", _strangers),
        ("an issuer that is down", _down),
        ("a back end's issuer, whose tokens clients may bring", _direct),
        ("keys that discovery finds", _discovery),
        ("refresh tokens, listed and revoked", _refresh_tokens),
        ("users, disabled here and over the API", _disabled),
    ):
        yield Case(name, partial(trial, bench))


def workload(service: Service, **changes: Any) -> dict[str, Any]:
    """The configuration of a CI service."""
    usual = {
        "issuer": service.base,
        "audience": [AUDIENCE],
        "username": "gitlab:${claims.project_path}",
        "groups": ["ci"],
        "require": {"ref_protected": "true"},
        "jwks_url": f"{service.base}/jwks",
    }
    if service.authority is not None:
        usual["ca_file"] = str(service.authority.file)
    return {"workload": [{name: value for name, value in {**usual, **changes}.items() if value is not None}]}


def job(service: Service, **changes: Any) -> str:
    """A job's token."""
    return service.token("1", **{"project_path": "team/app", "ref_protected": "true", **changes})


def codes(pkgd: Pkgd, text: str) -> tuple[int, int]:
    """What a token is answered as Bearer, and as a password."""
    return pkgd.bearer(text).status, pkgd.login("ci", text).status


def _carriers(bench: Bench) -> None:
    one = bench.one
    with bench.pkgd(bench.two.section(), oidc=workload(one)) as pkgd:
        text = job(one)
        expect("carriers", codes(pkgd, text), (200, 200))
        answer = pkgd.login("anything", text, "/auth/token?scope=repository:a:pull")
        expect("token service", answer.status, 200)
        expect("its token", pkgd.bearer(json.loads(answer.body)["token"]).status, 200)
    expect("the name in the access log", " gitlab:team/app [" in pkgd.log.read_text(), True)
    expect("what the back end has seen", bench.two.logins(), 0)


def _required(bench: Bench) -> None:
    with bench.pkgd(oidc=workload(bench.one)) as pkgd:
        for changes in ({"ref_protected": "false"}, {"ref_protected": None}, {"project_path": None}):
            expect(str(changes), codes(pkgd, job(bench.one, **changes)), (401, 401))


def _strangers(bench: Bench) -> None:
    now = int(time.time())
    with bench.pkgd(bench.two.section(), oidc=workload(bench.one)) as pkgd:
        for changes in (
            {"iss": "https://evil.example"},
            {"iss": bench.one.base + "/"},
            {"iss": bench.two.base},
            {"aud": "other"},
            {"name": "stranger", "header": {"kid": bench.one.key()}},
            {"exp": now - 1, "iat": now - 60},
            {"exp": now + 90_000},
        ):
            expect(str(changes), codes(pkgd, job(bench.one, **changes)), (401, 401))
    expect("what the back end has seen", bench.two.logins(), 0)


def _down(bench: Bench) -> None:
    text = job(bench.one)
    bench.one.kill()
    with bench.pkgd(oidc=workload(bench.one)) as pkgd:
        expect("status", codes(pkgd, text), (503, 503))
        expect("local", pkgd.login("local", "canary-local-1").status, 200)


def _direct(bench: Bench) -> None:
    two = bench.two
    with bench.pkgd(two.section(accept_direct=True), bench.one.section()) as pkgd:
        expect("alice", codes(pkgd, two.token("alice")), (200, 200))
        expect("a user of our own", codes(pkgd, two.token("local")), (401, 401))
        expect("of the one that does not allow it", codes(pkgd, bench.one.token("alice")), (401, 401))
    expect("questions", (bench.one.logins(), two.logins()), (0, 0))


def _discovery(bench: Bench) -> None:
    two = bench.two
    documents = {
        "/.well-known/openid-configuration": json.dumps({"issuer": two.base, "jwks_uri": f"{two.base}/jwks"}),
    }
    two.tell(documents={**documents, "/jwks": jwks(jwk("RS256", two.key())).decode()})
    with bench.pkgd(oidc=workload(two, jwks_url=None)) as pkgd:
        expect("found", codes(pkgd, job(two)), (200, 200))


def _refresh_tokens(bench: Bench) -> None:
    with bench.pkgd(token={"refresh_tokens": True}) as pkgd:
        query = "/auth/token?service=pkg.example.com&offline_token=true&client_id=docker"
        text = json.loads(pkgd.login("local", "canary-local-1", query).body)["refresh_token"]
        pkgd.canaries.append(text)
        form = urlencode({"grant_type": "refresh_token", "refresh_token": text, "service": AUDIENCE}).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        expect("a token for it", pkgd.call("POST", "/auth/token", kind, form).status, 200)
        credentials = pkgd.folder / "credentials"
        credentials.write_text("local:canary-local-1\n")
        remote = ("--url", f"http://127.0.0.1:{pkgd.port}", "--credentials", str(credentials))
        local = ("-c", str(pkgd.folder / "config.yaml"))
        listed = [command("refresh-token", "list", *one) for one in (remote, local)]
        expect("both lists", (listed[0][0], listed[0] == listed[1]), (0, True))
        identifier, owner = listed[0][1].split()[:2]
        expect("whose", (owner, listed[0][1].count("\n")), ("local", 1))
        expect("one that is not there", command("refresh-token", "revoke", *remote, "0" * 16)[0], 1)
        expect("revoked", command("refresh-token", "revoke", *remote, identifier), (0, ""))
        expect("a token for it, then", pkgd.call("POST", "/auth/token", kind, form).status, 401)
        expect("the list, then", command("refresh-token", "list", *local), (0, ""))
        (pkgd.folder / "credentials").unlink()


def _disabled(bench: Bench) -> None:
    with bench.pkgd(bench.two.section(accept_direct=True), admins=["local"]) as pkgd:
        local = ("-c", str(pkgd.folder / "config.yaml"))
        key = command("key", "create", *local, "--robot", "ci")[1].strip()
        pkgd.canaries.append(key)
        alice = bench.two.token("alice")
        wait_for("the key is known", lambda: codes(pkgd, key) == (200, 200))
        expect("alice, by her back end", codes(pkgd, alice), (200, 200))
        credentials = pkgd.folder / "credentials"
        credentials.write_text("local:canary-local-1\n")
        remote = ("--url", f"http://127.0.0.1:{pkgd.port}", "--credentials", str(credentials))
        expect("disabled over the API", command("user", "disable", *remote, "alice"), (0, ""))
        expect("alice, then", codes(pkgd, alice), (401, 401))
        expect("the robot, still", codes(pkgd, key), (200, 200))
        expect("disabled here", command("user", "disable", *local, "robot:ci"), (0, ""))
        wait_for("the robot is out", lambda: codes(pkgd, key) == (401, 401))
        listed = [command("user", "list", *one) for one in (remote, local)]
        expect("both lists", (listed[0][1].split()[1::2], listed[0] == listed[1]), (["alice", "robot:ci"], True))
        for user in ("alice", "robot:ci"):
            expect("enabled", command("user", "enable", *remote, user), (0, ""))
        expect("both, then", (codes(pkgd, alice), codes(pkgd, key)), ((200, 200), (200, 200)))
        expect("one who is not disabled", command("user", "enable", *remote, "alice")[0], 1)
        credentials.unlink()


def command(*arguments: str) -> tuple[int, str]:
    """Run one of pkgd's: its status and what it says."""
    done = subprocess.run([sys.executable, "-m", "pkgd", *arguments], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr
