"""Whom a token stands for."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.claims import Requirements, Template, access_of, cap_of, granted_by, groups_of, told, user_of
from pkgd.auth.model import Action, apt, oci
from pkgd.errors import TokenRefused


class NameTests(SynchronousTestCase):
    """The user, and the groups."""

    def test_user(self) -> None:
        """The first claim that there is; or the one that is configured, and no other."""
        for claims, claim, name in (
            ({"sub": "3", "username": "b", "preferred_username": "a"}, None, "a"),
            ({"sub": "3", "username": "b"}, None, "b"),
            ({"sub": "3"}, None, "3"),
            ({"sub": "3", "email": "a@b"}, "email", "a@b"),
            ({"sub": "3"}, "email", None),
            ({}, None, None),
        ):
            self.assertEqual(user_of(claims, claim), name)

    def test_no_names(self) -> None:
        """What is no text, empty, long, padded or not printable is nobody's name."""
        for value in ("", " a", "a ", "a\nb", "a\0", "\u202e", "x" * 257, 5, True, ["a"], {}):
            self.assertRaises(TokenRefused, user_of, {"sub": value}, None)

    def test_groups(self) -> None:
        """A list, or a text with spaces; what is no name is no group."""
        for value, groups in (
            (["a", "b c", 5, None, "", "\n"], {"a", "b c"}),
            ("a  b", {"a", "b"}),
            (None, set()),
            (5, set()),
            ({"a": 1}, set()),
        ):
            self.assertEqual(groups_of({"groups": value}, "groups"), groups)
        self.assertRaises(TokenRefused, groups_of, {"groups": [f"g{n}" for n in range(300)]}, "groups")

    def test_told(self) -> None:
        """Texts and lists of them are told, truth values and numbers as JSON has them; all else isn't."""
        claims = {"a": "x", "b": True, "c": 5, "d": ["x", False], "e": {}, "f": 1.5, "g": ["x", {}], "h": "y" * 600}
        self.assertEqual(told(claims), {"a": "x", "b": "true", "c": "5", "d": ("x", "false")})
        self.assertEqual(len(told({f"c{n}": "x" for n in range(1000)})), 64)


class AccessTests(SynchronousTestCase):
    """The claim `access`."""

    def entry(self, **changes: Any) -> dict[str, Any]:
        """One entry."""
        return {"type": "repository", "name": "a", "actions": ["pull"], **changes}

    def test_narrows(self) -> None:
        """It narrows to what it lists, an empty one to nothing; without it nothing is narrowed."""
        cap: Any = cap_of(access_of({"access": [self.entry()]}))
        self.assertTrue(cap.covers(oci("a", Action.PULL)))
        for access in (oci("a", Action.PUSH), oci("b", Action.PULL), apt("a", Action.PULL)):
            self.assertFalse(cap.covers(access))
        nothing: Any = cap_of(access_of({"access": []}))
        self.assertFalse(nothing.covers(oci("a", Action.PULL)))
        self.assertIsNone(cap_of(access_of({})))
        self.assertIsNone(cap_of(""))

    def test_too_much(self) -> None:
        """More than can be carried on is refused: a part of it would be narrower than it was meant."""
        for value in (
            [self.entry(name=f"a{n}") for n in range(65)],
            [self.entry(name=f"{n}{'a' * 250}") for n in range(20)],
        ):
            self.assertRaises(TokenRefused, access_of, {"access": value})
        self.assertIn(":a63:", access_of({"access": [self.entry(name=f"a{n}") for n in range(64)]}))

    def test_null(self) -> None:
        """null is an empty list, as Go writes one, and not the absence of the claim."""
        nothing: Any = cap_of(access_of({"access": None}))
        self.assertFalse(nothing.covers(oci("a", Action.PULL)))
        self.assertEqual(access_of({}), "")

    def test_granted(self) -> None:
        """What it allows by itself is what it lists; without one, nothing."""
        granted: Any = granted_by(access_of({"access": [self.entry(actions=["push"])]}))
        self.assertTrue(granted.covers(oci("a", Action.OVERWRITE)))
        self.assertFalse(granted.covers(oci("a", Action.PULL)))
        self.assertIsNone(granted_by(access_of({})))

    def test_refused(self) -> None:
        """One that cannot be read is no reason to allow everything."""
        for value in (
            "x",
            {},
            5,
            ["x"],
            [{}],
            [self.entry(name=None)],
            [self.entry(actions="pull")],
            [self.entry(name="a:pull repository:b")],
            [self.entry(type="x repository")],
        ):
            self.assertRaises(TokenRefused, access_of, {"access": value})

    def test_actions(self) -> None:
        """An action that is no word adds nothing."""
        cap: Any = cap_of(access_of({"access": [self.entry(actions=["pull repository:b:push", 5, "pull"])]}))
        self.assertFalse(cap.covers(oci("b", Action.PUSH)))


class TemplateTests(SynchronousTestCase):
    """Names out of claims."""

    def test_filled(self) -> None:
        """Each claim where it stands, to the letter, and not read again."""
        claims = {"a": "x", "b": "${claims.a}"}
        self.assertEqual(Template("ci:${claims.a}/${claims.b}!").fill(claims), "ci:x/${claims.a}!")
        self.assertEqual(Template("ci").fill({}), "ci")

    def test_missing(self) -> None:
        """Without a claim, or with several values, there is no name."""
        for claims in ({}, {"a": ""}, {"a": ("x", "y")}):
            self.assertIsNone(Template("ci:${claims.a}").fill(claims))

    def test_requirements(self) -> None:
        """All have to hold, each for one value at least."""
        required = Requirements({"ref": ["refs/heads/main", "refs/tags/*"], "p": ["true"]})
        for claims in ({"ref": "refs/heads/main", "p": "true"}, {"ref": ("x", "refs/tags/v1"), "p": "true"}):
            required.check(claims)
        for claims in (
            {},
            {"ref": "refs/heads/main"},
            {"ref": "refs/heads/main2", "p": "true"},
            {"ref": "refs/tags/a/b", "p": "true"},
            {"ref": "xrefs/heads/main", "p": "true"},
            {"ref": "refs/heads/main", "p": "True"},
            {"ref": (), "p": "true"},
        ):
            self.assertRaises(TokenRefused, required.check, claims)
