"""What manifests name."""

from __future__ import annotations

from pkgd.blocking import InlineBlocking
from pkgd.formats.digest import Digest
from pkgd.formats.names import Tag
from pkgd.registry.naming import Naming, UnreadableManifest, namings
from pkgd.storage.layout import legacy_key, manifest_key, quarantine_key
from tests.registry.fixtures import APP, RegistryCase, descriptor, image, image_index

A, B, C = (Digest.of(one) for one in (b"a", b"b", b"c"))


class NamingTests(RegistryCase):
    """Every digest in a manifest's text counts."""

    def store(self, data: bytes) -> str:
        """Have a manifest; returns its digest."""
        self.write(manifest_key(APP, Digest.of(data)), data)
        return str(Digest.of(data))

    async def collect(self) -> dict[str, Naming]:
        """All of them, by their digests."""
        store = self.registry.place.store
        return {one.digest: one async for one in namings(store, InlineBlocking(), APP)}

    def test_images(self) -> None:
        """Config, layers, children and subject; a subject is told from the rest."""
        found = [self.store(image(A, B, subject=descriptor(C))), self.store(image_index(A, C))]

        names = self.do(self.collect())

        self.assertEqual([names[one].names for one in found], [{str(A), str(B), str(C)}, {str(A), str(C)}])
        self.assertEqual([names[one].subject for one in found], [str(C), None])

    def test_anything(self) -> None:
        """Whatever a digest stands for, and however it is written; of sha512 too."""
        long = Digest.of(b"x", "sha512")
        texts = (f'{{"a": ["{long}"]}}', f'{{"a": {{"{long}": 1}}}}', f'["{str(long)[:5]}\\u0032{str(long)[6:]}"]')

        for text in texts:
            data = text.encode()
            digest = self.store(data)
            self.assertEqual(self.do(self.collect())[digest].names, {str(long)}, text)

    def test_subjects(self) -> None:
        """What is no subject is none."""
        for text in ('{"subject": 1}', '{"subject": {"digest": []}}', '{"subject": {"digest": "x"}}', "[]", "1"):
            digest = self.store(text.encode())
            self.assertIsNone(self.do(self.collect())[digest].subject, text)

    def test_legacy(self) -> None:
        """Manifests of the original server, too."""
        data = image(A, B)
        self.write(legacy_key(APP, Tag("v1")), data)

        self.assertEqual(self.do(self.collect())[str(Digest.of(data))].names, {str(A), str(B)})

    def test_unreadable(self) -> None:
        """One that is damaged, no JSON, or set aside makes all unknown; one that has come back does not."""
        data = image(A, B)
        key = manifest_key(APP, Digest.of(data))
        for path, text in ((key, b"rotten"), (legacy_key(APP, Tag("v1")), b"{"), (quarantine_key(key), data)):
            self.setUp()
            self.write(path, text)
            self.refusal(self.collect(), UnreadableManifest)
        self.write(key, data)
        self.assertEqual(len(self.do(self.collect())), 1)
