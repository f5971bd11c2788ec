"""The daemon's metrics: the names that operators query, and the text as a whole."""

from __future__ import annotations

import gc
import platform

from prometheus_client.parser import text_string_to_metric_families

import twisted
from pkgd import __version__
from pkgd.metrics import Metrics, Total
from pkgd.web.requestmetrics import BUCKETS
from tests.metrics.fixtures import MetricsCase

NO_BUCKETS = [0.0] * (len(BUCKETS) + 1)
# What operators are promised: each name with its labels. `python_gc_*` and `process_*` come with prometheus_client.
PROMISED = """
pkgd_build_info{version,python,twisted}
pkgd_process_start_time_seconds
pkgd_http_requests_total{handler,method,code}
pkgd_http_request_duration_seconds{handler,method}
pkgd_http_request_first_byte_seconds{handler,method}
pkgd_http_requests_in_flight{handler}
pkgd_http_sent_bytes_total{handler}
pkgd_http_received_bytes_total{handler}
pkgd_auth_requests_total{method,result}
pkgd_auth_backend_duration_seconds{backend,result}
pkgd_auth_cache_hits_total
pkgd_auth_cache_misses_total
pkgd_auth_users_stale
pkgd_mirror_requests_total{upstream,kind,result}
pkgd_mirror_upstream_duration_seconds{upstream,code}
pkgd_mirror_upstream_ratelimit_remaining{upstream}
pkgd_mirror_upstream_received_bytes_total{upstream}
pkgd_mirror_evicted_bytes_total{upstream}
pkgd_mirror_cached_bytes{upstream}
pkgd_upstream_circuit_open{upstream}
pkgd_storage_operation_duration_seconds{op,driver,result}
pkgd_storage_bytes{kind}
pkgd_storage_objects{kind}
pkgd_storage_free_bytes
pkgd_storage_reserved
pkgd_uploads_active
pkgd_uploads_expired_total
pkgd_publish_duration_seconds{type}
pkgd_publish_last_success_timestamp_seconds{repo}
pkgd_publish_failures_total{repo}
pkgd_signing_key_expiry_timestamp_seconds{key,fingerprint}
pkgd_tls_certificate_expiry_timestamp_seconds
pkgd_gc_deleted_bytes_total
pkgd_gc_deleted_objects_total
pkgd_gc_last_run_timestamp_seconds
pkgd_scrub_corrupt_objects_total
pkgd_retention_removed_total{kind}
pkgd_config_last_reload_successful
pkgd_config_last_reload_success_timestamp_seconds
pkgd_reactor_lag_seconds
pkgd_threadpool_queue{pool}
"""


def promised(text: str) -> tuple[str, frozenset[str]]:
    """Name and labels."""
    name, _, labels = text.rstrip("}").partition("{")
    return name, frozenset(labels.split(",") if labels else ())


class NameTests(MetricsCase):
    """The names are an interface: dashboards and alerts of others have them."""

    def tell_everything(self) -> None:
        """Let everything have a series."""
        metrics = self.metrics
        metrics.count_requests(lambda: [Total("v2", "GET", "200", 1.0, 1.0, 1, 1, NO_BUCKETS, NO_BUCKETS)], BUCKETS)
        metrics.requests_in_flight({"v2": 1})
        metrics.auth.use(["ldap"])
        metrics.auth.request("key", "ok")
        metrics.auth.backend_answered("ldap", "ok", 1.0)
        metrics.mirror.use(["docker.io"])
        metrics.mirror.mirror_request("docker.io", "blob", "hit")
        metrics.mirror.upstream_exchange("docker.io", "200", 1.0)
        metrics.mirror.ratelimit_remaining("docker.io", 1)
        metrics.storage.operation("stat", "ok", 1.0)
        metrics.storage.stored("blob", 1, 1)
        metrics.publishing.use(["apt:main"])
        metrics.publishing.of("apt", "main").published(1.0, 1.0)
        metrics.keys_expire({("default", "ab12"): 1.0})
        metrics.certificate_expiry(1.0)
        metrics.waiting_calls({"disk": 1})
        metrics.removed_by_rule("tag")

    def test_promised(self) -> None:
        """Everything that is promised is there with just these labels, and nothing of ours beside it."""
        self.tell_everything()
        found = set()
        for family in text_string_to_metric_families(self.metrics.render()[0].decode("utf-8")):
            if family.name.startswith("pkgd_"):
                name = f"{family.name}_total" if family.type == "counter" else family.name
                found |= {(name, frozenset(sample.labels) - {"le"}) for sample in family.samples}
        self.assertEqual(found ^ {promised(one) for one in PROMISED.split()}, set())


class ServerTests(MetricsCase):
    """What the server says of itself."""

    def test_gauges(self) -> None:
        """Uploads, waiting calls and the certificate's end."""
        self.metrics.uploads(3, 2)
        self.metrics.uploads(1, 2)
        self.metrics.waiting_calls({"disk": 4})
        self.assertIsNone(self.value("pkgd_tls_certificate_expiry_timestamp_seconds"))
        self.metrics.certificate_expiry(8.0)
        self.metrics.certificate_expiry(9.0)
        self.assertEqual(self.value("pkgd_uploads_active"), 1)
        self.assertEqual(self.value("pkgd_uploads_expired_total"), 4)
        self.assertEqual(self.value("pkgd_threadpool_queue", pool="disk"), 4)
        self.assertEqual(self.value("pkgd_tls_certificate_expiry_timestamp_seconds"), 9)

    def test_lag(self) -> None:
        """Lateness of the reactor goes into buckets."""
        self.metrics.reactor_late(0.3)
        self.assertEqual(self.value("pkgd_reactor_lag_seconds_bucket", le="0.25"), 0)
        self.assertEqual(self.value("pkgd_reactor_lag_seconds_bucket", le="0.5"), 1)

    def test_sampled(self) -> None:
        """What is sampled is asked before every text."""
        sizes = iter([1, 2])
        self.metrics.sampled(lambda: self.metrics.storage.free(next(sizes)))
        self.metrics.sample()
        self.metrics.sample()
        self.assertEqual(self.value("pkgd_storage_free_bytes"), 2)


class TextTests(MetricsCase):
    """The text as a whole."""

    def test_content_type(self) -> None:
        """The text says which version of the format it is."""
        self.assertEqual(self.metrics.render()[1], "text/plain; version=0.0.4; charset=utf-8")

    def test_build(self) -> None:
        """What runs stands there as labels."""
        build = {"version": __version__, "python": platform.python_version(), "twisted": twisted.__version__}

        self.assertEqual(self.value("pkgd_build_info", **build), 1.0)

    def test_key_expiry(self) -> None:
        """Of each signing key that expires: when; of one that is not used any more, nothing."""
        self.metrics.keys_expire({("release", "ab12"): 1_800_000_000, ("old", "cd34"): 1.0})
        self.metrics.keys_expire({("release", "ab12"): 1_800_000_000})

        labels = {"key": "release", "fingerprint": "ab12"}
        self.assertEqual(self.value("pkgd_signing_key_expiry_timestamp_seconds", **labels), 1_800_000_000)
        self.assertEqual(len(self.samples("pkgd_signing_key_expiry_timestamp_seconds")), 1)

    def test_start(self) -> None:
        """The start is a time of the wall clock."""
        self.assertEqual(self.value("pkgd_process_start_time_seconds"), 1_750_000_000.5)

    def test_process(self) -> None:
        """The process, its collector and its interpreter are described as everywhere."""
        gc.collect()

        self.assertGreater(self.value("process_open_fds") or 0, 2)
        self.assertGreater(self.value("process_resident_memory_bytes") or 0, 1 << 20)
        self.assertGreater(self.value("python_gc_collections_total", generation="2") or 0, 0)
        self.assertEqual(len(self.samples("python_info")), 1)

    def test_only_ours(self) -> None:
        """Two daemons in one process do not count together, and nothing says when a counter began."""
        self.metrics.mirror.mirror_request("docker.io", "blob", "hit")

        self.assertNotIn(b"_created", self.metrics.render()[0])
        self.metrics = Metrics()
        self.assertEqual(self.samples("pkgd_mirror_requests_total"), {})
