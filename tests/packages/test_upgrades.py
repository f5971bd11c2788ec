"""What older versions have stored is read."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode

from twisted.trial.unittest import SynchronousTestCase

from pkgd.packages.generations import FileRef, Generation
from pkgd.packages.indices import IndexFile, read_index

SHA256, SHA512 = "a" * 64, "b" * 128


class SecondHashTests(SynchronousTestCase):
    """Indices and generations once had a SHA-512 of each file, too."""

    def test_generation(self) -> None:
        """Of a generation's file, the second hash is left out; who has signed its packages is not known."""
        document = {
            "number": 7,
            "date": 1_790_000_000,
            "marks": "m",
            "indices": {"main/binary-amd64/Packages": "7-x"},
            "files": {"main/binary-amd64/Packages": ["7-x", "", "", 3, SHA256, SHA512]},
            "documents": {},
            "gone": [],
        }

        generation = Generation.decode(document)

        self.assertEqual(generation.files["main/binary-amd64/Packages"], FileRef("7-x", "", "", 3, SHA256))
        self.assertIsNone(generation.signers)

    def test_index(self) -> None:
        """So with the files of an index."""
        head = b64encode(b"<x>").decode()
        document = {"parts": [""], "forms": [], "files": [["", "", head, "", 3, SHA256, SHA512]], "leaves": []}
        data = json.dumps(document).encode()

        index = read_index(f"7-{hashlib.sha256(data).hexdigest()}", data)

        self.assertEqual(index.files["", ""], IndexFile(b"<x>", b"", 3, SHA256))
