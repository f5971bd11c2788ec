"""Where things are in the suite's own network: fixed, since nobody else is there."""

from __future__ import annotations

DOMAIN = "test-registry.org"
"""What all upstreams' names end in; the suite's name server knows it, and no other."""

LOOPBACK = "127.0.0.1"
ELSEWHERE = "127.0.0.2"
"""Where nobody may be sent to: connections to it are counted, and there must be none."""
ELSEWHERE_PORT = 7000
ELSEWHERE_URL = f"http://{ELSEWHERE}:{ELSEWHERE_PORT}"

PUBLIC = "11.22.33.44"
MORE_PUBLIC = ("11.22.33.45", "11.22.33.46")
"""Addresses that are nobody's here, but look like those of the Internet."""
DELIVERY = f"delivery.{DOMAIN}"
"""A public host to which upstreams may redirect, by TLS on the usual port."""
DELIVERY_URL = f"https://{DELIVERY}"

LURE = f"lure.{DOMAIN}"
"""A public name with a private address."""
PRIVATE = "10.0.0.1"
METADATA = "169.254.169.254"

FORBIDDEN = (
    "10.0.0.1",
    "10.255.255.254",
    "100.64.0.1",
    "127.0.0.2",
    "127.1.2.3",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.254",
    "192.0.0.192",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "::1",
    "fd00::1",
    "fc00:1234::1",
    "fec0::1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::1",
    "2001:db8::1",
    "100::1",
)
"""Addresses of every kind that no upstream may lead to; all of them exist in the suite's network."""
FORBIDDEN_PORTS = (80, 443, 5000, 8080)
