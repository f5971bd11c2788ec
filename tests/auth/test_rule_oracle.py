"""Rules against what they mean, said a second time: rules by the thousand, from configuration text to the decision."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.model import Access, Action, Principal
from pkgd.authorization import make_policy
from pkgd.config import parse
from tests.auth.rule_oracle import Who, Written, may
from tests.properties import bounded

RESOURCES = [
    *("oci:a", "oci:a/**", "oci:*", "oci:**", "oci:a/*", "oci:**/b", "oci:a?/b", "oci:a*/b", "oci:*/b/**"),
    *("apt:a", "apt:*", "rpm:a/b", "rpm:**", "oci:${claims.path}/**", "oci:${claims.path}", "rpm:x/${claims.path}/*"),
    *("mirror:**", "mirror:ghcr.io/**", "mirror:*.io/a/*", "mirror:docker.io/library/a"),
]
SUBJECTS = [
    *("anonymous", "authenticated", "user:ann", "user:bob", "group:team", "group:ann", "cidr:10.0.0.0/8"),
    *("cidr:10.1.0.0/16", "issuer:https://ci.example.com"),
]
ACTIONS = ["pull", "push", "overwrite", "delete"]
NAMES = ["a", "ab", "b", "a/b", "ab/b", "a/b/c", "a/a/b", "x/a/b", "x/a/b/c", "a/c"]
ASKED = [
    *(f"{kind}:{name}" for kind in ("oci", "apt", "rpm") for name in NAMES),
    *("mirror:ghcr.io/a/b", "mirror:docker.io/library/a", "mirror:quay.io/a/b"),
]
INSIDE = ("10.0.0.0/8", "10.1.0.0/16")
PEOPLE = [
    (Principal(), Who()),
    (Principal(address="10.1.2.3"), Who(networks=INSIDE)),
    (Principal("ann", address="10.9.2.3"), Who("ann", networks=INSIDE[:1])),
    (Principal("bob", frozenset(["team", "ops"])), Who("bob", ("team", "ops"))),
    *(
        (
            Principal("job", issuer="https://ci.example.com", claims={"path": values}),
            Who("job", (), "https://ci.example.com", {"path": values}),
        )
        for values in (("a",), ("a/b", "**"), ("*",), ("a/../b", "ab"))
    ),
]

some = st.lists(st.sampled_from(RESOURCES), min_size=1, max_size=3, unique=True)
rules = st.none() | st.lists(
    st.builds(
        Written,
        some,
        st.lists(st.sampled_from(SUBJECTS), min_size=1, max_size=3, unique=True),
        st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=4, unique=True),
    ),
    min_size=1,
    max_size=4,
)
admins = st.lists(st.sampled_from(["ann", "group:ops", "team", "group:bob"]), max_size=2, unique=True)


class OracleTests(SynchronousTestCase):
    """The engine says what the plain reading says."""

    @given(rules, admins)
    @bounded
    def test_rules(self, written: list[Written] | None, admins: list[str]) -> None:
        """Everybody, everything, every action: each decision is the same, asked once or again."""
        section = {
            "admins": {
                "users": [one for one in admins if ":" not in one],
                "groups": [one.removeprefix("group:") for one in admins if ":" in one],
            }
        }
        if written is not None:
            section["rules"] = [  # type: ignore[assignment]
                {"resources": one.resources, "subjects": one.subjects, "actions": one.actions} for one in written
            ]
        auth = {"mode": "basic", "basic_htpasswd_file": "users"}
        policy = make_policy(parse(json.dumps({"auth": auth, "authorization": section}), {}, "/"))
        for principal, who in PEOPLE:
            for resource in ASKED:
                for action in ACTIONS:
                    for private in (False, True) if resource.startswith("mirror:") else (False,):
                        access = Access(resource, Action(action), private)
                        expected = may(who, action, resource, written, admins, private)
                        found = [policy.decide(principal, access).allowed for _ in range(2)]
                        self.assertEqual(found, [expected] * 2, (who, access, section))
