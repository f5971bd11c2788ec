"""pkgd.sqlite for tests of several rooms: in a directory of the test's, its thread the test's own or held."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.state.accounts import Accounts
from tests.fixtures import InlineReactor, InlineThreads

__all__ = ["HeldThreads", "open_accounts", "result"]


class HeldThreads(InlineThreads):
    """A pool that keeps every call until `release`."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def callInThreadWithCallback(
        self, on_result: Callable[[bool, Any], None], call: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> None:
        """Keep the call."""
        run = super().callInThreadWithCallback
        self.waiting.append(lambda: run(on_result, call, *args, **kwargs))

    def release(self) -> None:
        """Run what waits longest."""
        self.waiting.pop(0)()


def open_accounts(case: SynchronousTestCase, path: str | None = None, threads: InlineThreads | None = None) -> Accounts:
    """An open file.

    :param path: where; by default in a directory of its own.
    """
    if path is None:
        path = os.path.join(os.path.abspath(case.mktemp()), "pkgd.sqlite")
        os.makedirs(os.path.dirname(path))
    reactor: Any = InlineReactor()
    accounts = Accounts(reactor, path)
    accounts._pool.threadpool = threads or InlineThreads()
    accounts.open()
    accounts.start()
    case.addCleanup(accounts.close)
    return accounts


def result(case: SynchronousTestCase, work: Any) -> Any:
    """What a coroutine returns that doesn't wait."""
    return case.successResultOf(Deferred.fromCoroutine(work))
