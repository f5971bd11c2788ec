"""Tests of the bench's content: a blob's digest, made without its bytes, is the digest of its file."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.bench.content import Content, digest_of, small_image
from tests.bench.figures import MIB


class ContentTests(SynchronousTestCase):
    """Blobs and the small image."""

    def test_digest_is_of_the_file(self) -> None:
        """The shared hash and the tail make the digest of the whole."""
        content = Content(Path(self.mktemp()))
        blob, other = content.blob(2 * MIB), content.blob(2 * MIB)

        data = content.file(other).read_bytes()

        self.assertEqual((len(data), digest_of(data)), (2 * MIB, other.digest))
        self.assertNotEqual(blob.digest, other.digest)

    def test_parts_make_the_file(self) -> None:
        """A body's parts, from any offset on and however small, are the bytes of the file."""
        content = Content(Path(self.mktemp()))
        blob = content.blob(2 * MIB)
        body, start = content.body(blob), MIB - 5

        parts = []
        while start < body.size:
            parts.append(bytes(body.part(start, 100_000)))
            start += len(parts[-1])

        self.assertEqual(b"".join(parts), content.file(blob).read_bytes()[MIB - 5 :])

    def test_manifest_has_a_usual_size(self) -> None:
        """The small image's manifest is what registries answer all day."""
        self.assertTrue(1400 < len(small_image().manifest) < 1800)
