"""What must be so, with npm's `oidc-provider`."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

from tests.live.tools import wait_for
from tests.logins.bench import Case, Missed, expect
from tests.oidc.bench import Bench, Browser, NodeProvider, Pkgd
from tests.oidc.engines import try_engines

DEVICE_LINES = 2


def cases(bench: Bench) -> list[Case]:
    """All of them."""
    return cases_of(_Suite(bench))


def cases_of(suite: object) -> list[Case]:
    """Its methods that are cases."""
    names = [name for name in dir(suite) if name.startswith("case_")]
    return [Case(str(getattr(suite, name).__doc__).rstrip("."), getattr(suite, name)) for name in names]


def log_in(pkgd: Pkgd, provider: Any, browser: Browser, user: str = "alice") -> None:
    """With a browser that nobody knows, from the page for keys, by the provider, and back."""
    browser.do("fresh")
    browser.do("go", url=f"{pkgd.url}/ui/keys")
    browser.do("wait", at="input[name=login]")
    provider.log_in(browser, user)
    browser.do("arrive", url=f"{pkgd.url}/ui/keys")
    browser.do("wait", at="body[data-ready]")


def make_key(browser: Browser, label: str, resources: str = "", days: int = 30) -> str:
    """A key, by the page's form."""
    browser.do("fill", at="#label", text=label)
    browser.do("fill", at="#days", text=str(days))
    browser.do("fill", at="#resources", text=resources)
    old = browser.do("evaluate", script="document.getElementById('key').textContent")
    browser.do("click", at="#make")
    script = "document.getElementById('key').textContent"
    wait_for("a new key", lambda: browser.do("evaluate", script=script) not in ("", old))
    key: str = browser.do("text", at="#key")
    return key


class DeviceLogin:
    """`pkgd login`, waiting for somebody to open the page that it names."""

    def __init__(self, pkgd: Pkgd) -> None:
        self.pkgd = pkgd
        authority = str(pkgd.certificates.authority)
        self.process = pkgd.command("pkgd", "login", pkgd.url, "--ca-file", authority)
        assert self.process.stdout is not None
        lines = [self.process.stdout.readline() for _ in range(DEVICE_LINES)]
        found = re.search(r"https?://\S+", lines[0])
        if found is None:
            raise Missed(f"pkgd login says: {lines}")
        self.place = found[0]

    def end(self) -> tuple[int, str]:
        """How it ends, and what it says then."""
        output, _ = self.process.communicate(timeout=60)
        return self.process.returncode, output


def helper(pkgd: Pkgd, action: str, text: str) -> subprocess.CompletedProcess[str]:
    """Ask docker's helper."""
    process = pkgd.command("pkgd.login.helper", action, text=text)
    output, _ = process.communicate(timeout=30)
    return subprocess.CompletedProcess([], process.returncode, output)


def knock(port: int, path: str) -> int:
    """What a command is answered at its port by."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


class _Suite:
    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.browser = bench.browser

    @contextmanager
    def started(self) -> Iterator[NodeProvider]:
        """A provider that runs."""
        provider = self.bench.provider()
        provider.start()
        try:
            yield provider
        finally:
            provider.stop()

    # -- the browser --

    def case_browser(self) -> None:
        """A browser logs in, makes a key that opens what its owner may, and revokes it."""
        with self.started() as provider, self.bench.pkgd(provider.section()) as pkgd:
            log_in(pkgd, provider, self.browser)
            expect("the page's user", self.browser.do("text", at="#user"), "alice")
            key = make_key(self.browser, "laptop <script>alert(1)</script>")
            expect("with the key", pkgd.with_password(key).status, 200)
            rows = self.browser.do("texts", at="#keys td:first-child")
            expect("the list", rows, ["laptop <script>alert(1)</script>"])
            self.browser.do("click", at="#keys button")
            self.browser.do("wait", at="#keys tr", state="detached")
            expect("with the revoked key", pkgd.with_password(key).status, 401)
            expect("what the browser complains of", self.browser.do("console"), [])

    def case_narrowed(self) -> None:
        """A key that is made for some repositories opens no others."""
        with self.started() as provider, self.bench.pkgd(provider.section()) as pkgd:
            log_in(pkgd, provider, self.browser)
            key = make_key(self.browser, "ci", "apt:main")
            expect("apt", pkgd.with_password(key, path="/apt/main/dists/stable/InRelease").status, 200)
            expect("rpm", pkgd.with_password(key, path="/rpm/main/repodata/repomd.xml").status, 403)

    def case_cookie(self) -> None:
        """The cookie is for this host alone, over TLS, not for scripts; and after a logout it is worth nothing."""
        with self.started() as provider, self.bench.pkgd(provider.section()) as pkgd:
            log_in(pkgd, provider, self.browser)
            (cookie,) = [one for one in self.browser.do("cookies") if one["name"] == "__Host-pkgd"]
            traits = {name: cookie[name] for name in ("httpOnly", "secure", "sameSite", "path")}
            wanted = {"httpOnly": True, "secure": True, "sameSite": "Lax", "path": "/"}
            expect("the cookie", traits, wanted)
            pkgd.canaries.append(cookie["value"])
            headers = {"Cookie": f"__Host-pkgd={cookie['value']}", "X-Pkgd": "1"}
            expect("with the cookie", pkgd.call("GET", "/api/v1/keys", headers).status, 200)
            expect("no header", pkgd.call("GET", "/api/v1/keys", {"Cookie": headers["Cookie"]}).status, 403)
            expect("no Origin", pkgd.call("POST", "/api/v1/keys", headers, "{}").status, 403)
            foreign = {**headers, "Origin": "https://evil.example"}
            expect("another Origin", pkgd.call("POST", "/api/v1/keys", foreign, "{}").status, 403)
            own = {**headers, "Origin": pkgd.url}
            made = pkgd.call("POST", "/api/v1/keys", own, "{}")
            expect("our Origin", made.status, 201)
            pkgd.canaries.append(made.json["key"])
            expect("elsewhere", pkgd.call("GET", "/v2/", headers).status, 401)
            self.browser.do("click", at="#logout")
            self.browser.do("wait", at="body:not([data-ready])")
            expect("after the logout", pkgd.call("GET", "/api/v1/keys", headers).status, 401)

    def case_callback(self) -> None:
        """A code that comes by another browser, with another state, or twice, logs nobody in."""
        with self.started() as provider, self.bench.pkgd(provider.section()) as pkgd:
            begun = pkgd.call("GET", "/auth/login?redirect=/ui/keys")
            expect(
                "to the provider",
                (begun.status, begun.headers["Location"][: len(provider.issuer)]),
                (302, provider.issuer),
            )
            found = re.search(r"[?&]state=([A-Za-z0-9]+)", begun.headers["Location"])
            assert found is not None
            cookie = begun.headers["Set-Cookie"].partition(";")[0]
            for path, headers in (
                (f"/auth/callback?code=x&state={found[1]}", {}),
                (f"/auth/callback?code=x&state={found[1]}", {"Cookie": cookie}),  # taken by the first
                ("/auth/callback?code=x&state=unknown", {"Cookie": cookie}),
                ("/auth/callback?error=access_denied&state=unknown", {}),
                ("/auth/callback", {}),
            ):
                answer = pkgd.call("GET", path, headers)
                expect(path, (answer.status, "__Host-pkgd=" in str(answer.headers)), (401, False))
            for target in (
                "https://evil.example/",
                "//evil.example",
                "/%5Cevil.example",
                "/\\evil",
                "ui",
                "/a%0D%0Ab",
            ):
                expect(target, pkgd.call("GET", f"/auth/login?redirect={target}").status in (400, 404), True)

    def case_page(self) -> None:
        """The page may run nothing but its own script, and be framed by nobody."""
        with self.started() as provider, self.bench.pkgd(provider.section()) as pkgd:
            policy = pkgd.call("GET", "/ui/keys").headers["Content-Security-Policy"]
            for part in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
                expect(part, part in policy, True)
            log_in(pkgd, provider, self.browser)
            script = "(() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
            self.browser.do("evaluate", script=script + " document.body.append(s); })()")
            expect("an inline script", self.browser.do("evaluate", script="window.ran === undefined"), True)

    # -- who is let in --

    def case_groups(self) -> None:
        """Who is in none of the allowed groups is not let in, and once out of them his keys open nothing."""
        with self.started() as provider, self.bench.pkgd(provider.section(allowed_groups=["dev"])) as pkgd:
            log_in(pkgd, provider, self.browser)
            key = make_key(self.browser, "laptop")
            expect("with the key", pkgd.with_password(key).status, 200)
            provider.use_users({"alice": {"groups": ["ops"]}})
            self.browser.do("fresh")
            self.browser.do("go", url=f"{pkgd.url}/auth/login")
            provider.log_in(self.browser, "alice")
            self.browser.do("arrive", url=f"{pkgd.url}/auth/callback*")
            expect("what alice sees", "may use this server" in self.browser.do("content"), True)
            expect("with the key, later", pkgd.with_password(key).status, 401)
            provider.use_users({"alice": {"groups": ["dev"]}})
            log_in(pkgd, provider, self.browser)
            expect("with the key, back again", pkgd.with_password(key).status, 200)

    def case_rules(self) -> None:
        """Rules see the provider's groups, in keys as well."""
        rules = [{"resources": ["rpm:main"], "subjects": ["group:ops"], "actions": ["pull"]}]
        with (
            self.started() as provider,
            self.bench.pkgd(provider.section(), authorization={"rules": rules}) as pkgd,
        ):
            statuses = []
            for user in ("alice", "bob"):
                log_in(pkgd, provider, self.browser, user)
                key = make_key(self.browser, "x")
                statuses.append(pkgd.with_password(key, path="/rpm/main/repodata/repomd.xml").status)
            expect("alice and bob", statuses, [200, 403])

    def case_local_name(self) -> None:
        """Who is called like the user of the broken glass is not let in by the provider."""
        with self.started() as provider:
            provider.use_users({"admin": {"groups": []}})
            with self.bench.pkgd(provider.section()) as pkgd:
                self.browser.do("fresh")
                self.browser.do("go", url=f"{pkgd.url}/auth/login")
                provider.log_in(self.browser, "admin")
                self.browser.do("arrive", url=f"{pkgd.url}/auth/callback*")
                expect("a session", [one for one in self.browser.do("cookies") if one["name"] == "__Host-pkgd"], [])

    def case_claims_in_token(self) -> None:
        """A provider that puts all claims into the ID token is understood as well as one with a userinfo endpoint."""
        provider = self.bench.provider()
        provider.conform = False
        provider.start()
        try:
            with self.bench.pkgd(provider.section()) as pkgd:
                log_in(pkgd, provider, self.browser)
                expect("the page's user", self.browser.do("text", at="#user"), "alice")
        finally:
            provider.stop()

    def case_post(self) -> None:
        """So is one that wants the secret of this client in the form, whatever it says of clients in general."""
        provider = self.bench.provider()
        provider.more = {"token_endpoint_auth_method": "client_secret_post"}
        provider.start()
        try:
            with self.bench.pkgd(provider.section()) as pkgd:
                log_in(pkgd, provider, self.browser)
                expect("the page's user", self.browser.do("text", at="#user"), "alice")
        finally:
            provider.stop()

    # -- passwords --

    def case_password(self) -> None:
        """A password is refused with words that lead on; the glass can be broken."""
        with self.started() as provider, self.bench.pkgd(provider.section()) as pkgd:
            answer = pkgd.with_password("canary-of-alice", "alice")
            expect("a password", answer.status, 401)
            expect("the words", f"{pkgd.url}/ui/keys" in answer.body.decode(), True)
            token = pkgd.call("GET", "/auth/token", {"Authorization": "Basic YWxpY2U6eA=="})
            expect("the words of the token service", f"{pkgd.url}/ui/keys" in token.body.decode(), True)
            expect("the glass", pkgd.with_password("canary-glass-1", "admin").status, 200)

    # -- device codes, and docker's helper --

    def case_device(self) -> None:
        """pkgd login gets a refresh token by a device code, docker's helper hands it out, and pkgd logout ends it."""
        with self.started() as provider, self.bench.pkgd(provider.section()) as pkgd:
            waiting = DeviceLogin(pkgd)
            self.browser.do("fresh")
            self.browser.do("go", url=waiting.place)
            self.browser.do("click", at="button[type=submit]")
            provider.log_in(self.browser, "alice")
            status, output = waiting.end()
            expect("pkgd login", (status, "alice has logged in" in output), (0, True))
            file = pkgd.folder / ".config/pkgd/credentials.json"
            expect("the file's mode", file.stat().st_mode & 0o777, 0o600)
            server = pkgd.url.partition("://")[2]
            given = json.loads(helper(pkgd, "get", server).stdout)
            expect("the helper's user", given["Username"], "<token>")
            pkgd.canaries.append(given["Secret"])
            form = f"grant_type=refresh_token&service={server}&client_id=docker&refresh_token={given['Secret']}"
            bought = pkgd.call("POST", "/auth/token", {}, f"{form}&scope=repository:a:pull,push")
            expect("the token", (bought.status, bought.json["scope"]), (200, "repository:a:pull,push"))
            bearer = {"Authorization": f"Bearer {bought.json['access_token']}"}
            expect("with the token", pkgd.call("GET", "/v2/", bearer).status, 200)
            authority = str(pkgd.certificates.authority)
            left = pkgd.command("pkgd", "logout", pkgd.url, "--ca-file", authority)
            output, _ = left.communicate(timeout=30)
            expect("pkgd logout", (left.returncode, output), (0, ""))
            expect("the helper, then", helper(pkgd, "get", server).returncode, 1)
            expect("the token service, then", pkgd.call("POST", "/auth/token", {}, form).status, 401)

    def case_engines(self) -> None:
        """docker and podman push and pull by docker's helper after pkgd login, and are refused after pkgd logout."""
        with self.started() as provider, self.bench.pkgd(provider.section()) as pkgd:
            waiting = DeviceLogin(pkgd)
            self.browser.do("fresh")
            self.browser.do("go", url=waiting.place)
            self.browser.do("click", at="button[type=submit]")
            provider.log_in(self.browser, "alice")
            expect("pkgd login", waiting.end()[0], 0)
            port = int(pkgd.url.rpartition(":")[2])
            server = pkgd.url.partition("://")[2]
            pkgd.canaries.append(json.loads(helper(pkgd, "get", server).stdout)["Secret"])
            found = try_engines(pkgd.folder, port, pkgd.certificates, "admin:canary-glass-1")
            if found.returncode:
                raise Missed(found.stdout[-2500:])

    def case_device_denied(self) -> None:
        """Who says no on the page of the device code ends pkgd login."""
        with self.started() as provider, self.bench.pkgd(provider.section()) as pkgd:
            waiting = DeviceLogin(pkgd)
            self.browser.do("fresh")
            self.browser.do("go", url=waiting.place)
            self.browser.do("click", at="button[value=yes], a[href*=abort], button[name=abort]")
            status, output = waiting.end()
            expect("pkgd login", (status, "refused" in output), (1, True))

    def case_device_groups(self) -> None:
        """Who is not let in gets no refresh token either."""
        with self.started() as provider, self.bench.pkgd(provider.section(allowed_groups=["dev"])) as pkgd:
            waiting = DeviceLogin(pkgd)
            self.browser.do("fresh")
            self.browser.do("go", url=waiting.place)
            self.browser.do("click", at="button[type=submit]")
            provider.log_in(self.browser, "bob")
            status, output = waiting.end()
            expect("pkgd login", (status, "may use this server" in output), (1, True))

    def case_loopback(self) -> None:
        """Where the provider gives no device codes, pkgd login waits for a browser of the same machine."""
        provider = self.bench.provider()
        provider.more = {"grant_types": ["authorization_code"]}
        provider.start()
        try:
            with self.bench.pkgd(provider.section()) as pkgd:
                waiting = DeviceLogin(pkgd)
                port = int(re.findall(r"port=([0-9]+)", waiting.place)[0])
                for path in ("/", "/?code=x&state=y", "/favicon.ico"):
                    expect(f"a stranger at the port, {path}", knock(port, path), 404)
                self.browser.do("fresh")
                self.browser.do("go", url=waiting.place)
                self.browser.do("wait", at="input[name=login]")
                provider.log_in(self.browser, "alice")
                self.browser.do("wait", at="#go")
                place = self.browser.do("evaluate", script="document.getElementById('go').href")
                expect("where the link leads", place.startswith(f"http://127.0.0.1:{port}/?code="), True)
                pkgd.canaries.append(re.findall(r"code=([A-Za-z0-9]+)", place)[0])
                expect("pkgd login still waits", waiting.process.poll(), None)
                expect("a session", [one for one in self.browser.do("cookies") if one["name"] == "__Host-pkgd"], [])
                self.browser.do("click", at="#go")
                status, output = waiting.end()
                expect("pkgd login", (status, "alice has logged in" in output), (0, True))
                server = pkgd.url.partition("://")[2]
                secret = json.loads(helper(pkgd, "get", server).stdout)["Secret"]
                pkgd.canaries.append(secret)
                form = urlencode({"grant_type": "refresh_token", "service": server, "refresh_token": secret})
                expect("a token for it", pkgd.call("POST", "/auth/token", {}, form).status, 200)

                log_in(pkgd, provider, self.browser)
                expect("who is logged in", self.browser.do("texts", at="#logins td:first-child"), ["pkgd login"])
                self.browser.do("click", at="#logins button")
                self.browser.do("wait", at="#logins tr", state="detached")
                expect("a token for it, then", pkgd.call("POST", "/auth/token", {}, form).status, 401)
        finally:
            provider.stop()

    # -- the provider's life --

    def case_down_at_start(self) -> None:
        """A pkgd starts without its provider, is ready, lets keys in, and learns by itself that it is back."""
        provider = self.bench.provider()
        with self.bench.pkgd(provider.section()) as pkgd:
            expect("/health", pkgd.health(), "degraded")
            key = self.robot(pkgd)
            expect("a robot's key", pkgd.with_password(key).status, 200)
            expect("a login", pkgd.call("GET", "/auth/login").status, 503)
            provider.start()
            try:
                wait_for("the provider found", lambda: pkgd.health() == "ok", 30)
                log_in(pkgd, provider, self.browser)
            finally:
                provider.stop()

    def case_down_later(self) -> None:
        """When the provider goes away, sessions and keys go on; a login is told to come back."""
        with self.started() as provider, self.bench.pkgd(provider.section()) as pkgd:
            log_in(pkgd, provider, self.browser)
            key = make_key(self.browser, "laptop")
            begun = pkgd.call("GET", "/auth/login")
            provider.stop()
            expect("with the key", pkgd.with_password(key).status, 200)
            make_key(self.browser, "another")
            found = re.search(r"[?&]state=([A-Za-z0-9]+)", begun.headers["Location"])
            assert found is not None
            cookie = {"Cookie": begun.headers["Set-Cookie"].partition(";")[0]}
            answer = pkgd.call("GET", f"/auth/callback?code=x&state={found[1]}", cookie)
            expect("a code that cannot be redeemed", (answer.status, "Retry-After" in answer.headers), (503, True))
            provider.start()
            log_in(pkgd, provider, self.browser, "bob")

    def case_expired(self) -> None:
        """A key that is over opens nothing, from the second on."""
        with self.started() as provider, self.bench.pkgd(provider.section()) as pkgd:
            key = self.robot(pkgd, "--expires", "5s")
            expect("with the key", pkgd.with_password(key).status, 200)
            time.sleep(5.5)
            expect("with the key, later", pkgd.with_password(key).status, 401)

    def robot(self, pkgd: Pkgd, *more: str) -> str:
        """The key of a robot, made by the administrator over the API."""
        credentials = pkgd.folder / "credentials"
        credentials.write_text("admin:canary-glass-1\n")
        options = ("--url", pkgd.url, "--credentials", str(credentials), "--ca-file", str(pkgd.certificates.authority))
        process = pkgd.command("pkgd", "key", "create", *options, "--robot", "ci", *more)
        output, _ = process.communicate(timeout=30)
        if process.returncode:
            raise Missed(f"pkgd key create: {output}")
        return output.strip()
