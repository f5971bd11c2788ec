"""API back ends: who is asked, what counts as an answer, and what the client gets."""

from __future__ import annotations

import hmac
import json
import subprocess
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from typing import Any

from tests.auth.issuing import hand_made, jwk, jwks, pem
from tests.logins.bench import Answer, Bench, Case, Missed, Pkgd, expect

WORD = "canary-remote-1"


def cases(bench: Bench) -> Iterator[Case]:
    """All of them."""
    trials = (
        ("the right password, a wrong one, none", _passwords),
        ("one that says no is followed by one that says yes", _second_accepts),
        ("the first is down and the second says no: nobody knows", _first_down),
        ("all are down: nobody knows, and users of our own still get in", _all_down),
        ("a no that is the last word", _last_word),
        ("a user of our own is never asked about elsewhere", _shadowed),
        ("names that are sent to one back end only", _globs),
        ("a redirect is not followed", _redirect),
        ("a body that drips ends by the time for it", _drip),
        ("answers that are none", _nonsense),
        ("tokens that are not to be believed", _bad_tokens),
        ("keys that are rotated", _rotation),
        ("a flood of tokens with unknown keys", _flood),
        ("a yes is good for a while, also when the back end has died", _remembered),
        ("what is remembered is one user's with one password", _not_shared),
        ("a hangup forgets everything", _forgotten),
        ("passwords with colons, in UTF-8, and of 5000 characters", _odd_passwords),
        ("a bare URL without keys is believed, with a warning", _bare),
        ("a bare URL with keys is verified", _bare_with_keys),
        ("without a signature nothing is believed if so configured", _require_signature),
        ("an access token ends with the back end's own, and says who vouched", _access_token),
        ("a token's access narrows", _narrowed),
        ("what a user wants to do is told, and an answer counts for that alone", _told),
        ("access that is trusted allows what no rule does, until it is trusted no more", _trusted),
        ("credentials for the registry behind the mirror are shown to no back end", _foreign),
        ("who comes for what is hosted here is asked about, though the mirror is open", _hosted),
        ("check-config --online", _online),
    )
    for name, trial in trials:
        yield Case(name, partial(trial, bench))


def status(pkgd: Pkgd, user: str, password: str = WORD) -> int:
    """What a login is answered."""
    return pkgd.login(user, password).status


def expect_unknown(answer: Answer) -> None:
    """Nobody can tell now who it is."""
    expect("status", answer.status, 503)
    expect("Retry-After", answer.headers.get("Retry-After"), "15")


def _passwords(bench: Bench) -> None:
    bench.one.tell(users=bench.one.user("alice", WORD))
    with bench.pkgd(bench.one.section()) as pkgd:
        for user, password, wanted in (("alice", WORD, 200), ("alice", "canary-wrong-1", 401), ("bob", WORD, 401)):
            expect(f"{user}", status(pkgd, user, password), wanted)
        expect("nobody", pkgd.call("GET", "/v2/").status, 401)
        expect("an empty password", status(pkgd, "carol", ""), 401)
    asked = [one for one in bench.one.seen() if one["path"] == "/login"]
    expect("questions", len(asked), 3)
    expect("the body", json.loads(asked[0]["body"]), {"service": "pkg.example.com"})
    expect("credentials", b64decode(asked[0]["headers"]["Authorization"][6:]).decode(), f"alice:{WORD}")
    expect("an id of its own", len({one["headers"]["X-Request-Id"] for one in asked}), 3)


def _second_accepts(bench: Bench) -> None:
    bench.two.tell(users=bench.two.user("bob", WORD))
    with bench.pkgd(bench.one.section(), bench.two.section()) as pkgd:
        expect("bob", status(pkgd, "bob"), 200)
        expect("nobody's", status(pkgd, "carol"), 401)
    expect("questions", (bench.one.logins(), bench.two.logins()), (2, 2))


def _first_down(bench: Bench) -> None:
    bench.two.tell(users=bench.two.user("bob", WORD))
    gone = bench.two.section(name="gone", url=f"http://127.0.0.1:{bench.gone}/login")
    with bench.pkgd(gone, bench.two.section()) as pkgd:
        expect_unknown(pkgd.login("carol", WORD))
        expect("who is known to the second", status(pkgd, "bob"), 200)


def _all_down(bench: Bench) -> None:
    bench.one.kill()
    bench.two.kill()
    with bench.pkgd(bench.one.section(), bench.two.section()) as pkgd:
        for _ in range(8):
            expect_unknown(pkgd.login("alice", WORD))
        expect_unknown(pkgd.login("alice", WORD, "/auth/token"))
        expect("local", status(pkgd, "local", "canary-local-1"), 200)
        expect("local, wrong", status(pkgd, "local", "canary-local-2"), 401)


def _last_word(bench: Bench) -> None:
    bench.two.tell(users=bench.two.user("bob", WORD))
    with bench.pkgd(bench.one.section(on_reject="stop"), bench.two.section()) as pkgd:
        expect("bob", status(pkgd, "bob"), 401)
    expect("questions to the second", bench.two.logins(), 0)


def _shadowed(bench: Bench) -> None:
    bench.one.tell(users=bench.one.user("local", WORD))
    with bench.pkgd(bench.one.section(match_username="casefold")) as pkgd:
        expect("the back end's password", status(pkgd, "local"), 401)
        expect("questions", bench.one.logins(), 0)
        bench.one.tell(users=bench.one.user("LOCAL", WORD, bench.one.token("local")))
        expect_unknown(pkgd.login("LOCAL", WORD))


def _globs(bench: Bench) -> None:
    name = "bob@partner.example"
    bench.two.tell(users=bench.two.user(name, WORD))
    with bench.pkgd(bench.one.section(users="*@corp.example"), bench.two.section(users=["*@partner.example"])) as pkgd:
        expect("bob", status(pkgd, name), 200)
        expect("neither's", status(pkgd, "carol"), 401)
    expect("questions", (bench.one.logins(), bench.two.logins()), (0, 1))


def _redirect(bench: Bench) -> None:
    for code in (301, 302, 307, 308):
        bench.one.tell(always={"status": code, "headers": {"Location": f"{bench.two.base}/login"}})
        with bench.pkgd(bench.one.section()) as pkgd:
            expect_unknown(pkgd.login("alice", WORD))
        expect("requests at the target", bench.two.seen(), [])


def _drip(bench: Bench) -> None:
    bench.one.tell(always={"status": 200, "body": "{}  ", "times": 100, "drip": 0.2})
    with bench.pkgd(bench.one.section(timeout="1s")) as pkgd:
        began = time.monotonic()
        expect_unknown(pkgd.login("alice", WORD))
        if time.monotonic() - began > 10:
            raise Missed("the client had to wait for the whole body")
        expect("local", status(pkgd, "local", "canary-local-1"), 200)


def _nonsense(bench: Bench) -> None:
    good = json.dumps({"token": bench.one.token("alice")})
    answers: tuple[dict[str, Any], ...] = (
        {"status": 200, "body": " " * 1024, "times": 65},
        {"status": 200, "body": good + " " * 65_536},
        {"status": 200, "body": "<html>welcome</html>", "kind": "text/html"},
        {"status": 200, "body": good, "kind": "text/html"},
        {"status": 200, "body": "{}"},
        {"status": 200, "body": ""},
        {"status": 204},
        {"status": 404, "body": good},
        {"status": 405, "body": good},
        {"status": 429, "body": good},
        {"status": 500, "body": good},
    )
    with bench.pkgd(bench.one.section()) as pkgd:
        for answer in answers:
            bench.one.tell(always=answer)
            expect_unknown(pkgd.login("alice", WORD))


def _bad_tokens(bench: Bench) -> None:
    one, now = bench.one, int(time.time())
    claims = json.dumps({"iss": one.base, "aud": "pkg.example.com", "sub": "alice", "exp": now + 600}).encode()
    tokens = {
        "alg none": hand_made(b'{"alg":"none"}', claims, b""),
        "alg None with a kid": hand_made(json.dumps({"alg": "None", "kid": one.key()}).encode(), claims),
        "RSA's public key as a secret": _confused(one.key(), claims),
        "another issuer": one.token("alice", iss="https://evil.example"),
        "no issuer": one.token("alice", iss=None),
        "another audience": one.token("alice", aud="other.example.com"),
        "expired": one.token("alice", iat=now - 700, exp=now - 1),
        "never expires": one.token("alice", exp=None),
        "lives for years": one.token("alice", exp=now + 10**8),
        "not yet": one.token("alice", nbf=now + 120),
        "another user's": one.token("bob"),
        "another spelling": one.token("Alice"),
        "nobody's": one.token("alice", sub=None),
        "another key": one.token("alice", name="stranger", header={"kid": one.key()}),
        "brings its key": one.token("alice", header={"jwk": jwk("RS256", one.key())}),
        "points to a key": one.token("alice", header={"jku": f"{bench.two.base}/jwks"}),
        "cut": one.token("alice")[:-3],
    }
    with bench.pkgd(one.section()) as pkgd:
        for name, text in tokens.items():
            one.tell(users=one.user("alice", WORD, text))
            pkgd.canaries.append(text)
            answer = pkgd.login("alice", WORD)
            expect(f"{name}: status", answer.status, 503)
        one.tell(users=one.user("alice", WORD))
        expect("a good one", status(pkgd, "alice"), 200)
    expect("requests elsewhere", bench.two.seen(), [])


def _confused(kid: str, claims: bytes) -> str:
    """Signed by HMAC, with what everybody knows for a secret."""
    head = hand_made(json.dumps({"alg": "HS256", "kid": kid}).encode(), claims).rpartition(".")[0]
    signature = hmac.digest(pem("RS256", kid), head.encode(), "sha256")
    return head + hand_made(b"", b"", signature)[1:]


def _rotation(bench: Bench) -> None:
    one = bench.one
    one.tell(users=one.user("alice", WORD))
    with bench.pkgd(one.section(cache_ttl="0s")) as pkgd:
        expect("the old key", status(pkgd, "alice"), 200)
        new = jwks(jwk("RS256", one.key("b")), jwk("RS256", one.key())).decode()
        rotated = one.user("alice", WORD, one.token("alice", name=one.key("b")))
        one.tell(users=rotated, documents={"/jwks": new})
        began = time.monotonic()
        while status(pkgd, "alice") != 200:
            if time.monotonic() - began > 60:
                raise Missed("the new key is not found")
            time.sleep(1)
        expect("questions for keys", sum(each["path"] == "/jwks" for each in one.seen()), 1)


def _flood(bench: Bench) -> None:
    one = bench.one
    with bench.pkgd(one.section(accept_direct=True)) as pkgd:
        began = time.monotonic()
        for number in range(300):
            text = one.token("alice", name="stranger", header={"kid": f"k{number}"})
            answer = pkgd.bearer(text) if number % 2 else pkgd.login("ci", text)
            expect("status", answer.status, 401)
        minutes = (time.monotonic() - began) / 60
    asked = sum(each["path"] == "/jwks" for each in one.seen())
    if asked > 1 + minutes * 2 + 1:
        raise Missed(f"{asked} questions for keys in {minutes:.1f} minutes")
    expect("questions about passwords", one.logins(), 0)


def _remembered(bench: Bench) -> None:
    bench.one.tell(users=bench.one.user("alice", WORD))
    with bench.pkgd(bench.one.section(cache_ttl="3s")) as pkgd:
        expect("alice", status(pkgd, "alice"), 200)
        for _ in range(5):
            expect("again", status(pkgd, "alice"), 200)
        expect("questions", bench.one.logins(), 1)
        bench.one.kill()
        expect("remembered", status(pkgd, "alice"), 200)
        expect_unknown(pkgd.login("alice", "canary-wrong-1"))
        time.sleep(3.1)
        expect_unknown(pkgd.login("alice", WORD))


def _not_shared(bench: Bench) -> None:
    bench.one.tell(users={**bench.one.user("alice", WORD), **bench.one.user("al", "ice" + WORD)})
    with bench.pkgd(bench.one.section()) as pkgd:
        expect("alice", status(pkgd, "alice"), 200)
        expect("bob with her password", status(pkgd, "bob"), 401)
        expect("alice with another", status(pkgd, "alice", WORD + "x"), 401)
        expect("another cut", status(pkgd, "al", "ice" + WORD), 200)
        expect("alice still", status(pkgd, "alice"), 200)
    expect("questions", bench.one.logins(), 4)


def _forgotten(bench: Bench) -> None:
    bench.one.tell(users=bench.one.user("alice", WORD))
    with bench.pkgd(bench.one.section()) as pkgd:
        expect("alice", status(pkgd, "alice"), 200)
        bench.one.tell()
        expect("alice still", status(pkgd, "alice"), 200)
        pkgd.reload()
        expect("alice no more", status(pkgd, "alice"), 401)


def _odd_passwords(bench: Bench) -> None:
    words = {
        "a": "canary:with:colons:",
        "b": "canary-käse-ñ-日本",
        "c": "canary" + "x" * 4994,
        "ünïcode": "canary with spaces ",
    }
    users: dict[str, Any] = {}
    for user, word in words.items():
        users |= bench.one.user(user, word)
    bench.one.tell(users=users)
    with bench.pkgd(bench.one.section()) as pkgd:
        for user, word in words.items():
            expect(user, status(pkgd, user, word), 200)
            expect(f"{user}, wrong", status(pkgd, user, word + "y"), 401)


def _bare(bench: Bench) -> None:
    one = bench.one
    text = one.token("alice", name="stranger")
    one.tell(users=one.user("alice", WORD, text), documents={})
    bare = {"url": f"{one.base}/login", "ca_file": one.section()["ca_file"]}
    with bench.pkgd(bare) as pkgd:
        expect("alice", status(pkgd, "alice"), 200)
        expect("her token by herself", pkgd.bearer(text).status, 401)
        if "without a signature" not in pkgd.log.read_text():
            raise Missed("the log does not warn of it")


def _bare_with_keys(bench: Bench) -> None:
    two = bench.two
    for documents in (
        {"/.well-known/jwks.json": jwks(jwk("RS256", two.key())).decode()},
        {
            "/.well-known/openid-configuration": json.dumps({"issuer": "x", "jwks_uri": f"{two.base}/k"}),
            "/k": jwks(jwk("RS256", two.key())).decode(),
        },
    ):
        two.tell(users=two.user("alice", WORD), documents=documents)
        with bench.pkgd(f"{two.base}/login") as pkgd:
            expect("alice", status(pkgd, "alice"), 200)
            stranger = two.user("bob", WORD, two.token("bob", name="stranger", header={"kid": two.key()}))
            two.tell(users=stranger, documents=documents)
            expect_unknown(pkgd.login("bob", WORD))


def _require_signature(bench: Bench) -> None:
    one = bench.one
    one.tell(users=one.user("alice", WORD), documents={})
    strict = {"url": f"{one.base}/login", "ca_file": one.section()["ca_file"], "require_signature": True}
    with bench.pkgd(strict) as pkgd:
        expect_unknown(pkgd.login("alice", WORD))


def _access_token(bench: Bench) -> None:
    one, now = bench.one, int(time.time())
    one.tell(users=one.user("alice", WORD, one.token("alice", exp=now + 95, groups=["dev"])))
    rule = {"resources": ["oci:**"], "subjects": ["group:dev"], "actions": ["pull"]}
    with bench.pkgd(one.section(), rules=[rule]) as pkgd:
        answer = pkgd.login("alice", WORD, "/auth/token?service=pkg.example.com&scope=repository:a:pull")
        expect("status", answer.status, 200)
        text = json.loads(answer.body)["token"]
        payload = text.split(".")[1]
        claims = json.loads(b64decode(payload.replace("-", "+").replace("_", "/") + "=" * (-len(payload) % 4)))
        expect("via, user and groups", (claims["via"], claims["sub"], claims["grp"]), ("api:one", "alice", ["dev"]))
        if claims["exp"] > now + 95:
            raise Missed("the token lives longer than the back end's")
        expect("with the token", pkgd.bearer(text).status, 200)


def _narrowed(bench: Bench) -> None:
    one = bench.one
    entry = {"type": "repository", "name": "team/a", "actions": ["pull", "push"]}
    one.tell(users={**one.user("alice", WORD, one.token("alice", access=[entry])), **one.user("bob", WORD)})
    with bench.pkgd(one.section()) as pkgd:
        scopes = "scope=repository:team/a:pull,push&scope=repository:team/b:pull,push"
        for user, wanted in (("alice", (202, False)), ("bob", (202, True))):
            answer = pkgd.login(user, WORD, f"/auth/token?{scopes}")
            expect(f"a token for {user}", answer.status, 200)
            pair = b64encode(f"{user}:{WORD}".encode()).decode()
            for credentials in (f"Basic {pair}", f"Bearer {json.loads(answer.body)['token']}"):
                begun = [
                    pkgd.call("POST", f"/v2/{name}/blobs/uploads/", {"Authorization": credentials}).status
                    for name in ("team/a", "team/b")
                ]
                expect(f"pushes of {user} by {credentials[:6]}", (begun[0], begun[1] == 202), wanted)


def _told(bench: Bench) -> None:
    one = bench.one
    answers = {}
    for name in ("a", "b"):
        entry = {"type": "repository", "name": f"team/{name}", "actions": ["pull", "push"]}
        answers[f"repository:team/{name}:pull,push"] = json.dumps({"token": one.token("alice", access=[entry])})
    user = one.user("alice", WORD, one.token("alice", access=[]))
    user["alice"]["answers"] = answers
    one.tell(users=user)
    with bench.pkgd(one.section(request_body="scopes")) as pkgd:
        expect("a plain login", status(pkgd, "alice"), 200)
        for scope, granted in (("a:push,pull", "a:push,pull"), ("b:pull,push", "b:pull,push"), ("c:pull", None)):
            answer = pkgd.login("alice", WORD, f"/auth/token?scope=repository:team/{scope}")
            wanted = "" if granted is None else f"repository:team/{granted}"
            expect(f"the token for {scope}", json.loads(answer.body)["scope"], wanted)
        asked = one.logins()
        expect("questions", asked, 4)
        pair = {"Authorization": "Basic " + b64encode(f"alice:{WORD}".encode()).decode()}
        for name, wanted in (("a", 202), ("b", 202), ("c", 403)):
            begun = pkgd.call("POST", f"/v2/team/{name}/blobs/uploads/", pair).status
            expect(f"a push with the password to {name}", begun, wanted)
        # What was asked for the tokens is remembered; a push to the third is another wish than a pull of it.
        expect("questions", one.logins(), asked + 1)
        expect("packages", pkgd.call("PUT", "/apt/main/stable/main/x.deb", pair).status, 403)
    bodies = [json.loads(each["body"]) for each in one.seen() if each["path"] == "/login"]
    expect("who asks", {each["service"] for each in bodies}, {"pkg.example.com"})
    wishes = [[], *([f"repository:team/{name}"] for name in ("a:pull,push", "b:pull,push", "c:pull", "c:pull,push"))]
    expect("what was told", [each["scopes"] for each in bodies], [*wishes, ["apt:main/stable:pull,push"]])


def _trusted(bench: Bench) -> None:
    one = bench.one
    access = [
        {"type": "repository", "name": "team/a", "actions": ["pull", "push"]},
        {"type": "admin", "name": "admin", "actions": ["*"]},
    ]
    one.tell(users={**one.user("alice", WORD, one.token("alice", access=access)), **one.user("bob", WORD)})
    rules = [{"resources": ["oci:public/**"], "subjects": ["authenticated"], "actions": ["pull", "push"]}]
    query = "/auth/token?scope=repository:team/a:pull,push&scope=repository:public/a:pull,push"

    def pushes(pkgd: Pkgd, user: str, header: str) -> list[bool]:
        found = [pkgd.call("POST", f"/v2/{name}/blobs/uploads/", {"Authorization": header}) for name in PLACES]
        return [one.status == 202 for one in found]

    PLACES = ("team/a", "team/b", "public/a")
    with bench.pkgd(one.section(trust_access=True), rules=rules) as pkgd:
        headers: dict[str, list[str]] = {}
        for user, wanted in (("alice", [True, False, False]), ("bob", [False, False, True])):
            bearer = json.loads(pkgd.login(user, WORD, query).body)["token"]
            pair = b64encode(f"{user}:{WORD}".encode()).decode()
            headers[user] = [f"Basic {pair}", f"Bearer {bearer}"]
            for header in headers[user]:
                expect(f"pushes of {user} by {header[:6]}", pushes(pkgd, user, header), wanted)
        keys = [pkgd.call("GET", "/api/v1/keys?all=true", {"Authorization": one}).status for one in headers["alice"]]
        expect("the keys of everybody", [code in (401, 403) for code in keys], [True, True])

        config = pkgd.folder / "config.yaml"
        config.write_text(config.read_text().replace('"trust_access": true', '"trust_access": false'))
        pkgd.reload()
        for header in headers["alice"]:
            expect(f"later, by {header[:6]}", pushes(pkgd, "alice", header), [False, False, False])


def _hosted(bench: Bench) -> None:
    one = bench.one
    one.tell(users=one.user("bob", WORD))
    rules = [
        {"resources": ["mirror:**"], "subjects": ["anonymous"], "actions": ["pull"]},
        {"resources": ["oci:team/**"], "subjects": ["user:bob"], "actions": ["pull", "push"]},
    ]
    blob = "sha256:" + sha256(b"x").hexdigest()
    with bench.pkgd(one.section(cache_ttl="0s"), rules=rules) as pkgd:
        pair = {"Authorization": "Basic " + b64encode(f"bob:{WORD}".encode()).decode()}
        pushed = pkgd.call("POST", f"/v2/team/app/blobs/uploads/?digest={blob}", pair, b"x")
        expect("a push", pushed.status, 201)
        one.tell(users=one.user("bob", WORD))
        for name, asked, found in (("team/app", 1, 200), ("team/other", 1, 401)):
            answer = pkgd.login("bob", WORD, f"/auth/token?scope=repository:{name}:pull")
            expect(f"questions after {name}", one.logins(), asked)
            bearer = {"Authorization": f"Bearer {json.loads(answer.body)['token']}"}
            expect(f"{name} with the token", pkgd.call("GET", f"/v2/team/app/blobs/{blob}", bearer).status, found)
        foreign = pkgd.login("hubuser", "canary-of-docker-hub", "/auth/token?scope=repository:library/alpine:pull")
        expect("a token for who comes for another server", foreign.status, 200)
        expect("questions", one.logins(), 1)


def _foreign(bench: Bench) -> None:
    rule = {"resources": ["mirror:docker.io/**"], "subjects": ["anonymous"], "actions": ["pull"]}
    with bench.pkgd(bench.one.section(), rules=[rule]) as pkgd:
        for path in (
            "/v2/library/alpine/manifests/latest?ns=docker.io",
            "/v2/docker.io/library/alpine/manifests/latest",
            "/auth/token?service=pkg.example.com&scope=repository:library/alpine:pull",
        ):
            answer = pkgd.login("hubuser", "canary-of-docker-hub", path)
            expect(path, answer.status, 200 if "token" in path else 404)
        expect("questions", bench.one.logins(), 0)
        expect("with any other wish", status(pkgd, "hubuser", "canary-of-docker-hub"), 401)
    expect("questions", bench.one.logins(), 1)


def _online(bench: Bench) -> None:
    def run(*backends: Any) -> tuple[int, str]:
        path = bench.folder / "online.yaml"
        path.write_text(json.dumps({"auth": {"mode": "basic", "basic_api_backends": list(backends)}}))
        command = [sys.executable, "-m", "pkgd", "check-config", "--online", "-c", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    bench.one.tell()
    code, said = run(bench.one.section(), bench.two.section())
    expect("all is well", code, 0)
    expect("lines", sum(line.startswith("ok ") for line in said.splitlines()), 2)
    gone = bench.two.section(name="gone", url=f"http://127.0.0.1:{bench.gone}/login")
    bench.one.tell(always={"status": 200, "body": "{}"})
    code, said = run(bench.one.section(), gone)
    expect("not all is well", code, 1)
    expect("lines", sum(line.startswith("FAIL ") for line in said.splitlines()), 2)
