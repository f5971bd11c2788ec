"""What went wrong with an upstream, in our words: Twisted's and OpenSSL's errors as those of `pkgd.errors`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from twisted.internet.defer import CancelledError, TimeoutError
from twisted.internet.error import ConnectError, ConnectionClosed, ConnectionLost, DNSLookupError, TCPTimedOutError
from twisted.internet.error import TimeoutError as ConnectTimeoutError
from twisted.web.client import RequestGenerationFailed, RequestTransmissionFailed, ResponseFailed

from pkgd.errors import PkgdError, UpstreamCorrupt, UpstreamTimeout, UpstreamUnavailable

__all__ = ["of_body", "of_connect", "of_exchange", "of_handshake", "translated"]

Translation = Callable[[BaseException, str], BaseException]

_LATE = (TimeoutError, ConnectTimeoutError, TCPTimedOutError)
_CLOSED = (ConnectionClosed, ConnectionLost, OSError)


@contextmanager
def translated(translation: Translation, host: str) -> Iterator[None]:
    """Whatever is raised within is raised as what the translation makes of it."""
    try:
        yield
    except Exception as error:
        told = translation(error, host)
        if told is error:
            raise
        raise told from error


def of_connect(error: BaseException, host: str) -> BaseException:
    """Why no connection came about."""
    if isinstance(error, _LATE):
        return UpstreamTimeout(host, "cannot be reached in time")
    if isinstance(error, (ConnectError, DNSLookupError, OSError)):
        return UpstreamUnavailable(host, "cannot be reached")
    return error


def of_handshake(error: BaseException, host: str) -> BaseException:
    """Why TLS was not set up."""
    if isinstance(error, _LATE):
        return UpstreamTimeout(host, "does not finish the TLS handshake in time")
    if isinstance(error, PkgdError | CancelledError):
        return error
    if "certificate verify failed" in str(error):  # OpenSSL's own words
        return UpstreamUnavailable(host, "does not show a valid certificate")
    if isinstance(error, _CLOSED):
        return UpstreamUnavailable(host, "closed the connection during the TLS handshake")
    return UpstreamUnavailable(host, "does not speak TLS as it should")


def of_exchange(error: BaseException, host: str) -> BaseException:
    """Why a request has no answer."""
    return _of_reasons(error, host, "closed the connection without an answer", "does not answer in HTTP/1.1")


def of_body(error: BaseException, host: str) -> BaseException:
    """Why a body has no end."""
    return _of_reasons(error, host, "closed the connection early", "sends a malformed body")


def _of_reasons(error: BaseException, host: str, closed: str, malformed: str) -> BaseException:
    """The first reason of an error that has several is the one that came first."""
    reason = next(_reasons(error), None)
    if reason is None:
        return error
    if isinstance(reason, PkgdError | CancelledError):
        return reason
    return UpstreamUnavailable(host, closed) if isinstance(reason, _CLOSED) else UpstreamCorrupt(host, malformed)


def _reasons(error: BaseException) -> Iterator[BaseException]:
    """What an error of the client protocol wraps; nothing if it is none of its."""
    if isinstance(error, ResponseFailed | RequestTransmissionFailed | RequestGenerationFailed):
        for failure in error.reasons:
            reason = failure.value
            assert reason is not None
            yield from _reasons(reason)
            yield reason
