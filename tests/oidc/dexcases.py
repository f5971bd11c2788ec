"""What must be so with Dex."""

from __future__ import annotations

import time

from tests.live.tools import wait_for
from tests.logins.bench import Case, expect
from tests.oidc.bench import Bench, Pkgd
from tests.oidc.cases import DeviceLogin, cases_of, log_in, make_key
from tests.oidc.dex import SECRET, Dex

# A key of the provider's that is not known is asked for at most so often, in seconds, and a little.
_PAUSE = 31


def cases(bench: Bench) -> list[Case]:
    """All of them."""
    return cases_of(_Suite(bench))


class _Suite:
    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.browser = bench.browser

    def case_browser(self) -> None:
        """Dex's users log in by its forms, if its groups let them in, by a secret that has to be quoted."""
        dex = Dex(self.bench, "/dex/")
        with dex.running(), self.bench.pkgd(dex.section(allowed_groups=["dev"])) as pkgd:
            pkgd.canaries.append(SECRET)
            log_in(pkgd, dex, self.browser)
            expect("the page's user", self.browser.do("text", at="#user"), "alice")
            expect("with a key", pkgd.with_password(make_key(self.browser, "laptop")).status, 200)
            self.browser.do("fresh")
            self.browser.do("go", url=f"{pkgd.url}/auth/login")
            dex.log_in(self.browser, "bob")
            self.browser.do("arrive", url=f"{pkgd.url}/auth/callback*")
            expect("what bob sees", "may use this server" in self.browser.do("content"), True)

    def case_life(self) -> None:
        """A Dex that comes late, gives device codes, changes its keys and goes away again is no more than that."""
        dex = Dex(self.bench, "/dex")
        with self.bench.pkgd(dex.public_section()) as pkgd:
            expect("/health, before it is there", pkgd.health(), "degraded")
            expect("a login, before it is there", pkgd.call("GET", "/auth/login").status, 503)
            with dex.running():
                wait_for("Dex found", lambda: pkgd.health() == "ok", 30)
                log_in(pkgd, dex, self.browser)
                asked, signer = time.monotonic(), dex.signs_with()
                key = make_key(self.browser, "laptop")
                self.device_codes(pkgd, dex)
                time.sleep(max(0.0, _PAUSE - (time.monotonic() - asked)))
                expect("whether Dex signs with another key by now", dex.signs_with() != signer, True)
                log_in(pkgd, dex, self.browser, "bob")
                expect("who logs in then", self.browser.do("text", at="#user"), "bob")
            expect("with the key, when Dex is gone", pkgd.with_password(key).status, 200)
            expect("a session, when Dex is gone", self.browser.do("text", at="#user"), "bob")
            make_key(self.browser, "another")

    def device_codes(self, pkgd: Pkgd, dex: Dex) -> None:
        """One is used, and one is not."""
        used, left = DeviceLogin(pkgd), DeviceLogin(pkgd)
        dex.open_device(self.browser, used.place)
        dex.log_in(self.browser, "alice")
        status, output = used.end()
        expect("pkgd login", (status, "alice has logged in" in output), (0, True))
        status, output = left.end()
        expect("pkgd login that nobody opens", (status, "nobody has logged in in time" in output), (1, True))
