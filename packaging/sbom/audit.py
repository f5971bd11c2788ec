"""Asks OSV (osv.dev) what is known against every component of the bills in dist/.

    audit.py

$OSV_URL names the source, https://api.osv.dev by default. Exit status: 0 nothing is known, or only what
exceptions.toml excuses; 1 something is; 2 there is no bill, or exceptions.toml is not as it should be; 3 the source
cannot be reached, so nothing is known at all.
"""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from components import bills, walk

DIST = Path(__file__).resolve().parents[2] / "dist"
EXCEPTIONS = Path(__file__).with_name("exceptions.toml")
_ECOSYSTEMS = {"pkg:pypi/": "PyPI", "pkg:cargo/": "crates.io"}
_DISTRO = "distro=debian-"
_PAGES = 100

# Asks the source: a path, and a body to post or None; answers JSON.
Ask = Callable[[str, "dict[str, Any] | None"], Any]


class Unreachable(Exception):
    """The source does not answer, or not as it says it does."""


class Malformed(Exception):
    """exceptions.toml cannot be used."""


@dataclass(frozen=True)
class Question:
    """What OSV is asked: a package as that ecosystem names it, and its version."""

    ecosystem: str
    name: str
    version: str


@dataclass(frozen=True)
class Advisory:
    """What is known against a component."""

    component: Question
    id: str
    aliases: tuple[str, ...]
    summary: str
    fixed: tuple[str, ...]
    urgency: str

    @property
    def names(self) -> frozenset[str]:
        """Every name it has."""
        return frozenset([self.id, *self.aliases])

    def __str__(self) -> str:
        also = f" ({', '.join(self.aliases)})" if self.aliases else ""
        remedy = f"fixed in {', '.join(self.fixed)}" if self.fixed else "no fixed version is known"
        return f"{self.component.name} {self.component.version}: {self.id}{also}: {self.summary}; {remedy}"


@dataclass(frozen=True)
class Excuse:
    """An advisory that is known and accepted, for that package, until that day."""

    id: str
    package: str
    reason: str
    until: date


def question(component: dict[str, Any]) -> Question | None:
    """What is asked about a component; None where OSV knows nothing of its kind. Debian's it knows by source."""
    url, version = component["purl"], component["version"]
    for prefix, ecosystem in _ECOSYSTEMS.items():
        if url.startswith(prefix):
            return Question(ecosystem, component["name"], version)
    release = url.partition(_DISTRO)[2].partition("&")[0]
    if url.startswith("pkg:deb/debian/") and release:
        facts = {one["name"]: one["value"] for one in component["properties"]}
        return Question(f"Debian:{release}", facts["debian:source"], version)
    return None


def known(ask: Ask, questions: Iterable[Question]) -> Iterator[tuple[Question, str]]:
    """The advisories that match, by id; an answer may have more pages.

    :raises Unreachable: if the source cannot be asked.
    """
    waiting = [(one, "") for one in questions]
    for _ in range(_PAGES):
        if not waiting:
            return
        answer = ask("/v1/querybatch", {"queries": [_query(*one) for one in waiting]})
        pages = []
        try:
            for (one, _), result in zip(waiting, answer["results"], strict=True):
                for advisory in result.get("vulns", ()):
                    yield one, str(advisory["id"])
                if token := result.get("next_page_token"):
                    pages.append((one, token))
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise Unreachable(f"its answer is not one: {error}") from None
        waiting = pages
    raise Unreachable(f"more than {_PAGES} pages of answers")


def details(ask: Ask, component: Question, name: str) -> Advisory:
    """What there is to say of an advisory; where that cannot be had, it is one all the same."""
    try:
        record = ask(f"/v1/vulns/{name}", None)
    except Unreachable:
        return Advisory(component, name, (), "its details cannot be had", (), "")
    fixed, urgency = set(), ""
    for part in record.get("affected", ()):
        package = part.get("package", {})
        if (package.get("ecosystem"), package.get("name")) == (component.ecosystem, component.name):
            events = [event for span in part.get("ranges", ()) for event in span.get("events", ())]
            fixed |= {event["fixed"] for event in events if "fixed" in event}
            urgency = part.get("ecosystem_specific", {}).get("urgency", urgency)
    summary = record.get("summary") or record.get("details", "").partition("\n")[0][:120] or "no summary"
    aliases = (*record.get("aliases", ()), *record.get("upstream", ()))  # a distribution's own has the CVE as upstream
    return Advisory(component, name, aliases, summary, tuple(sorted(fixed)), urgency)


def excuses(text: str) -> list[Excuse]:
    """What exceptions.toml says.

    :raises Malformed: if that is not `[[exception]]` with id, package, reason and until, a date.
    """
    try:
        said = tomllib.loads(text)
        found = [Excuse(**one) for one in said.pop("exception", [])]
    except (tomllib.TOMLDecodeError, TypeError) as error:
        raise Malformed(str(error)) from None
    if said:
        raise Malformed(f"unknown: {', '.join(said)}")
    for one in found:
        if type(one.until) is not date or not str(one.reason).strip():
            raise Malformed(f"{one.id}: an exception has a reason, and a date until which it holds")
    return found


class Report:
    """Says what was found, and counts what counts."""

    def __init__(self, excused: list[Excuse], today: date) -> None:
        self.bad = 0
        self._excused = excused
        self._today = today
        self._seen: set[tuple[Question, str]] = set()

    def add(self, one: Advisory) -> None:
        """Tell of an advisory, once under whichever of its names."""
        told = {(one.component, name) for name in one.names}
        if told & self._seen:
            return
        self._seen |= told
        excuse = next((it for it in self._excused if it.id in one.names and it.package == one.component.name), None)
        if excuse and self._today < excuse.until:
            print(f"excused until {excuse.until}: {one}: {excuse.reason}")
        elif one.urgency == "unimportant":
            print(f"unimportant, says Debian: {one}")
        else:
            expired = f", which was excused until {excuse.until}" if excuse else ""
            print(f"FOUND {one}{expired}")
            self.bad += 1

    def unused(self) -> list[Excuse]:
        """The exceptions that nothing has needed."""
        return [it for it in self._excused if not any((c.name, n) == (it.package, it.id) for c, n in self._seen)]


def audit(ask: Ask, components: list[dict[str, Any]], report: Report) -> int:
    """Ask, and tell what is found; returns the exit status."""
    questions = {one["purl"]: question(one) for one in components}
    asked = sorted({one for one in questions.values() if one}, key=str)
    try:
        for one, name in known(ask, asked):
            report.add(details(ask, one, name))
    except Unreachable as error:
        print(f"audit: the source of advisories cannot be asked, so nothing more is known: {error}", file=sys.stderr)
        return 1 if report.bad else 3
    for url in sorted(url for url, one in questions.items() if one is None):
        print(f"not asked about, of a kind that OSV does not know: {url}")
    for excuse in report.unused():
        print(f"exceptions.toml: {excuse.id} of {excuse.package} is no longer needed")
    print(f"{report.bad} advisories, {len(asked)} components asked about")
    return 1 if report.bad else 0


def osv(path: str, body: dict[str, Any] | None) -> Any:
    """Ask OSV, or who answers in its place.

    :raises Unreachable: if it does not answer, or not with JSON.
    """
    url = os.environ.get("OSV_URL", "https://api.osv.dev")
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(url + path, data, {"Content-Type": "application/json"}), timeout=60) as answer:  # noqa: S310
            return json.load(answer)
    except (OSError, ValueError, HTTPException) as error:
        raise Unreachable(f"{url}: {error}") from error


def _query(one: Question, token: str) -> dict[str, Any]:
    query: dict[str, Any] = {"package": {"name": one.name, "ecosystem": one.ecosystem}, "version": one.version}
    return {**query, "page_token": token} if token else query


def main() -> int:
    """Audit the bills in dist/."""
    found = bills(DIST)
    if not found:
        print(f"audit: there is no bill of materials in {DIST}: make image", file=sys.stderr)
        return 2
    try:
        report = Report(excuses(EXCEPTIONS.read_text(encoding="utf-8")), date.today())
    except Malformed as error:
        print(f"audit: {EXCEPTIONS.name}: {error}", file=sys.stderr)
        return 2
    components = [one for bill in found for one in walk([bill["metadata"]["component"], *bill["components"]])]
    return audit(osv, components, report)


if __name__ == "__main__":
    sys.exit(main())
