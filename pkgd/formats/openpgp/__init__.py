"""OpenPGP, as far as repositories need it (RFC 4880, and RFC 9580 for version 4): keys and signatures.

Written so that gpgv, sqv, apt, rpm, dnf and zypper accept it alike: version 4, SHA-512, no critical subpackets.
"""

from pkgd.formats.openpgp.armor import armored, dearmored
from pkgd.formats.openpgp.certificates import Certificate, read_certificates
from pkgd.formats.openpgp.generate import ALGORITHMS, generate_key
from pkgd.formats.openpgp.secrets import PrivateKey, read_private_key, read_private_keys
from pkgd.formats.openpgp.signatures import cleartext, detached, rpm_header_signature, signed_by, text_signed_by

__all__ = [
    "ALGORITHMS",
    "Certificate",
    "PrivateKey",
    "armored",
    "cleartext",
    "dearmored",
    "detached",
    "generate_key",
    "read_certificates",
    "read_private_key",
    "read_private_keys",
    "rpm_header_signature",
    "signed_by",
    "text_signed_by",
]
