"""What clients make of a repository, written anew: nothing here is shared with what publishes."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["Suite", "expanded", "read_rpm_repository", "read_suite", "stanzas"]

Suite = dict[str, list[dict[str, str]]]
Fetch = Callable[[str], bytes]
_REPO = "{http://linux.duke.edu/metadata/repo}"
_COMMON = "{http://linux.duke.edu/metadata/common}"


def expanded(path: str, data: bytes) -> bytes:
    """A file's text, by the end of its name. Of xz only one stream is read, as apt does it."""
    if path.endswith(".gz"):
        return gzip.decompress(data)
    if path.endswith(".zst"):
        # One frame after the other.
        return zstd.ZstdFile(io.BytesIO(data)).read()
    if path.endswith(".xz"):
        reader = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        text = reader.decompress(data)
        assert reader.eof, "less than one stream"
        assert not reader.unused_data, "more than one stream"
        return text
    return data


def stanzas(text: bytes) -> list[dict[str, str]]:
    """The stanzas of an index."""
    found = []
    for block in text.decode().split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if line[:1] == " ":
                fields[name] += "\n" + line
            else:
                name, _, value = line.partition(":")
                assert name not in fields, "a field twice"
                fields[name] = value.strip()
        if fields:
            found.append(fields)
    return found


def read_suite(fetch: Fetch, suite: str, prefix: str = "") -> Suite:
    """Everything that Release names: fetched by path and by hash, checked, parsed, and every package's file, too.

    Index without compression -> its stanzas, or its lines.
    """
    base = f"{prefix}dists/{suite}/"
    signed = fetch(base + "InRelease")
    release = signed.removeprefix(b"SIGNED\n").removesuffix(b"END\n")
    if not prefix:
        assert fetch(base + "Release") == release, "InRelease and Release differ"
    (fields,) = stanzas(release)
    assert not {"MD5Sum", "SHA1", "SHA512"} & fields.keys(), "what apt asks for by hash is SHA256 alone"
    texts: Suite = {}
    for line in fields["SHA256"].split("\n")[1:]:
        digest, size, path = line.split()
        data = fetch(base + path)
        assert (len(data), hashlib.sha256(data).hexdigest()) == (int(size), digest), f"{path} is another"
        directory = path.rpartition("/")[0]
        assert fetch(f"{base}{directory}/by-hash/SHA256/{digest}") == data, f"{path} by hash is another"
        stem = path.removesuffix(".gz").removesuffix(".zst").removesuffix(".xz")
        found = (_lines if "/Contents-" in path else stanzas)(expanded(path, data))
        assert texts.setdefault(stem, found) == found, f"{path} says something else"
    _check_files(fetch, texts)
    return texts


def _lines(text: bytes) -> list[dict[str, str]]:
    """The lines of Contents: paths, a letter for each byte, and who has them."""
    rows = [line.decode("latin-1").rsplit(None, 1) for line in text.splitlines()]
    assert [path for path, _ in rows] == sorted({path for path, _ in rows}), "a path twice, or not in its place"
    return [{"path": path, "locations": locations} for path, locations in rows]


def _check_files(fetch: Fetch, texts: Suite) -> None:
    for found in texts.values():
        for one in found:
            if "path" in one:
                continue
            if "Filename" in one:
                data = fetch(one["Filename"])
                assert (len(data), hashlib.sha256(data).hexdigest()) == (int(one["Size"]), one["SHA256"])
                continue
            for line in one["Checksums-Sha256"].split("\n")[1:]:
                digest, size, name = line.split()
                data = fetch(f"{one['Directory']}/{name}")
                assert (len(data), hashlib.sha256(data).hexdigest()) == (int(size), digest)


def read_rpm_repository(fetch: Fetch, prefix: str = "") -> Mapping[str, list[str]]:
    """Everything that repomd.xml names: fetched, checked, parsed, and every package's file, too.

    Type of document -> the pkgids in it, or its text if it has none.
    """
    text = fetch(f"{prefix}repodata/repomd.xml")
    signature = fetch(f"{prefix}repodata/repomd.xml.asc")
    assert signature == b"SIGNATURE " + hashlib.sha256(text).hexdigest().encode(), "another signature"
    found: dict[str, list[str]] = {}
    for data in ET.fromstring(text).iter(f"{_REPO}data"):  # noqa: S314 – our own
        location = data.find(f"{_REPO}location").attrib["href"]
        content = fetch(prefix + location)
        plain = expanded(location, content)
        for whole, kind in ((content, ""), (plain, "open-")):
            assert data.find(f"{_REPO}{kind}checksum").text == hashlib.sha256(whole).hexdigest(), location
            assert data.find(f"{_REPO}{kind}size").text == str(len(whole)), location
        found[data.attrib["type"]] = _packages(fetch, data.attrib["type"], plain)
    return found


def _packages(fetch: Fetch, kind: str, plain: bytes) -> list[str]:
    if kind not in ("primary", "filelists", "other"):
        return [plain.decode()]
    root = ET.fromstring(plain)  # noqa: S314 – our own
    assert int(root.attrib["packages"]) == len(root), "another number of packages"
    if kind != "primary":
        return [one.attrib["pkgid"] for one in root]
    for one in root:
        data = fetch(one.find(f"{_COMMON}location").attrib["href"])
        assert hashlib.sha256(data).hexdigest() == one.find(f"{_COMMON}checksum").text
        assert one.find(f"{_COMMON}size").attrib["package"] == str(len(data))
    return [one.find(f"{_COMMON}checksum").text or "" for one in root]
