"""Scopes and caps: what a token is asked for, and what it is good for."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.model import Access, Action, apt, mirrored, oci, rpm
from pkgd.auth.scopes import (
    AccessCap,
    GrantedAccess,
    NarrowedCap,
    Scope,
    TokenCap,
    canonical_scopes,
    format_scopes,
    may_list,
    parse_scopes,
    scope_of,
)
from pkgd.errors import InvalidRequest


class ParseTests(SynchronousTestCase):
    """The grammar of distribution's `spec/auth/scope.md`."""

    def test_one(self) -> None:
        """A type to the first colon, actions behind the last one, and a name between that may have some."""
        for text, scope in (
            ("repository:a/b:pull,push", Scope("repository", "a/b", ("pull", "push"))),
            ("repository(plugin):a:pull", Scope("repository", "a", ("pull",))),
            ("repository:host:5000/a:pull", Scope("repository", "host:5000/a", ("pull",))),
            ("registry:catalog:*", Scope("registry", "catalog", ("*",))),
            ("apt:internal:pull", Scope("apt", "internal", ("pull",))),
            ("repository:a:", Scope("repository", "a", ())),
        ):
            self.assertEqual(parse_scopes([text]), [scope])

    def test_several(self) -> None:
        """They are repeated, or separated by spaces; those of one thing become one."""
        found = parse_scopes(["repository:a:pull repository:b:pull", "repository:a:push,pull", " "])

        self.assertEqual(format_scopes(found), "repository:a:pull,push repository:b:pull")

    def test_never_granted(self) -> None:
        """What could never be granted is left out, and no error: names are literal, and `*` is none."""
        for text in ("", "repository", "repository:a", ":a:pull", "repository::pull", "a b:c", "repository:*:pull"):
            self.assertEqual([one for one in parse_scopes([text]) if one.actions], [], text)
        self.assertEqual(parse_scopes(["repository:a:pull,PULL,x-y,"])[0].actions, ("pull",))

    def test_too_many(self) -> None:
        """More than 64, or more than 8 KiB, are refused."""
        self.assertEqual(len(parse_scopes([f"repository:r{n}:pull" for n in range(64)])), 64)
        self.assertRaises(InvalidRequest, parse_scopes, ["a:b:c"] * 65)
        self.assertRaises(InvalidRequest, parse_scopes, ["repository:" + "a" * 9000 + ":pull"])


class CapTests(SynchronousTestCase):
    """What a token covers."""

    def cap(self, *scopes: str) -> TokenCap:
        """The cap of a token with these scopes."""
        return TokenCap.of(parse_scopes(scopes))

    def test_actions(self) -> None:
        """`push` is for tags that are there, too; `*` for everything; nothing stands for anything else."""
        cases = {
            "pull": {Action.PULL},
            "push": {Action.PUSH, Action.OVERWRITE},
            "delete": {Action.DELETE},
            "*": {Action.PULL, Action.PUSH, Action.OVERWRITE, Action.DELETE},
            "": set(),
        }
        for word, actions in cases.items():
            cap = self.cap(f"repository:a:{word}")
            self.assertEqual({one for one in Action if cap.covers(oci("a", one))}, actions)

    def test_names(self) -> None:
        """A name is exactly that: no part of it, nothing below it, no other kind."""
        cap = self.cap("repository:team/app:*")

        for name in ("team", "team/ap", "team/app/x", "TEAM/app", "team/apps"):
            self.assertFalse(cap.covers(oci(name, Action.PULL)), name)
        for access in (apt("team/app", Action.PULL), rpm("team/app", Action.PULL)):
            self.assertFalse(cap.covers(access))

    def test_suites(self) -> None:
        """A token for an apt repository is for its suites; one for a suite is for that alone."""
        whole, suite = self.cap("apt:main:push"), self.cap("apt:main/testing:push", "repository:main/stable:push")

        for cap, found in ((whole, [True, True, True]), (suite, [False, False, True])):
            accesses = [apt("main", Action.PUSH, one) for one in (None, "stable", "testing")]
            self.assertEqual([cap.covers(one) for one in accesses], found)
        self.assertEqual(str(scope_of(apt("main", Action.DELETE, "testing"))), "apt:main/testing:delete")

    def test_mirrored(self) -> None:
        """Of an upstream's repository, the token has the name that the client calls it by."""
        cap = self.cap("repository:library/alpine:pull")

        self.assertTrue(cap.covers(mirrored("docker.io/library/alpine", False, "library/alpine")))
        self.assertFalse(cap.covers(mirrored("docker.io/library/alpine", False, "docker.io/library/alpine")))
        self.assertTrue(self.cap("repository:quay.io/a:pull").covers(mirrored("quay.io/a", True)))

    def test_registry(self) -> None:
        """Any token enters; the catalog takes a scope of its own."""
        self.assertTrue(self.cap().covers(Access("registry", Action.ENTER)))
        self.assertFalse(self.cap("repository:catalog:*").covers(Access("registry", Action.LIST)))
        self.assertTrue(self.cap("registry:catalog:*").covers(Access("registry", Action.LIST)))

    def test_nothing_else(self) -> None:
        """What no scope names, no token covers: an account is not to be administered with one."""
        cap = self.cap("account:account:*", "admin:admin:*", "repository:account:*", "registry:catalog:*")

        for resource in ("account", "admin", "registry:catalog"):
            for action in Action:
                self.assertFalse(cap.covers(Access(resource, action)), resource)
        self.assertIsNone(scope_of(Access("account", Action.ENTER)))

    def test_lists(self) -> None:
        """What stands in a list is up to the policy for a token, and to the credentials where these are narrow."""
        token, narrow = self.cap("registry:catalog:*"), self.cap("repository:a:pull")

        self.assertTrue(may_list(token, oci("b", Action.PULL)))
        self.assertTrue(may_list(None, oci("b", Action.PULL)))
        both = NarrowedCap(token, narrow)
        self.assertEqual([may_list(both, oci(name, Action.PULL)) for name in "ab"], [True, False])
        self.assertFalse(both.covers(oci("a", Action.PULL)))

    def test_canonical(self) -> None:
        """The same scopes are the same texts, in whatever order, and however often, they stand."""
        texts = ["repository:b:push,pull,push", "apt:a:pull"], ["apt:a:pull", "apt:a:pull", "repository:b:pull,push"]
        first, second = (canonical_scopes(parse_scopes(one)) for one in texts)

        self.assertEqual(first, ("apt:a:pull", "repository:b:pull,push"))
        self.assertEqual(first, second)
        both = [Scope("apt", "a", ("pull",)), Scope("apt", "a", ("push", "pull"))]
        self.assertEqual(canonical_scopes(both), ("apt:a:pull,push",))


class IssuerCapTests(SynchronousTestCase):
    """What the `access` claim of an issuer's token narrows to, and what it allows by itself."""

    def tokens(self, *scopes: str) -> TokenCap:
        """What is listed."""
        return TokenCap.of(parse_scopes(scopes))

    def test_narrows(self) -> None:
        """A mirrored repository is meant by what the client calls it, or by its whole name."""
        access = mirrored("docker.io/library/alpine", False, "library/alpine")
        for name, covered in (("library/alpine", True), ("docker.io/library/alpine", True), ("alpine", False)):
            self.assertEqual(AccessCap(self.tokens(f"repository:{name}:pull")).covers(access), covered, name)

    def test_grants(self) -> None:
        """It allows what is listed; a mirrored repository by its whole name only: a short one would be any host's."""
        granted = GrantedAccess(self.tokens("repository:library/alpine:*", "repository:quay.io/a/b:pull"))

        self.assertTrue(granted.covers(oci("library/alpine", Action.DELETE)))
        for host in ("docker.io", "internal.example"):
            self.assertFalse(granted.covers(mirrored(f"{host}/library/alpine", True, "library/alpine")), host)
        self.assertTrue(granted.covers(mirrored("quay.io/a/b", True, "a/b")))
        self.assertTrue(granted.covers(mirrored("quay.io/a/b", True)))
        self.assertFalse(granted.covers(mirrored("quay.io/a/b/c", False, "a/b/c")))

    def test_grants_nothing_of_the_server(self) -> None:
        """Never what is the server's own, however it is written."""
        granted = GrantedAccess(self.tokens("registry:catalog:*", "admin:admin:*", "repository:admin:*", "x:account:*"))

        for resource in ("admin", "account", "registry"):
            for action in Action:
                self.assertFalse(granted.covers(Access(resource, action)), resource)

    def test_lists(self) -> None:
        """Where the catalog is listed, what stands in it is up to the policy, for a token bought with it, too."""
        cap = AccessCap(self.tokens("registry:catalog:*"))

        self.assertTrue(cap.covers(Access("registry", Action.LIST)))
        self.assertTrue(may_list(cap, oci("a", Action.PULL)))
        self.assertTrue(may_list(NarrowedCap(self.tokens("registry:catalog:*"), cap), oci("a", Action.PULL)))
        self.assertFalse(cap.covers(oci("a", Action.PULL)))
