"""Hosts that mean harm: every way to write an address that somebody has thought of, and names that lead to one."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["CORPUS", "LEADING"]

# Addresses that nobody may be led to, each of another kind.
_TARGETS = ["127.0.0.1", "169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.1.1", "0.0.0.0", "100.100.100.200"]
_TARGETS += ["192.0.0.192", "168.63.129.16", "255.255.255.255"]

_CIRCLED = str.maketrans("0123456789", "⓪①②③④⑤⑥⑦⑧⑨")
_FULLWIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
_ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_MATHEMATICAL = str.maketrans("0123456789", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗")
_DOTS = "．。｡․"


def _numbers(address: str) -> Iterator[str]:
    """What inet_aton, and so getaddrinfo, takes for the address."""
    one, two, three, four = map(int, address.split("."))
    whole = (one << 24) + (two << 16) + (three << 8) + four
    yield from [address, f"{address}.", f"{address}:80", f"{address}.:80"]
    yield from [
        f"{whole}",
        f"{whole:#x}",
        f"{whole:#X}",
        f"{whole:#o}".replace("0o", "0"),
        f"0x{whole:08X}",
        f"00{whole:o}",
    ]
    yield from [f"{one}.{whole & 0xFFFFFF}", f"{one}.{two}.{whole & 0xFFFF}", f"{one:#x}.{whole & 0xFFFFFF:#x}"]
    yield from [f"{one:#x}.{two:#x}.{three:#x}.{four:#x}", f"0{one:o}.0{two:o}.0{three:o}.0{four:o}"]
    yield from [
        f"{one:#x}.0{two:o}.{three}.{four}",
        f"{one}.{two}.{three}.{four:#x}",
        f"{one:03}.{two:03}.{three:03}.{four:03}",
    ]
    yield from [f"{one:#06x}.{two}.{three}.{four}", f"0000{one:o}.{two}.{three}.{four}", f"{whole + (1 << 32)}"]


def _unicode(address: str) -> Iterator[str]:
    """What turns into the address when it is normalised, as browsers and IDNA do."""
    for table in [_CIRCLED, _FULLWIDTH, _ARABIC, _SUPERSCRIPT, _MATHEMATICAL]:
        yield address.translate(table)
    for dot in _DOTS:
        yield address.replace(".", dot)
    yield from [address[0] + "\u200b" + address[1:], address[0] + "\u00ad" + address[1:], f"\ufeff{address}"]
    yield from [f"\u202e{address}", f"{address}\u2060"]


def _six(address: str) -> Iterator[str]:
    """IPv6 addresses that carry it."""
    one, two, three, four = map(int, address.split("."))
    high, low = (one << 8) + two, (three << 8) + four
    yield from [f"[::ffff:{address}]", f"[::ffff:{high:x}:{low:x}]", f"[0:0:0:0:0:ffff:{address}]", f"[::{address}]"]
    yield from [f"[::{high:x}:{low:x}]", f"[64:ff9b::{address}]", f"[64:ff9b::{high:x}:{low:x}]"]
    yield from [f"[64:ff9b:1::{address}]", f"[2002:{high:x}:{low:x}::]", f"[2002:{high:x}:{low:x}::1]:5000"]
    yield from [
        f"[2001:0:5db8:d70e:0:0:{high ^ 0xFFFF:x}:{low ^ 0xFFFF:x}]",
        f"::ffff:{address}",
        f"[::FFFF:{address}]:80",
    ]


def _mixed(address: str) -> Iterator[str]:
    """A harmless name before or behind it, for parsers that stop too early or read too far."""
    yield from [f"quay.io@{address}", f"quay.io:80@{address}", f"{address}@quay.io", f"quay.io#@{address}"]
    yield from [
        f"{address}#quay.io",
        f"{address}?quay.io",
        f"{address}/quay.io",
        f"{address}\\quay.io",
        f"quay.io\\@{address}",
    ]
    yield from [f"{address}:80#@quay.io/", f"{address} quay.io", f"{address}\tquay.io", f"{address}\r\nHost: quay.io"]
    yield from [f"{address}\0quay.io", f"{address}%00quay.io", f"{address}%2fquay.io", f"{address}%23.quay.io"]
    yield from [
        "".join(f"%{ord(letter):02x}" for letter in address),
        f"http://{address}",
        f"//{address}",
        f"[{address}]",
    ]


def _leading(address: str) -> Iterator[str]:
    """Names that look like any other, and resolve to the address."""
    dashes = address.replace(".", "-")
    for suffix in ["nip.io", "sslip.io", "xip.io", "evil.com"]:
        yield from [f"{address}.{suffix}", f"{dashes}.{suffix}", f"registry.{dashes}.{suffix}:5000"]


_OTHERS = (
    [
        "localhost",
        "localhost.",
        "LOCALHOST:80",
        "localhost.localdomain",
        "ip6-localhost",
        "ip6-loopback",
        "broadcasthost",
    ]
    + ["0", "0x0", "00", "0.0", "0x7f", "127", "127.1", "127.0.1", "[::]", "[::1]", "[0:0:0:0:0:0:0:1]", "::1", "::"]
    + ["[::1%25lo]", "[::1%lo]", "[fe80::1%25eth0]", "[fe80::1%eth0]", "fe80::1%eth0", "[fd00:ec2::254]", "[fe80::1]"]
    + ["[fec0::1]", "[ff02::1]", "[2001:db8::1]", "[100::1]", "[5f00::1]", "[v1.a:b]", "[::1", "::1]", "[[::1]]", "[]"]
    + [
        "metadata",
        "metadata.google.internal",
        "metadata.google.internal.",
        "instance-data",
        "instance-data.ec2.internal",
    ]
    + ["kubernetes", "kubernetes.default.svc.cluster.local"]
    + ["host.docker.internal", "gateway.docker.internal", "registry", "intranet", "wpad", "router.lan", "printer.local"]
    + ["hidden.onion", "a.test", "a.invalid", "a.example", "a.localhost", "a.home.arpa", "1.0.0.127.in-addr.arpa"]
    + [
        "docker.io\u2024evil.com",
        "docker\u3002io",
        "\uff44ocker.io",
        "doc\u212aer.io",
        "\u1e9e.io",
        "\u0131.io",
        "xn--",
    ]
    + ["docker..io", ".docker.io", "docker.io..", "-a.io", "a-.io", "a_b.io", "*.io", "a.io:", "a.io:0", "a.io:65536"]
    + ["a.io:80:80", "a.io:0x50", "a.io:80a", "a.io: 80", "a.io;b", "a.io,b", "a.io|b", "a.io`b", "a.io$b", "a.io'b"]
    + ["file:///etc/passwd", "unix:/run/docker.sock", "unix:///run/docker.sock", "gopher://127.0.0.1", "a" * 64 + ".io"]
    + [".".join(["a"] * 130), "", " ", ".", "..", "/", "\\", "@", ":", "#", "?", "%", "\0", "\n"]
)

# Not to be called, not to be looked up: no names, or not public ones.
CORPUS: list[str] = list(
    dict.fromkeys(form for kind in (_numbers, _unicode, _six, _mixed) for address in _TARGETS for form in kind(address))
) + list(_OTHERS)

# To be looked up, and then not to be called.
LEADING: dict[str, str] = {name: address for address in _TARGETS for name in _leading(address)}
LEADING |= {"localtest.me": "127.0.0.1", "kubernetes.default": "10.96.0.1", "kubernetes.default.svc": "10.96.0.1"}
