"""Tokens that clients bring from elsewhere."""

from __future__ import annotations

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.claims import Requirements, Template
from pkgd.auth.jwk import parse_jwks
from pkgd.auth.jwks import StaticKeys
from pkgd.auth.jwtverify import TokenRules, Verifier
from pkgd.auth.model import Action, Identity, oci
from pkgd.auth.sources import TokenSource, Verdict
from pkgd.auth.workload import ByClaims, ByTemplates, Issuer, Workloads
from tests.auth.issuing import ISSUER, NOW, hand_made, jwk, jwks, token

GITLAB = "https://gitlab.example.com"
JOB = {"iss": GITLAB, "sub": "project_path:team/app", "project_path": "team/app", "ref_protected": "true"}


class WorkloadTests(SynchronousTestCase):
    """GitLab's jobs by templates, and a back end's users by their claims."""

    def setUp(self) -> None:
        """Each issuer has a key of its own, both of the same name."""
        self.locals: set[str] = set()
        self.source = Workloads(
            [
                Issuer(
                    GITLAB,
                    self.verifier(GITLAB, "gitlab"),
                    ByTemplates(
                        Template("gitlab:${claims.project_path}"),
                        [Template("ci"), Template("env:${claims.environment}")],
                        Requirements({"ref_protected": ["true"]}),
                    ),
                ),
                Issuer(ISSUER, self.verifier(ISSUER, "corp"), ByClaims(None, "groups")),
            ],
            lambda: NOW,
            lambda name: name in self.locals,
        )

    def verifier(self, issuer: str, name: str) -> Verifier:
        """Whose tokens are for us."""
        keys = StaticKeys(parse_jwks(jwks(jwk("EdDSA", name, kid="k"))))
        return Verifier(keys, TokenRules(issuer, ("pkg.example.com",)))

    def check(self, text: str) -> Identity | Verdict:
        """What it says."""
        return self.successResultOf(Deferred.fromCoroutine(self.source.check_token(text)))

    def job(self, name: str = "gitlab", **changes: object) -> str:
        """A job's token."""
        return token("EdDSA", name, {"kid": "k"}, **{**JOB, **changes})

    def accepted(self, text: str) -> Identity:
        """Whom it stands for."""
        found = self.check(text)
        assert isinstance(found, Identity), found
        return found

    def test_recognised(self) -> None:
        """By its form alone."""
        source: TokenSource = self.source
        self.assertTrue(source.recognises(self.job()))
        for text in ("", "pkgd_abc", "secret", "eyJ.a", "eyJ" + "a" * 20_000 + ".a.b"):
            self.assertFalse(source.recognises(text))

    def test_templates(self) -> None:
        """Name and groups out of claims, issuer and claims for the policy."""
        found = self.accepted(self.job(environment="prod"))

        principal = found.principal
        self.assertEqual(principal.name, "gitlab:team/app")
        self.assertEqual(principal.groups, frozenset(["ci", "env:prod"]))
        self.assertEqual((principal.issuer, principal.claims["project_path"]), (GITLAB, "team/app"))
        self.assertEqual((found.via, found.expires), (f"workload:{GITLAB}", NOW + 600))
        self.assertTrue(self.source.is_current(found))
        self.assertEqual(self.accepted(self.job()).principal.groups, frozenset(["ci"]))

    def test_claims(self) -> None:
        """A back end's issuer: its user's own name."""
        found = self.accepted(token("EdDSA", "corp", {"kid": "k"}, groups="dev ops"))

        self.assertEqual((found.principal.name, found.principal.groups), ("alice", frozenset(["dev", "ops"])))

    def test_refused(self) -> None:
        """Whatever is not as it must be; the issuer is known, so nobody else is asked."""
        for text in (
            self.job("corp"),
            self.job(aud="other"),
            self.job(ref_protected="false"),
            self.job(ref_protected=None),
            self.job(project_path=None),
            self.job(project_path="a\nb"),
            self.job(project_path=["team/app", "x"]),
            self.job(exp=int(NOW) - 1),
            self.job(exp=int(NOW) + 200_000),
            self.job(access="all"),
            self.job(iss=ISSUER),
            token("EdDSA", "corp", {"kid": "k"}, sub=None),
        ):
            self.assertIs(self.check(text), Verdict.REJECTED)

    def test_unknown(self) -> None:
        """An issuer that is none of ours, in any spelling, or no token at all."""
        for issuer in (None, GITLAB + "/", GITLAB.upper(), "https://evil.example"):
            self.assertIs(self.check(self.job(iss=issuer)), Verdict.UNKNOWN)
        for text in ("", "eyJ.a.b", hand_made(b"{}", b"{}"), hand_made(b'{"alg":"EdDSA"}', b'{"iss":["x"]}')):
            self.assertIs(self.check(text), Verdict.UNKNOWN)

    def test_local_names(self) -> None:
        """Nobody speaks for a user of this server's own."""
        self.locals.add("alice")
        self.assertIs(self.check(token("EdDSA", "corp", {"kid": "k"})), Verdict.REJECTED)

    def test_access(self) -> None:
        """A claim `access` narrows."""
        entry = {"type": "repository", "name": "a", "actions": ["pull"]}
        found = self.accepted(token("EdDSA", "corp", {"kid": "k"}, access=[entry]))

        self.assertFalse(found.covers(oci("a", Action.PUSH)))
        cap = self.source.narrows(evolve(found, cap=None))
        assert cap is not None
        self.assertTrue(cap.covers(oci("a", Action.PULL)))

    def test_trusted(self) -> None:
        """An issuer that is trusted with it allows what its tokens list; another's tokens list in vain."""
        access = [{"type": "repository", "name": "a", "actions": ["pull"]}]
        text = token("EdDSA", "corp", {"kid": "k"}, access=access)
        self.assertIsNone(self.accepted(text).principal.granted)

        trusted = Issuer(ISSUER, self.verifier(ISSUER, "corp"), ByClaims(None, "groups"), trust_access=True)
        gitlab = Issuer(GITLAB, self.verifier(GITLAB, "gitlab"), ByClaims(None, "groups"))
        self.source = Workloads([trusted, gitlab], lambda: NOW)
        found = self.accepted(text)

        for granted in (found.principal.granted, self.source.widens(found)):
            assert granted is not None
            self.assertTrue(granted.covers(oci("a", Action.PULL)))
            self.assertFalse(granted.covers(oci("a", Action.PUSH)))
        job = self.accepted(self.job(access=access))
        self.assertEqual((job.principal.granted, self.source.widens(job)), (None, None))
        self.assertIsNone(self.source.widens(evolve(found, via="workload:https://gone.example")))

    def test_no_longer(self) -> None:
        """An issuer that is gone from the configuration vouches for nothing."""
        found = self.accepted(self.job())
        self.assertFalse(self.source.is_current(evolve(found, via="workload:https://gone.example")))
