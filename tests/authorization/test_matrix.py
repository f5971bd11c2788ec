"""Every route, method, person, kind of credentials and state: each answer is what the oracle says.

A refusal has changed nothing, and does not tell whether there is such a repository; whatever was changed stands in the
audit log, once, with who has changed it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from twisted.trial.unittest import SynchronousTestCase

from tests.authorization.oracle import Place, expected
from tests.authorization.people import PEOPLE, Person
from tests.authorization.requests import APT, IMAGES, MIRRORED, NAMELESS, RPMS, Ask
from tests.authorization.world import World
from tests.registry.fixtures import tree
from tests.web.messages import Response

AREAS = ("public", "team", "closed")
NOWHERE = Place("", "", "")
METHODS = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE")
_CHANGES = frozenset(["PUT", "POST", "DELETE"])


class MatrixCase(SynchronousTestCase):
    """Asks, and compares."""

    def setUp(self) -> None:
        """Make the world."""
        self.world = World(self)
        self.cells = 0

    def run_cells(self, asks: Sequence[Ask], places: Sequence[Place], scopes: Sequence[str] = ()) -> None:
        """Every person asks everything of every place, with credentials and with tokens.

        :param scopes: what tokens are asked for; `{n}` is the repository's name.
        """
        before = self.state()
        for ask in asks:
            for person in PEOPLE:
                for scope in (None, *(scopes if _gets_tokens(person) else ())):
                    shown = [self.cell(person, scope, ask, place) for place in places]
                    if scope is None or "{n}" in scope:
                        self.assert_silent(person, ask, places, shown)
        self.assertEqual(self.state(), before)

    def cell(self, person: Person, scope: str | None, ask: Ask, place: Place) -> Response:
        """One answer."""
        self.cells += 1
        world = self.world
        scopes = None if scope is None else scope.replace("{n}", place.name)
        shown = person.header if scopes is None else {"Authorization": f"Bearer {world.token(person, scopes)}"}
        target = self.target(ask, place)
        headers = {name: value.replace("{host}", _host(place)) for name, value in ask.headers.items()}
        audited = len(world.audited.lines)

        answer = world.ask(person, ask.method, target, {**headers, **shown}, ask.body)

        what = f"{person.name} with {scopes}: {ask.method} {target} at {place}"
        self.assertEqual(answer.status, expected(person, scopes, ask, place), f"{what}: {answer}")
        self.assert_worded(ask, answer, what)
        self.assert_audited(person, ask, place, answer, world.audited.lines[audited:])
        if answer.status < 300:
            self.undo(ask, place)
        return answer

    def target(self, ask: Ask, place: Place) -> str:
        """Where the request goes."""
        session = ""
        if "{session}" in ask.target:
            session = self.world.session(place.name, _ROOT.header)
        owner, _, group = place.name.partition("/")
        named = ask.target.replace("{n}", place.name).replace("{owner}", owner).replace("{group}", group)
        return named.replace("{host}", _host(place)).replace("{session}", session)

    def undo(self, ask: Ask, place: Place) -> None:
        """Make everything as it was."""
        for method, target, body in ask.undo:
            self.world.undone(method, target.replace("{n}", place.name), body)
        if ask.ends:
            self.world.sessions.pop(place.name)

    def state(self) -> object:
        """What must not be changed in the end: the images, and which packages there are."""
        found = tree(self.world.tree.root)
        images = {key: data for key, data in found.items() if not key.startswith("__")}
        listed = self.world.undone("GET", "/api/v1/packages").json
        return images, listed

    def assert_worded(self, ask: Ask, answer: Response, what: str) -> None:
        """A 401 says where to go, and nothing else does."""
        challenge = answer.header("WWW-Authenticate")
        self.assertEqual(challenge is not None, answer.status == 401, what)
        if challenge is not None:
            scheme = "Bearer" if ask.row[0] == "registry" else "Basic"
            self.assertTrue(challenge.startswith(f"{scheme} realm="), (what, challenge))

    def assert_silent(self, person: Person, ask: Ask, places: Sequence[Place], shown: Sequence[Response]) -> None:
        """Who may not read an area is told the same of what is there and of what is not."""
        told: dict[str, set[object]] = {}
        for place, answer in zip(places, shown, strict=True):
            if ask.needs == "pull" and "pull" not in person.rights(place.kind, place.area):
                text = (answer.status, [*answer.fields], answer.body)
                told.setdefault(place.area, set()).add(repr(text).replace(place.name, "{n}"))
        for area, texts in told.items():
            self.assertEqual(_lengths_aside(texts), 1, (person.name, ask, area, texts))

    def assert_audited(self, person: Person, ask: Ask, place: Place, answer: Response, lines: list[str]) -> None:
        """A change has one line, or one for each package; everything else has none."""
        found = [json.loads(line) for line in lines]
        if person.name == "wrong":
            self.assertTrue(all(line["action"] == "fail-login" for line in found))
            return
        changes = answer.status < 300 and _is_change(ask)
        self.assertEqual(len(found), int(changes), (person.name, ask, found))
        for line in found:
            self.assertEqual((line["user"], line["address"]), (person.name, person.address))
            self.assertEqual(line["resource"], f"{place.kind}:{place.name}")
            self.assertNotIn("secret", json.dumps(line))

    def assert_many(self, cells: int) -> None:
        """So many answers at least were looked at: a matrix that has lost its rows would agree with everything."""
        self.assertGreater(self.cells, cells)


class ImageTests(MatrixCase):
    """Hosted images: there, and not there."""

    places = tuple(Place("oci", area, f"{area}/{name}", name == "app") for area in AREAS for name in ("app", "none"))

    def test_credentials(self) -> None:
        """With name and password, or nothing."""
        self.run_cells([ask for ask in IMAGES if ask.absent is not None], self.places)
        self.run_cells([ask for ask in IMAGES if ask.absent is None], self.places[::2])
        self.assert_many(2900)

    def test_tokens(self) -> None:
        """With a token that was asked for what is done, for reading, for another repository, or for the list."""
        scopes = (
            "repository:{n}:pull,push,delete",
            "repository:{n}:pull",
            "repository:{n}:push",
            "repository:team/app:pull repository:team/none:push",
            "repository:team/other:pull,push,delete",
            "registry:catalog:*",
        )
        asks = [ask for ask in IMAGES if ask.method != "HEAD"]
        self.run_cells([ask for ask in asks if ask.absent is not None], self.places[:4], scopes)
        self.run_cells([ask for ask in asks if ask.absent is None], self.places[:4:2], scopes)
        self.assert_many(9000)

    def test_other_methods(self) -> None:
        """What a path cannot do, it can do for nobody: that is no matter of rights."""
        place = self.places[4]
        for target in {ask.target for ask in IMAGES if "{session}" not in ask.target}:
            known = {ask.method for ask in IMAGES if ask.target == target}
            kinds = {ask.row for ask in IMAGES if ask.target == target}
            known |= {ask.method for ask in IMAGES if ask.row in kinds}
            for method in METHODS:
                if method not in known:
                    answers = {self.refusal(person, method, target.replace("{n}", place.name)) for person in PEOPLE}
                    self.assertEqual(answers, {405}, (method, target))

    def refusal(self, person: Person, method: str, target: str) -> int:
        """The status of what cannot be done."""
        self.cells += 1
        return self.world.ask(person, method, target, person.header, b"").status


class UpstreamTests(MatrixCase):
    """Images of upstreams: public ones, and those that are fetched with credentials."""

    places = (Place("mirror", "hub", "library/alpine"), Place("mirror", "ghcr", "library/alpine"))

    def test_credentials(self) -> None:
        """With name and password, or nothing; wrong ones do no harm where everybody may."""
        self.run_cells(MIRRORED, self.places)
        self.assert_many(700)

    def test_tokens(self) -> None:
        """A token is for the name that the client calls a repository by."""
        asks = [ask for ask in MIRRORED if "{host}/" not in ask.target]
        self.run_cells(asks, self.places, ("repository:library/alpine:pull", "repository:library/other:pull"))
        self.assert_many(1200)

    def test_writes(self) -> None:
        """Nobody writes to an upstream."""
        for method, target in (("PUT", "manifests/x"), ("DELETE", "manifests/x"), ("POST", "blobs/uploads/")):
            for person in PEOPLE:
                self.cells += 1
                answer = self.world.ask(person, method, f"/v2/library/alpine/{target}?ns=docker.io", person.header, b"")
                self.assertEqual(answer.status, 405)


class PackageTests(MatrixCase):
    """Packages."""

    def test_apt(self) -> None:
        """Of apt repositories that are there, and that are not."""
        self.run_cells(APT, [*_packages("apt", "", "-none")], ["apt:{n}:pull,push,delete", "apt:team-other:pull"])
        self.assert_many(5000)

    def test_rpm(self) -> None:
        """Of rpm repositories that are there, and that are not."""
        self.run_cells(RPMS, [*_packages("rpm", "/el9", "/none")], ["rpm:{n}:pull,push,delete", "rpm:team/other:pull"])
        self.assert_many(4500)

    def test_apt_in_an_alias(self) -> None:
        """An rpm repository's name gives no right to the apt repository of that name, nor the other way round."""
        for person in PEOPLE:
            self.cells += 1
            answer = self.world.ask(person, "GET", "/api/v1/packages?repository=rpm:team", person.header, b"")
            self.assertIn(answer.status, (401, 403, 404))


class NamelessTests(MatrixCase):
    """What is about no repository."""

    def test_all(self) -> None:
        """The base, lists, tokens, probes."""
        scopes = ("registry:catalog:*", "repository:team/app:pull")
        self.run_cells([ask for ask in NAMELESS if ask.row[0] != "tokens"], [NOWHERE], scopes)
        self.run_cells([ask for ask in NAMELESS if ask.row[0] == "tokens"], [NOWHERE])
        self.assert_many(600)

    def test_catalog(self) -> None:
        """The list of repositories has those that may be pulled, whatever credentials are shown."""
        for person in PEOPLE:
            visible = [f"{area}/app" for area in sorted(AREAS) if "pull" in person.rights("oci", area)]
            for header in self.carriers(person):
                self.cells += 1
                answer = self.world.ask(person, "GET", "/v2/_catalog", header, b"")
                self.assertEqual(answer.json["repositories"], visible, person.name)

    def test_catalog_of_a_narrow_token(self) -> None:
        """A token for one repository is none for the list."""
        token = self.world.token(_ROOT, "repository:team/app:pull")
        answer = self.world.ask(_ROOT, "GET", "/v2/_catalog", {"Authorization": f"Bearer {token}"}, b"")
        self.cells += 1
        self.assertEqual(answer.status, 401)

    def test_packages(self) -> None:
        """So has the list of packages."""
        for person in PEOPLE:
            if person.name == "wrong":
                continue
            self.cells += 1
            found = self.world.ask(person, "GET", "/api/v1/packages", person.header, b"").json["packages"]
            visible = {
                f"{kind}:{area}{suffix}"
                for kind, suffix in (("apt", ""), ("rpm", "/el9"))
                for area in AREAS
                if "pull" in person.rights(kind, area)
            }
            self.assertEqual({row["repository"] for row in found}, visible, person.name)

    def carriers(self, person: Person) -> Iterator[dict[str, str]]:
        """The ways in which a person may ask for the list."""
        if person.is_known:
            yield person.header
        if _gets_tokens(person) and person.name != "robot":
            yield {"Authorization": f"Bearer {self.world.token(person, 'registry:catalog:*')}"}


_ROOT = next(one for one in PEOPLE if one.name == "root")


def _gets_tokens(person: Person) -> bool:
    """Whether there are access tokens for such credentials."""
    return person.name != "wrong"


def _host(place: Place) -> str:
    return {"hub": "docker.io", "ghcr": "ghcr.io"}.get(place.area, "")


def _packages(kind: str, there: str, absent: str) -> Iterable[Place]:
    for area in AREAS:
        yield Place(kind, area, f"{area}{there}")
        yield Place(kind, area, f"{area}{absent}", is_there=False)


def _is_change(ask: Ask) -> bool:
    """Whether it is one that stands in the audit log: manifests, tags, packages; but no upload under way."""
    if ask.method not in _CHANGES or ask.row[1] in ("UPLOADS", "INCOMING"):
        return False
    return ask.row != ("registry", "UPLOAD")


def _lengths_aside(texts: set[object]) -> int:
    """How many different texts there are, if names of different lengths count for nothing."""
    return len({json.dumps(repr(one).partition("Content-Length")[0]) for one in texts})
