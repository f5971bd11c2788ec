"""Manifests: JSON that is none, JSON that hurts, and documents that mean two things."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.hostile.case import CONFIG, Case, Flood, case, get, request, shown, sized

_TARGET = b"PUT /v2/hostile/app/manifests/corpus HTTP/1.1"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_TYPE = f"Content-Type: {_MANIFEST}".encode()
_LIMIT = 4 << 20
_NO_JSON: dict[str, bytes] = {
    "empty": b"",
    "space": b" ",
    "null": b"null",
    "true": b"true",
    "a number": b"1",
    "a string": b'"x"',
    "a list": b"[]",
    "an empty object": b"{}",
    "cut": b'{"schemaVersion": 2',
    "two documents": b"{}{}",
    "garbage after": b"{} x",
    "a comment": b"{/* */}",
    "a comma too many": b'{"schemaVersion": 2,}',
    "single quotes": b"{'schemaVersion': 2}",
    "no quotes": b"{schemaVersion: 2}",
    "BOM": b"\xef\xbb\xbf{}",
    "UTF-16": "{}".encode("utf-16"),
    "UTF-32": "{}".encode("utf-32"),
    "NUL": b"\x00",
    "NUL after": b"{}\x00",
    "invalid UTF-8": b'{"schemaVersion": 2, "x": "\xff\xfe"}',
    "control character in a string": b'{"schemaVersion": 2, "x": "\n"}',
    "HTML": b"<html></html>",
    "XML bomb": b'<!DOCTYPE a [<!ENTITY b "bbbbbbbb">]><a>&b;</a>',
    "pickle": b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.",
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
    "YAML": b"schemaVersion: 2\nconfig: !!python/object/apply:os.system [id]\n",
    "arrays nested 1000 deep": b"[" * 1000 + b"]" * 1000,
    "arrays nested 100000 deep": b"[" * 100_000 + b"]" * 100_000,
    "arrays opened 4000000 times": b"[" * 4_000_000,
    "objects nested 100000 deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "objects opened 800000 times": b'{"a":' * 800_000,
    "a string without an end": b'"' + b"a" * 4_000_000,
    "backslashes": b'"' + b"\\" * 3_999_999,
    "spaces": b" " * 4_000_000,
    "digits": b"1" * 4_000_000,
    "commas": b"[" + b"," * 3_000_000,
}
_EXTRA: dict[str, str] = {
    "NaN": "NaN",
    "Infinity": "Infinity",
    "-Infinity": "-Infinity",
    "a number of 5000 digits": "1" * 5000,
    "a negative number of 5000 digits": "-" + "1" * 5000,
    "a leading zero": "01",
    "a plus": "+1",
    "hex": "0x10",
    "a bare point": ".5",
    "a bad escape": '"\\x41"',
    "a bad unicode escape": '"\\uZZZZ"',
    "100 levels": "[" * 100 + "]" * 100,
    "5000 levels": "[" * 5000 + "]" * 5000,
}
_ODD_EXTRA: dict[str, str] = {
    "a lone surrogate": '"\\ud800"',
    "a huge exponent": "1e99999",
    "a tiny exponent": "1e-99999",
    "2^64": "18446744073709551616",
    "an escaped NUL": '"\\u0000"',
    "20 levels": "[" * 20 + "]" * 20,
    "100000 keys": "{" + ",".join(f'"k{n}":1' for n in range(100_000)) + "}",
    "500000 numbers": "[" + ",".join("1" for _ in range(500_000)) + "]",
}


def _document(**changes: object) -> bytes:
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": CONFIG.decode(), "size": 2}
    document = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": [], **changes}
    return json.dumps({key: value for key, value in document.items() if value is not None}).encode()


def _layer(**changes: object) -> list[object]:
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": CONFIG.decode(), "size": 2, **changes}
    return [{key: value for key, value in layer.items() if value is not None}]


_ZEROS = "sha256:" + "0" * 64
_BAD_DOCUMENTS: dict[str, bytes] = {
    "config null": _document(config="x").replace(b'"x"', b"null"),
    "config a string": _document(config="x"),
    "config a list": _document(config=[]),
    "config empty": _document(config={}),
    "config with a bad digest": _document(config={"mediaType": "x/y", "digest": "../../etc/passwd", "size": 2}),
    "config not there": _document(config={"mediaType": "x/y", "digest": _ZEROS, "size": 2}),
    "layers an object": _document(layers={}),
    "layers a string": _document(layers="x"),
    "layers of numbers": _document(layers=[1, 2]),
    "layers of null": _document(layers=[None]),
    "layers of lists": _document(layers=[[]]),
    "layer not there": _document(layers=_layer(digest=_ZEROS)),
    "layer without a digest": _document(layers=_layer(digest=None)),
    "layer digest a number": _document(layers=_layer(digest=5)),
    "layer digest a traversal": _document(layers=_layer(digest="sha256:../../../../etc/passwd")),
    "layer digest in capitals": _document(layers=_layer(digest="sha256:" + "A" * 64)),
    "layer digest with a line end": _document(layers=_layer(digest=_ZEROS + "\n")),
    "layer digest of an unknown algorithm": _document(layers=_layer(digest="md5:" + "0" * 32)),
    "layer size negative": _document(layers=_layer(size=-1)),
    "layer size a string": _document(layers=_layer(size="2")),
    "layer size a fraction": _document(layers=_layer(size=2.5)),
    "layer size true": _document(layers=_layer(size=True)),
    "layer size null": _document(layers=_layer(size="x")).replace(b'"x"', b"null"),
    "layer size of 5000 digits": _document(layers=_layer(size="x")).replace(b'"x"', b"9" * 5000),
    "layer size NaN": _document(layers=_layer(size="x")).replace(b'"x"', b"NaN"),
    "layers and manifests": _document(manifests=[]),
    "other media type than announced": _document(mediaType=_INDEX),
    "media type a number": _document(mediaType=5),
    "media type with a line end": _document(mediaType=_MANIFEST + "\r\nX-Injected: yes"),
    "subject a string": _document(subject="x"),
    "subject with a bad digest": _document(subject={"mediaType": _MANIFEST, "digest": "x", "size": 2}),
    "schema version 1": _document(schemaVersion=1),
    "schema version a string": _document(schemaVersion="2"),
    "duplicate key": _document()[:-1] + b', "schemaVersion": 2}',
    "duplicate layers": _document()[:-1] + b', "layers": []}',
    "duplicate key in the config": _document().replace(b'"size": 2', b'"size": 2, "size": 3'),
    "duplicate key, escaped": _document()[:-1] + b', "l\\u0061yers": []}',
}
_ODD_DOCUMENTS: dict[str, bytes] = {
    "no schema version": _document(schemaVersion=None),
    "schema version 3": _document(schemaVersion=3),
    "annotations a list": _document(annotations=[]),
    "annotations of numbers": _document(annotations={"a": 1}),
    "annotation with markup": _document(annotations={"a": "<script>alert(1)</script>\u0000\u2028"}),
    "artifact type with a line end": _document(artifactType="a/b\r\nX-Injected: yes"),
    "layer size 2^63": _document(layers=_layer(size=1 << 63)),
    "layer size wrong": _document(layers=_layer(size=3)),
    "100000 layers": _document(layers=_layer() * 20_000),
}
_AWKWARD_STRINGS = (
    r'"\ud800"',
    r'"\udc00\ud800"',
    r'"\u0000"',
    r'"\u2028"',
    r'"\uffff"',
    r'"\r\nX: y"',
    r'"</script>"',
)
_TYPES: dict[str, tuple[bytes, ...]] = {
    "none": (),
    "empty": (b"Content-Type:",),
    "form": (b"Content-Type: application/x-www-form-urlencoded",),
    "multipart": (b"Content-Type: multipart/form-data; boundary=x",),
    "text": (b"Content-Type: text/html",),
    "no slash": (b"Content-Type: json",),
    "schema 1": (b"Content-Type: application/vnd.docker.distribution.manifest.v1+prettyjws",),
    "two": (_TYPE, b"Content-Type: text/html"),
    "high bytes": (b"Content-Type: \xff\xfe",),
    "5000 bytes": (b"Content-Type: a/" + b"b" * 5000,),
    "5000 parameters": (_TYPE + b";a=b" * 5000,),
    "charset": (_TYPE + b"; charset=utf-7",),
}


def cases() -> Iterator[Case]:
    """Syntax, meaning, types, and size."""
    for name, data in _NO_JSON.items():
        yield case("manifest", f"no JSON: {name}", "400", sized(_TARGET, data, _TYPE))
    for name, text in _EXTRA.items():
        yield case("manifest", f"with {name}", "400", sized(_TARGET, _with_extra(text), _TYPE))
    for name, text in _ODD_EXTRA.items():
        yield case("manifest", f"with {name}", "201 400", sized(_TARGET, _with_extra(text), _TYPE))
    for name, data in _BAD_DOCUMENTS.items():
        yield case("manifest", f"bad: {name}", "400 404", sized(_TARGET, data, _TYPE))
    for name, data in _ODD_DOCUMENTS.items():
        yield case("manifest", f"odd: {name}", "201 400", sized(_TARGET, data, _TYPE))
    for name, fields in _TYPES.items():
        yield case("manifest", f"content type {name}", "201 400 415", sized(_TARGET, _document(), *fields))
    yield from _listed()
    yield case("manifest", "good", "201", sized(_TARGET, _document(), _TYPE))
    yield from _sizes()


def _listed() -> Iterator[Case]:
    """Strings that the list of referrers copies from manifests: whoever takes them must be able to list them."""
    subject = "sha256:" + "5" * 64
    for number, text in enumerate(_AWKWARD_STRINGS):
        key = f'"x{number}": {text}, {text}: "x"'
        document = _document(subject={"mediaType": _MANIFEST, "digest": subject, "size": 2}, annotations={})
        put = sized(_TARGET, document.replace(b'"annotations": {}', b'"annotations": {%b}' % key.encode()), _TYPE)
        listing = get(b"/v2/hostile/app/referrers/" + subject.encode())
        yield case("manifest", f"listed with {text}", "201 400, 200", put + listing)


def _sizes() -> Iterator[Case]:
    for size in (_LIMIT + 1, 5 << 20, 16 << 20):
        body = Flood(b" " * 65_536, size // 65_536), b" " * (size % 65_536)
        yield case("manifest", f"{size} bytes", "413", request(_TARGET, _TYPE, b"Content-Length: %d" % size), *body)
    for size in (1 << 30, 1 << 40, (1 << 63) - 1):
        head = request(_TARGET, _TYPE, b"Content-Length: %d" % size)
        yield case("manifest", f"{shown(b'%d' % size)} bytes announced, nothing sent", "413", head)
        yield case(
            "manifest", f"{shown(b'%d' % size)} bytes announced, 8 MiB sent", "413", head, Flood(b" " * 65_536, 128)
        )
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    head = request(_TARGET, _TYPE, b"Transfer-Encoding: chunked")
    yield case("manifest", "chunked, 16 MiB", "413", head, Flood(chunk, 256), b"0\r\n\r\n")
    yield case("manifest", "chunked, 8 MiB without an end", "413", head, Flood(chunk, 128))


def _with_extra(text: str) -> bytes:
    """A good manifest with one more key, of this value."""
    return _document()[:-1] + b', "org.example.extra": ' + text.encode() + b"}"
