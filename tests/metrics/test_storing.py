"""What is stored, what is free, and how long the disk takes."""

from __future__ import annotations

from tests.metrics.fixtures import MetricsCase


class StorageTests(MetricsCase):
    """What is told, and what is shown of it."""

    def test_operations(self) -> None:
        """How long operations take, those that fail by themselves."""
        self.metrics.storage.operation("put", "ok", 0.002)
        self.metrics.storage.operation("put", "error", 30.0)

        name, labels = "pkgd_storage_operation_duration_seconds", {"op": "put", "driver": "filesystem"}
        self.assertEqual(self.value(f"{name}_bucket", le="0.0025", result="ok", **labels), 1)
        self.assertEqual(self.value(f"{name}_bucket", le="10.0", result="error", **labels), 0)
        self.assertEqual(self.value(f"{name}_bucket", le="+Inf", result="error", **labels), 1)

    def test_stored(self) -> None:
        """Bytes and files of each kind, as they were counted last."""
        self.metrics.storage.stored("blob", 3, 300)
        self.metrics.storage.stored("blob", 2, 200)

        self.assertEqual(self.value("pkgd_storage_bytes", kind="blob"), 200)
        self.assertEqual(self.value("pkgd_storage_objects", kind="blob"), 2)

    def test_free(self) -> None:
        """What is free."""
        self.metrics.storage.free(7)
        self.assertEqual(self.value("pkgd_storage_free_bytes"), 7)
