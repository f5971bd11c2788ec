"""Who asks, the rules, and what they come to: written down by hand, for no rule engine to be trusted with.

Repositories stand in areas: `public` is for everybody, `team` for the team, `closed` for admins. Upstreams are areas,
too: `hub` is public, `ghcr` is fetched with credentials. `RIGHTS` says what the rules of `RULES` give to whom.
"""

from __future__ import annotations

from base64 import b64encode

from attrs import field, frozen

__all__ = ["ANYBODY", "PEOPLE", "RIGHTS", "RULES", "Person"]

RULES = """
auth: {mode: basic, basic_htpasswd_file: users}
authorization:
  admins: {users: [root], groups: [operators]}
  rules:
    - resources: ["oci:public/**", "apt:public*", "rpm:public/**", "mirror:**"]
      subjects: [anonymous]
      actions: [pull]
    - resources: ["oci:team/**", "apt:team*", "rpm:team/**", "mirror:**"]
      subjects: ["user:reader", "group:readers", "cidr:10.0.0.0/8"]
      actions: [pull]
    - {resources: ["oci:team/**", "apt:team*", "rpm:team/**"], subjects: ["user:writer"], actions: [pull, push]}
    - {resources: ["oci:team/**", "apt:team*", "rpm:team/**"], subjects: ["user:dropbox"], actions: [push]}
    - resources: ["oci:team/**", "apt:team*", "rpm:team/**"]
      subjects: ["user:mover"]
      actions: [pull, push, overwrite]
    - {resources: ["oci:team/**", "apt:team*", "rpm:team/**"], subjects: ["user:deleter"], actions: [pull, delete]}
    - {resources: ["oci:${claims.project}/**"], subjects: ["issuer:https://ci.example.com"], actions: [pull, push]}
"""

ALL = "pull push overwrite delete"
_READERS = {"public": "pull", "team": "pull", "hub": "pull", "ghcr": "pull"}
_ADMIN = dict.fromkeys(("public", "team", "closed", "hub", "ghcr"), ALL)
ANYBODY = {"public": "pull", "hub": "pull"}

# Person -> area -> actions.
RIGHTS: dict[str, dict[str, str]] = {
    "nobody": ANYBODY,
    "wrong": {},
    "stranger": ANYBODY,
    "reader": _READERS,
    "member": _READERS,
    "inside": _READERS,
    "writer": {**ANYBODY, "team": "pull push"},
    "dropbox": {**ANYBODY, "team": "push"},
    "mover": {**ANYBODY, "team": "pull push overwrite"},
    "deleter": {**ANYBODY, "team": "pull delete"},
    "job": {**ANYBODY, "team": "pull push"},
    "root": _ADMIN,
    "operator": _ADMIN,
    "robot": {"team": "pull"},
}


@frozen
class Person:
    """Somebody: the name, the password that is shown, and where the requests come from.

    `is_known` says whether the credentials stand for somebody. `kinds` are the kinds of hosted repositories that the
    rights are about; in others, the person has those of everybody.
    """

    name: str
    password: str | None = "secret"
    address: str = "192.0.2.7"
    is_known: bool = True
    kinds: tuple[str, ...] = field(default=("oci", "apt", "rpm"))

    @property
    def header(self) -> dict[str, str]:
        """What the person shows."""
        if self.password is None:
            return {}
        return {"Authorization": "Basic " + b64encode(f"{self.name}:{self.password}".encode()).decode()}

    def rights(self, kind: str, area: str) -> list[str]:
        """The actions that the person may do in an area."""
        mine = RIGHTS[self.name] if kind in (*self.kinds, "mirror") else ANYBODY
        return mine.get(area, "").split()


PEOPLE = [
    Person("nobody", None, is_known=False),
    Person("inside", None, "10.1.2.3", is_known=False),
    Person("wrong", "not the password", is_known=False),
    *(Person(name) for name in ("stranger", "reader", "member", "writer", "dropbox", "mover", "deleter")),
    # The rule with a template is about images alone.
    Person("job", kinds=("oci",)),
    *(Person(name) for name in ("root", "operator", "robot")),
]
