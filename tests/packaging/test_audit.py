"""The audit: what OSV answers becomes findings, excuses and an exit status."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from datetime import date
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.packaging.scripts import load

audit = load("sbom", "audit")

_TODAY = date(2030, 5, 1)
_CRYPTOGRAPHY = {"name": "cryptography", "version": "44.0.0", "purl": "pkg:pypi/cryptography@44.0.0"}
_GLIBC = {
    "name": "libc6",
    "version": "2.36-9+deb12u14",
    "purl": "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=amd64&distro=debian-12",
    "properties": [{"name": "debian:source", "value": "glibc"}],
}
_OPENSSL = {"name": "openssl", "version": "4.0.3", "purl": "pkg:generic/openssl@4.0.3"}

# As `GET /v1/vulns/ID` answers; the fields are those of ossf.github.io/osv-schema.
_RECORDS = {
    "GHSA-79v4-65xg-pq4g": {
        "id": "GHSA-79v4-65xg-pq4g",
        "summary": "Vulnerable OpenSSL included in cryptography wheels",
        "aliases": ["CVE-2024-12797"],
        "affected": [
            {
                "package": {"name": "cryptography", "ecosystem": "PyPI", "purl": "pkg:pypi/cryptography"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "42.0.0"}, {"fixed": "44.0.1"}]}],
            },
            {
                "package": {"name": "another", "ecosystem": "PyPI"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9.9"}]}],
            },
        ],
    },
    "PYSEC-2025-1": {"id": "PYSEC-2025-1", "details": "The same.\nAnd more.", "aliases": ["CVE-2024-12797"]},
    "DEBIAN-CVE-2010-4756": {
        "id": "DEBIAN-CVE-2010-4756",
        "details": "The glob implementation allows a denial of service.",
        "upstream": ["CVE-2010-4756"],
        "affected": [
            {
                "package": {"name": "glibc", "ecosystem": "Debian:12"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
                "ecosystem_specific": {"urgency": "unimportant"},
            }
        ],
    },
}


def _source(found: dict[str, list[str]], records: dict[str, Any] = _RECORDS) -> Callable[[str, Any], Any]:
    """OSV, which knows these advisories by package."""

    def ask(path: str, body: Any) -> Any:
        if path == "/v1/querybatch":
            names = [one["package"]["name"] for one in body["queries"]]
            answers = [[{"id": it, "modified": "2025-02-11T00:00:00Z"} for it in found.get(name, ())] for name in names]
            return {"results": [{"vulns": answer} if answer else {} for answer in answers]}
        try:
            return records[path.removeprefix("/v1/vulns/")]
        except KeyError:
            raise audit.Unreachable("404") from None

    return ask


def _audit(ask: Callable[[str, Any], Any], *excuses: Any) -> tuple[int, str]:
    """Exit status and output of an audit of three components."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        report = audit.Report(list(excuses), _TODAY)
        status = audit.audit(ask, [_CRYPTOGRAPHY, _GLIBC, _OPENSSL], report)
    return status, said.getvalue()


class AuditTests(SynchronousTestCase):
    """What an audit says, and its exit status."""

    def test_nothing(self) -> None:
        """Where nothing is known it is 0, and what was not asked about is named."""
        status, said = _audit(_source({}))

        self.assertEqual(status, 0)
        self.assertIn("of a kind that OSV does not know: pkg:generic/openssl@4.0.3\n", said)
        self.assertTrue(said.endswith("0 advisories, 2 components asked about\n"))

    def test_finding(self) -> None:
        """A finding is 1, told with its names and the versions of that package which mend it, and no other's."""
        status, said = _audit(_source({"cryptography": ["GHSA-79v4-65xg-pq4g"]}))

        self.assertEqual(status, 1)
        self.assertIn(
            "FOUND cryptography 44.0.0: GHSA-79v4-65xg-pq4g (CVE-2024-12797): "
            "Vulnerable OpenSSL included in cryptography wheels; fixed in 44.0.1\n",
            said,
        )

    def test_one_of_two_names(self) -> None:
        """An advisory that has two records is told once."""
        status, said = _audit(_source({"cryptography": ["GHSA-79v4-65xg-pq4g", "PYSEC-2025-1"]}))

        self.assertEqual((status, said.count("FOUND")), (1, 1))

    def test_debian(self) -> None:
        """Debian's packages are asked about by source; what Debian calls unimportant is told, and is no finding."""
        status, said = _audit(_source({"glibc": ["DEBIAN-CVE-2010-4756"]}))

        self.assertEqual(status, 0)
        self.assertIn("unimportant, says Debian: glibc 2.36-9+deb12u14: DEBIAN-CVE-2010-4756 (CVE-2010-4756)", said)

    def test_unreachable(self) -> None:
        """A source that cannot be asked is 3, with a sentence."""

        def ask(path: str, body: Any) -> Any:
            raise audit.Unreachable("no route")

        status, said = _audit(ask)

        self.assertEqual(status, 3)
        self.assertIn("cannot be asked, so nothing more is known: no route", said)

    def test_no_details(self) -> None:
        """An advisory whose details cannot be had is a finding all the same, not a source that is away."""
        status, said = _audit(_source({"cryptography": ["GHSA-79v4-65xg-pq4g"]}, {}))

        self.assertEqual(status, 1)
        self.assertIn("FOUND cryptography 44.0.0: GHSA-79v4-65xg-pq4g: its details cannot be had", said)

    def test_not_an_answer(self) -> None:
        """An answer of another form, or to fewer questions, is no answer."""
        for answer in (None, [], {}, {"results": []}, {"results": [None, None]}, {"results": [{"vulns": [{}]}, {}]}):
            status, _ = _audit(lambda path, body, answer=answer: answer)

            self.assertEqual(status, 3, answer)

    def test_pages(self) -> None:
        """What stands on a further page is found, too, even where the page after it does not come."""
        asked = []

        def ask(path: str, body: Any) -> Any:
            if path != "/v1/querybatch":
                return _RECORDS["GHSA-79v4-65xg-pq4g"]
            asked.append(body["queries"])
            if len(asked) == 1:
                return {"results": [{}, {"next_page_token": "t"}]}
            if len(asked) == 2:
                return {"results": [{"vulns": [{"id": "GHSA-79v4-65xg-pq4g"}], "next_page_token": "u"}]}
            raise audit.Unreachable("gone")

        status, said = _audit(ask)

        self.assertEqual(status, 1)
        self.assertEqual(
            [[one.get("page_token") for one in queries] for queries in asked], [[None, None], ["t"], ["u"]]
        )
        self.assertIn("GHSA-79v4-65xg-pq4g", said)
        self.assertIn("gone", said)

    def test_endless_pages(self) -> None:
        """A source that never ends is not asked for ever."""
        status, _ = _audit(lambda path, body: {"results": [{"next_page_token": "t"} for _ in body["queries"]]})

        self.assertEqual(status, 3)


class ExcuseTests(SynchronousTestCase):
    """exceptions.toml."""

    _ASK = staticmethod(_source({"cryptography": ["GHSA-79v4-65xg-pq4g"]}))

    def test_excused(self) -> None:
        """What is excused, by any of its names, is told with the reason and is no finding."""
        status, said = _audit(self._ASK, audit.Excuse("CVE-2024-12797", "cryptography", "not used", date(2030, 5, 2)))

        self.assertEqual(status, 0)
        self.assertIn("excused until 2030-05-02: cryptography 44.0.0", said)
        self.assertIn(": not used\n", said)

    def test_expired(self) -> None:
        """From its day on it is a finding again."""
        status, said = _audit(self._ASK, audit.Excuse("CVE-2024-12797", "cryptography", "not used", _TODAY))

        self.assertEqual(status, 1)
        self.assertIn(", which was excused until 2030-05-01\n", said)

    def test_of_another(self) -> None:
        """The same advisory of another package is not excused, and the exception is told to be needless."""
        status, said = _audit(self._ASK, audit.Excuse("CVE-2024-12797", "glibc", "not used", date(2031, 1, 1)))

        self.assertEqual(status, 1)
        self.assertIn("exceptions.toml: CVE-2024-12797 of glibc is no longer needed\n", said)

    def test_file(self) -> None:
        """An exception has four fields."""
        found = audit.excuses('[[exception]]\nid = "CVE-1"\npackage = "p"\nreason = "r"\nuntil = 2030-01-02\n')

        self.assertEqual(found, [audit.Excuse("CVE-1", "p", "r", date(2030, 1, 2))])
        self.assertEqual(audit.excuses("# nothing\n"), [])

    def test_malformed(self) -> None:
        """One without a reason or a date, or with anything else, is refused: nothing is excused for ever."""
        whole = 'id = "CVE-1"\npackage = "p"\n'
        for text in (
            whole,
            whole + 'reason = "r"\n',
            whole + 'reason = "r"\nuntil = "2030-01-02"\n',
            whole + 'reason = " "\nuntil = 2030-01-02\n',
            whole + 'reason = "r"\nuntil = 2030-01-02T00:00:00\n',
            whole + 'reason = "r"\nuntil = 2030-01-02\nextra = 1\n',
            "not toml",
        ):
            self.assertRaises(audit.Malformed, audit.excuses, f"[[exception]]\n{text}")
        self.assertRaises(audit.Malformed, audit.excuses, "[other]\n")
