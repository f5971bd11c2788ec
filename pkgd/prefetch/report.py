"""What the user sees: a line per image, a JSON object per image, or a bar above which the lines go by.

Lines go to the output, for the next program; the bar and the summary to the terminal.
"""

from __future__ import annotations

import json
from typing import Any, Protocol, TextIO

from attrs import frozen

__all__ = ["Bar", "JsonLines", "Lines", "Report", "Result"]


@frozen
class Result:
    """How it went with one image; complete if there are no errors.

    `digest` is that of its manifest or index, if it came; `size` counts the bytes of all objects.
    """

    image: str
    digest: str | None = None
    manifests: int = 0
    blobs: int = 0
    size: int = 0
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Report(Protocol):
    """Is told what happens, by one thread."""

    def planned(self, count: int) -> None:
        """So many more bytes are to be fetched."""

    def received(self, count: int) -> None:
        """So many bytes have come; less than none if they are fetched anew."""

    def finished(self, result: Result) -> None:
        """An image is done with."""

    def close(self) -> None:
        """Nothing more happens."""


class Lines:
    """A line for a complete image; for another, one for each error."""

    def __init__(self, output: TextIO) -> None:
        self._output = output

    def planned(self, count: int) -> None:
        """See `Report`."""

    def received(self, count: int) -> None:
        """See `Report`."""

    def finished(self, result: Result) -> None:
        """See `Report`."""
        for line in _lines(result):
            self._write(line)

    def close(self) -> None:
        """See `Report`."""

    def _write(self, line: str) -> None:
        print(line, file=self._output, flush=True)


class JsonLines(Lines):
    """A JSON object for every image."""

    def finished(self, result: Result) -> None:
        """See `Report`."""
        self._write(
            json.dumps(
                {
                    "image": result.image,
                    "status": "failed" if result.errors else "ok",
                    "digest": result.digest,
                    "manifests": result.manifests,
                    "blobs": result.blobs,
                    "bytes": result.size,
                    "errors": result.errors,
                    "warnings": result.warnings,
                }
            )
        )


class Bar(Lines):
    """The lines, and below them a bar over all bytes that are known of so far."""

    def __init__(self, output: TextIO, terminal: TextIO, images: int) -> None:
        from tqdm import tqdm

        super().__init__(output)
        self._images = images
        self._done = 0
        self._bar: Any = tqdm(
            total=0, unit="B", unit_scale=True, unit_divisor=1024, file=terminal, dynamic_ncols=True, leave=False
        )
        self._show()

    def planned(self, count: int) -> None:
        """See `Report`."""
        self._bar.total += count

    def received(self, count: int) -> None:
        """See `Report`."""
        self._bar.update(count)

    def finished(self, result: Result) -> None:
        """See `Report`."""
        self._done += 1
        self._show()
        super().finished(result)

    def close(self) -> None:
        """See `Report`."""
        self._bar.close()

    def _show(self) -> None:
        self._bar.set_postfix_str(f"{self._done} of {self._images} images")

    def _write(self, line: str) -> None:
        self._bar.write(line, file=self._output)
        self._output.flush()


def _lines(result: Result) -> list[str]:
    warnings = [f"warning {result.image}: {one}" for one in result.warnings]
    if result.errors:
        return warnings + [f"failed {result.image}: {one}" for one in result.errors]
    counts = f"{_count(result.manifests, 'manifest')}, {_count(result.blobs, 'blob')}, {_size(result.size)}"
    return [*warnings, f"ok {result.image} {result.digest} {counts}"]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:.4g} TiB"
