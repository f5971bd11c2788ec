"""What goes wrong before any request: names, connections, TLS."""

from __future__ import annotations

from tests.upstream.fault import TIMEOUT, UNAVAILABLE, Fault, Gate, Lookup
from tests.upstream.scripted import Door

FAULTS = (
    Fault("connection refused", UNAVAILABLE, gate=Gate(Door.CLOSED)),
    Fault("connecting stalls", TIMEOUT, gate=Gate(Door.FULL)),
    Fault("silence after the connect", TIMEOUT, gate=Gate(Door.MUTE)),
    Fault("reset after the connect", UNAVAILABLE, gate=Gate(Door.HANGUP)),
    Fault("TLS: self-signed", UNAVAILABLE, gate=Gate(certificate="self-signed")),
    Fault("TLS: of another name", UNAVAILABLE, gate=Gate(certificate="other name")),
    Fault("TLS: expired", UNAVAILABLE, gate=Gate(certificate="expired")),
    Fault("TLS: of another authority", UNAVAILABLE, gate=Gate(certificate="other authority")),
    Fault("TLS: plain HTTP on the port", UNAVAILABLE, gate=Gate(certificate="good", plain=True)),
    Fault("TLS: silence", TIMEOUT, gate=Gate(Door.MUTE, certificate="good")),
    Fault("TLS: reset in the handshake", UNAVAILABLE, gate=Gate(Door.HANGUP, certificate="good")),
    Fault("DNS: no such name", UNAVAILABLE, gate=Gate(lookup=Lookup.ABSENT)),
    Fault("DNS: server failure", UNAVAILABLE, gate=Gate(lookup=Lookup.FAILED)),
    Fault("DNS: silence", UNAVAILABLE | TIMEOUT, gate=Gate(lookup=Lookup.SILENT)),
)
