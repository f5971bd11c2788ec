"""Packets and numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidKey
from pkgd.formats.openpgp.packets import MAX_BYTES, Fields, Packet, mpi, read_packets
from tests.properties import bounded


class PacketTests(SynchronousTestCase):
    """A packet is a tag, a length and a body."""

    def test_golden(self) -> None:
        """The header is in the new format, with one, two or five octets of length (RFC 4880, 4.2.2)."""
        for size, header in ((0, "cd00"), (191, "cdbf"), (192, "cdc000"), (8383, "cddfff"), (8384, "cdff000020c0")):
            encoded = Packet(13, bytes(size)).encode()

            self.assertEqual(encoded, bytes.fromhex(header) + bytes(size))

    @bounded
    @given(st.lists(st.tuples(st.integers(0, 63), st.binary(max_size=20) | st.just(bytes(9000)))))
    def test_round_trip(self, pairs: list[tuple[int, bytes]]) -> None:
        """Packets are read as they were written."""
        packets = [Packet(*pair) for pair in pairs]

        self.assertEqual(read_packets(b"".join(one.encode() for one in packets)), packets)

    def test_old_format(self) -> None:
        """Headers of the old format are read, with one, two and four octets of length (RFC 4880, 4.2.1)."""
        for header in ("b403", "b50003", "b600000003"):
            self.assertEqual(read_packets(bytes.fromhex(header) + b"bob"), [Packet(13, b"bob")])

    def test_refused(self) -> None:
        """No packet, a body that ends early, and lengths that aren't known beforehand are refused."""
        for data in ("00", "41", "cd", "cd05aa", "cdc0", "cdff0000", "cdffffffffff00", "b7aa", "cde1aa"):
            self.assertRaises(InvalidKey, read_packets, bytes.fromhex(data))

    def test_limits(self) -> None:
        """There are limits of size and of number."""
        self.assertRaises(InvalidKey, read_packets, Packet(13, bytes(MAX_BYTES)).encode())
        self.assertRaises(InvalidKey, read_packets, Packet(13, b"").encode() * 5000)

    @bounded
    @given(st.binary(max_size=200))
    def test_any_bytes(self, data: bytes) -> None:
        """Whatever the bytes are: packets, or `InvalidKey`."""
        try:
            packets = read_packets(data)
        except InvalidKey:
            return
        self.assertLessEqual(sum(len(one.body) for one in packets), len(data))


class NumberTests(SynchronousTestCase):
    """Multiprecision integers (RFC 4880, 3.2)."""

    def test_golden(self) -> None:
        """The length is that of the bits without leading zeros."""
        self.assertEqual([mpi(0), mpi(1), mpi(511)], [b"\0\0", b"\0\x01\x01", b"\0\x09\x01\xff"])

    @bounded
    @given(st.integers(0, 1 << 4096))
    def test_round_trip(self, value: int) -> None:
        """A number is read as it was written."""
        self.assertEqual(Fields(mpi(value)).mpi(), value)

    def test_too_short(self) -> None:
        """One that ends early is refused."""
        self.assertRaises(InvalidKey, Fields(b"\0\x09\x01").mpi)


class FieldsTests(SynchronousTestCase):
    """A body is read from front to back."""

    def test_order(self) -> None:
        """Each read goes on where the last has ended, and the rest is what is left."""
        fields = Fields(b"\x01\x02\x03abc")

        self.assertEqual((fields.number(1), fields.number(2), fields.rest, fields.at_end), (1, 0x203, b"abc", False))

    def test_failed_read(self) -> None:
        """A read that fails takes nothing."""
        fields = Fields(b"ab")

        self.assertRaises(InvalidKey, fields.take, 3)
        self.assertEqual((fields.take(2), fields.at_end), (b"ab", True))
