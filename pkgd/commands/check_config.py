"""The commands `pkgd check-config` and `pkgd config-schema`: whether a configuration can be used, and what one is."""

from __future__ import annotations

import os
import time
from typing import Any

import msgspec

from pkgd.commands.common import INTERRUPTED, WithConfig
from pkgd.config import json_schema, load, masked, read_passphrase, read_password

__all__ = ["CheckOptions", "print_schema", "run"]


class CheckOptions(WithConfig):
    """The command line."""

    optFlags = [
        ["print", None, "Print the effective configuration."],
        ["online", None, "Ask every back end and issuer of auth, too, without credentials."],
    ]


def run(options: Any) -> int:
    """Check it."""
    config = load(options["config"], os.environ)
    tls = config.server.tls
    if tls.certificate is not None and tls.key is not None:
        from pkgd.web.tls import load_context

        load_context(tls.certificate, tls.key)
    for host, registry in config.mirror.registries.items():
        read_password(host, registry)
    for name, key in config.signing.keys.items():
        read_passphrase(name, key)
    if options["print"]:
        print(msgspec.yaml.encode(masked(config)).decode("utf-8"), end="")
    else:
        print("the configuration can be used")
    return _check_online(config) if options["online"] else 0


def _check_online(config: Any) -> int:
    """Ask whom the configuration names; returns the exit status."""
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred

    from pkgd.online_check import check

    loop: Any = reactor
    outcome: list[Any] = []

    def begin() -> None:
        checking = Deferred.fromCoroutine(check(loop, config, time.time, print))
        checking.addBoth(outcome.append).addBoth(lambda _: loop.stop())

    loop.callWhenRunning(begin)
    loop.run()
    if not outcome:
        return INTERRUPTED
    if outcome[0] is not True and outcome[0] is not False:
        outcome[0].raiseException()
    return 0 if outcome[0] else 1


def print_schema(_: Any) -> None:
    """Print the JSON Schema."""
    print(msgspec.json.format(msgspec.json.encode(json_schema())).decode("utf-8"))
