"""The document says what is served, all of it and nothing else.

That every answer is as it says is seen to by `tests.web.fixtures.Edge.call`, in all tests that make requests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.model import Access, oci
from pkgd.metrics import Metrics
from pkgd.web.api import keys, packages
from pkgd.web.auth.login import LoginApi
from pkgd.web.auth.token import TokenApi
from pkgd.web.health import HealthApi
from pkgd.web.metrics import MetricsApi
from pkgd.web.openapi.door import OpenApiDoor
from pkgd.web.packages.aliases import PREFIXES, parse_alias
from pkgd.web.packages.api import PackagesApi, accesses
from pkgd.web.packages.paths import AptPath, RpmPath, parse_apt_path, parse_rpm_path
from pkgd.web.registry.paths import parse_v2_path
from pkgd.web.root import KleinTree
from tests.schemas import resolved
from tests.web.auth.test_login import LoginCase
from tests.web.contract import DOCUMENT, PathItem, contract_breaches, document_paths
from tests.web.messages import Response

_ALIASES = tuple(one.decode("ascii") for one in PREFIXES)


def is_of_registry(item: PathItem) -> bool:
    """Whether the distribution API's table has it."""
    return item.template.startswith("/v2/") and item.template.encode("ascii") not in TokenApi.paths


def is_of_packages(item: PathItem) -> bool:
    """Whether the tables of apt and rpm have it."""
    return item.template.encode("ascii").startswith(PackagesApi.prefixes)


class ServedTests(LoginCase):
    """Compared with a server that has everything."""

    def setUp(self) -> None:
        """Metrics, too."""
        super().setUp()
        self.root: Any = self.edge.root
        self.root._doors[b"metrics"] = KleinTree(MetricsApi(Metrics(), self.edge.blocking).app, "metrics")

    def test_methods(self) -> None:
        """What a server says of a path's methods to who asks with another one is what the document says."""
        for item in document_paths():
            answer = self.edge.call("OPTIONS", item.filled(), {})
            allowed = set((answer.header("Allow") or "").split(", "))

            self.assertEqual(answer.status, 405, item.template)
            if item.template.startswith(_ALIASES):  # these say what can be done with what they stand for
                self.assertLessEqual(item.methods, allowed, item.template)
            else:
                self.assertEqual(item.methods, allowed, item.template)

    def test_paths(self) -> None:
        """Every path that is not in a table of the registry, or of apt and rpm, is there, and no other."""
        klein = [rule.rule for app in (HealthApi.app, MetricsApi.app) for rule in app.url_map.iter_rules()]
        exact = [*TokenApi.paths, *LoginApi.paths, OpenApiDoor.path]
        served = {
            *klein,
            *(one.decode("ascii") for one in exact),
            *(path for door in self.root._accounts for path in door.routes.paths),
            *self.root._api.routes.paths,
        }

        found = {item.template for item in document_paths() if not is_of_registry(item) and not is_of_packages(item)}
        self.assertEqual(found, served)

    def test_registry(self) -> None:
        """Every row of the distribution API's table is there, with the access that it declares."""
        rows = set()
        for item in filter(is_of_registry, document_paths()):
            kind = parse_v2_path(item.filled().encode("ascii")).kind
            for method, operation in item.operations.items():
                row = (kind, method.upper().encode("ascii"))
                rows.add(row)
                declared = self.root._registry._table[row][1]
                access = declared if isinstance(declared, Access) else oci("{name}", declared)
                self.assertEqual(operation["x-pkgd-access"], str(access), item.template)

        self.assertEqual(rows, set(self.root._registry._table))

    def test_packages(self) -> None:
        """So is every row of those of apt and rpm, and every other server's kind of path."""
        rows: dict[bool, set[Any]] = {True: set(), False: set()}
        doors = self.root._packages
        for item in filter(is_of_packages, document_paths()):
            path = self.parsed(item.filled().encode("ascii"))
            is_apt = isinstance(path, AptPath)
            for method, operation in item.operations.items():
                row = (path.kind, method.upper().encode("ascii"))
                rows[is_apt].add(row)
                action = (doors._apt if is_apt else doors._rpm)._rows[row][1]
                access = accesses(path, action)[0]
                written = operation["x-pkgd-access"].format(repository="main", group="el9", suite="stable")
                self.assertEqual(written, str(access), item.template)

        self.assertEqual(rows, {True: set(doors._apt._rows), False: set(doors._rpm._rows)})
        for prefix in PackagesApi.prefixes:
            self.assertTrue(any(one.filled().encode("ascii").startswith(prefix) for one in document_paths()), prefix)

    def parsed(self, path: bytes) -> AptPath | RpmPath:
        """What a path names."""
        if path.startswith(b"/apt/"):
            return parse_apt_path(path)
        return parse_rpm_path(path) if path.startswith(b"/rpm/") else parse_alias(path, b"", lambda name: True)

    def test_credentials(self) -> None:
        """Who shows none is asked for some wherever the document says that access is needed, and nowhere else."""
        for item in document_paths():
            for method, operation in item.operations.items():
                answer = self.edge.call(method.upper(), item.filled(), {})
                name = operation["operationId"]
                if operation["x-pkgd-access"] is not None:
                    # In the list of all packages there are none that one may not see.
                    self.assertEqual(answer.status, 200 if name.startswith("listPackages") else 401, name)
                elif not name.startswith("loginCallback"):
                    self.assertNotEqual(answer.status, 401, name)

    def test_bodies(self) -> None:
        """Bodies have the members that are read, and no others."""
        schemas = DOCUMENT["components"]["schemas"]
        read = {"KeyOrder": keys._Body, "Copy": packages._Copy}

        for name, kind in read.items():
            found = {one.name: one.required for one in msgspec.structs.fields(kind)}
            self.assertEqual(set(schemas[name]["properties"]), set(found))
            self.assertEqual(set(schemas[name].get("required", [])), {one for one in found if found[one]})
        allowance = schemas["Allowances"]["items"]
        self.assertEqual(set(allowance["properties"]), {one.name for one in msgspec.structs.fields(keys._Allow)})


class DocumentTests(SynchronousTestCase):
    """It is an OpenAPI document, without loose ends."""

    def operations(self) -> Iterator[tuple[PathItem, dict[str, Any]]]:
        """Each with its path."""
        for item in document_paths():
            for operation in item.operations.values():
                yield item, operation

    def test_references(self) -> None:
        """What it refers to is in it, and what is in it is referred to."""
        referred: set[str] = set()

        def look(value: Any) -> None:
            if isinstance(value, dict):
                if "$ref" in value:
                    resolved(value, DOCUMENT)
                    referred.add(value["$ref"])
                for one in value.values():
                    look(one)
            elif isinstance(value, list):
                for one in value:
                    look(one)

        look(DOCUMENT)
        components = DOCUMENT["components"]
        written = {f"#/components/{kind}/{name}" for kind, named in components.items() for name in named}
        loose = {one for one in written - referred if "/securitySchemes/" not in one and "/Refusal" not in one}
        self.assertEqual(loose, set())

    def test_operations(self) -> None:
        """Each has a name of its own, a sentence, a tag that is explained, and credentials that are."""
        names = [operation["operationId"] for _, operation in self.operations()]
        self.assertEqual(len(names), len(set(names)))
        tags = {one["name"] for one in DOCUMENT["tags"]}
        schemes = DOCUMENT["components"]["securitySchemes"].keys()
        for item, operation in self.operations():
            self.assertTrue(operation["summary"].endswith("."), item.template)
            self.assertLessEqual(set(operation["tags"]), tags)
            self.assertLessEqual({name for one in operation["security"] for name in one}, schemes)
            self.assertTrue(any(status < "400" for status in operation["responses"]), item.template)

    def test_parameters(self) -> None:
        """Those of a path are declared, and required."""
        for item in document_paths():
            declared = [resolved(one, DOCUMENT) for one in item.item.get("parameters", [])]

            self.assertEqual([one["name"] for one in declared], item.names)
            self.assertTrue(all(one["required"] for one in declared))


class ContractTests(SynchronousTestCase):
    """How answers are compared with it."""

    def check(self, target: str, status: int, body: Any, kind: str = "application/json", method: str = "GET") -> int:
        """How much of an answer is not as it should be."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return len(list(contract_breaches(method, target, Response(status, [("Content-Type", kind)], data))))

    def test_schema(self) -> None:
        """A member that is missing, superfluous or of another type is noticed, wherever it is."""
        health = {"status": "ok", "version": "1", "uptime": 1}
        self.assertEqual(self.check("/health", 200, health), 0)
        for wrong in ({"status": "bad"}, {"uptime": "1"}, {"uptime": -1}, {"uptime": True}, {"more": 1}):
            self.assertEqual(self.check("/health", 200, {**health, **wrong}), 1, wrong)
        self.assertEqual(self.check("/health", 200, {"status": "ok"}), 2)
        self.assertEqual(self.check("/api/v1/packages", 200, {"packages": [{"name": 1}], "last": None}), 9)
        self.assertEqual(self.check("/api/v1/packages", 404, {"errors": [{"code": "A", "message": "b"}]}), 1)
        self.assertEqual(self.check("/api/v1/packages", 404, {"errors": []}), 1)

    def test_status(self) -> None:
        """So is a status that is not written there."""
        self.assertEqual(self.check("/health", 204, b""), 1)
        self.assertEqual(self.check("/v2/a/b/blobs/sha256:00?x=y", 201, b""), 1)
        self.assertEqual(self.check("/nowhere", 204, b""), 0)

    def test_body(self) -> None:
        """So is a body where there should be none, or one of another type."""
        self.assertEqual(self.check("/v2/a/blobs/x", 202, b"", method="DELETE"), 0)
        self.assertEqual(self.check("/v2/a/blobs/x", 202, b"x", method="DELETE"), 1)
        self.assertEqual(self.check("/apt/main/", 404, b"x", "text/plain; charset=utf-8"), 0)
        self.assertEqual(self.check("/apt/main/", 404, b"{}"), 1)
