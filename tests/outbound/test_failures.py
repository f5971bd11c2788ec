"""Failures of the network in our words."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, TimeoutError
from twisted.internet.error import ConnectionDone, ConnectionLost, ConnectionRefusedError, DNSLookupError
from twisted.internet.error import TimeoutError as ConnectTimeoutError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseFailed, ResponseNeverReceived

from pkgd.errors import AddressRefused, UpstreamCorrupt, UpstreamTimeout, UpstreamUnavailable
from pkgd.outbound import failures


class TranslationTests(SynchronousTestCase):
    """Each stage has its own words; what is told is always of the upstream that was asked."""

    def assert_told(self, told: BaseException, kind: type[Exception], message: str) -> None:
        """It is of exactly this kind, and says this."""
        self.assertEqual((type(told), str(told)), (kind, message))

    def test_connect(self) -> None:
        """A connection is late, or does not come about."""
        for late in [TimeoutError(), ConnectTimeoutError()]:
            told = failures.of_connect(late, "a.io")
            self.assert_told(told, UpstreamTimeout, "the upstream a.io cannot be reached in time")
        for error in [ConnectionRefusedError(), DNSLookupError(), OSError(101, "unreachable")]:
            told = failures.of_connect(error, "a.io")
            self.assert_told(told, UpstreamUnavailable, "the upstream a.io cannot be reached")

    def test_innermost(self) -> None:
        """Of an error that wraps others, the one that came first counts, however deep it is."""
        inner = ResponseFailed([Failure(UpstreamTimeout("a.io", "is late")), Failure(ConnectionLost())])
        told = failures.of_exchange(ResponseFailed([Failure(inner)]), "a.io")
        self.assert_told(told, UpstreamTimeout, "the upstream a.io is late")

        told = failures.of_body(ResponseFailed([Failure(ConnectionDone()), Failure(ValueError())]), "a.io")
        self.assert_told(told, UpstreamUnavailable, "the upstream a.io closed the connection early")

        told = failures.of_body(ResponseFailed([Failure(ValueError()), Failure(ConnectionDone())]), "a.io")
        self.assert_told(told, UpstreamCorrupt, "the upstream a.io sends a malformed body")

    def test_cancelled(self) -> None:
        """What we have cancelled is not the upstream's failure, at any stage."""
        cancelled = CancelledError()
        wrapped = ResponseNeverReceived([Failure(cancelled)])

        self.assertIs(failures.of_connect(cancelled, "a.io"), cancelled)
        self.assertIs(failures.of_handshake(cancelled, "a.io"), cancelled)
        self.assertIs(failures.of_exchange(wrapped, "a.io"), cancelled)

    def test_told_already(self) -> None:
        """What is in our words stays as it is."""
        refused = AddressRefused("a.io", "may not")

        for translation in [failures.of_connect, failures.of_handshake, failures.of_exchange, failures.of_body]:
            self.assertIs(translation(refused, "b.io"), refused)

    def test_mistakes(self) -> None:
        """What is nobody's failure but ours is left alone where it cannot be taken for one."""
        mistake = ZeroDivisionError()

        self.assertIs(failures.of_connect(mistake, "a.io"), mistake)
        self.assertIs(failures.of_exchange(mistake, "a.io"), mistake)

    def test_translated(self) -> None:
        """The cause is kept behind what is told of it, for whoever debugs."""
        refused = ConnectionRefusedError()

        def connect() -> None:
            with failures.translated(failures.of_connect, "a.io"):
                raise refused

        self.assertIs(self.assertRaises(UpstreamUnavailable, connect).__cause__, refused)
