"""What the user sees, and the next program."""

from __future__ import annotations

import io
import json

from twisted.trial.unittest import SynchronousTestCase

from pkgd.prefetch.report import Bar, JsonLines, Lines, Report, Result

COMPLETE = Result("docker.io/library/alpine:3", "sha256:abc", 3, 1, 5 << 20, (), ('299 - "stale"',))
FAILED = Result("ghcr.io/a/b:1", None, errors=("manifest 1: gone", "blob x: short"))


class ReportTests(SynchronousTestCase):
    """The three forms."""

    def setUp(self) -> None:
        """Somewhere to write."""
        self.output = io.StringIO()

    def tell(self, report: Report) -> list[str]:
        """Let something happen; the lines of the output."""
        report.planned(100)
        report.received(60)
        report.finished(COMPLETE)
        report.received(-60)
        report.finished(FAILED)
        report.close()
        return self.output.getvalue().splitlines()

    def test_lines(self) -> None:
        """A complete image is one line; of another, each error is; a warning comes before."""
        self.assertEqual(
            self.tell(Lines(self.output)),
            [
                'warning docker.io/library/alpine:3: 299 - "stale"',
                "ok docker.io/library/alpine:3 sha256:abc 3 manifests, 1 blob, 5 MiB",
                "failed ghcr.io/a/b:1: manifest 1: gone",
                "failed ghcr.io/a/b:1: blob x: short",
            ],
        )

    def test_json(self) -> None:
        """An object per image, with everything that is known, and nothing else on the output."""
        complete, failed = [json.loads(line) for line in self.tell(JsonLines(self.output))]

        self.assertEqual(
            complete,
            {
                "image": "docker.io/library/alpine:3",
                "status": "ok",
                "digest": "sha256:abc",
                "manifests": 3,
                "blobs": 1,
                "bytes": 5 << 20,
                "errors": [],
                "warnings": ['299 - "stale"'],
            },
        )
        self.assertEqual(
            (failed["status"], failed["digest"], failed["errors"]),
            ("failed", None, ["manifest 1: gone", "blob x: short"]),
        )

    def test_sizes(self) -> None:
        """Sizes are in the unit that fits."""
        sizes = {
            0: "0 B",
            1023: "1023 B",
            1536: "1.5 KiB",
            1 << 30: "1 GiB",
            5 << 40: "5 TiB",
            1 << 60: "1.049e+06 TiB",
        }
        for size in sizes:
            Lines(self.output).finished(Result("a", "d", size=size))

        found = [line.rpartition(", ")[2] for line in self.output.getvalue().splitlines()]
        self.assertEqual(found, list(sizes.values()))

    def test_bar(self) -> None:
        """On a terminal there is a bar too, which stays there; the lines are the same."""
        terminal = io.StringIO()

        lines = self.tell(Bar(self.output, terminal, images=2))

        self.assertEqual((len(lines), lines[-1]), (4, "failed ghcr.io/a/b:1: blob x: short"))
        self.assertIn("2 of 2 images", terminal.getvalue())
