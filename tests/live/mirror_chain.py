"""Mirrors in a row, as an edge cache before a site cache before the Internet: edge → middle → last → registry.

A node knows its edge only, and pulls with ctr.
Two edges stand side by side: one may ask the registry itself where the row is broken, the other is closed.
Tags are fresh for a second only: the edges meet the dead mirror also for what they hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import Any

from tests.live import mirror_node, upstreams
from tests.live.bench import Bench, Case
from tests.live.mirror_node import Node, running_node
from tests.live.mirror_stock import Stocked, light_of
from tests.live.server import LogTail, Server, Setup
from tests.live.tools import CommandFailed
from tests.live.upstreams import Upstreams, mirror_setup, running_upstreams

PROGRAMS = [*mirror_node.PROGRAMS, *upstreams.PROGRAMS]


class NotRefused(Exception):
    """Something was pulled that nobody may have had."""


def cases(bench: Bench) -> Iterator[Case]:
    """The row whole, then with the middle one killed."""
    with running_upstreams(bench) as behind, ExitStack() as stack:
        registries = behind.registries()
        last = stack.enter_context(bench.serving(_setup(bench, "last", 21711, registries)))
        middle = type(last)(_setup(bench, "middle", 21712, {}, last), bench.scratch / "middle")
        stack.callback(middle.remove)
        middle.start()
        edge = stack.enter_context(bench.serving(_setup(bench, "edge", 21713, registries, middle)))
        closed = stack.enter_context(bench.serving(_setup(bench, "closed", 21714, {}, middle, upstream_only=True)))
        node, closed_node = (
            stack.enter_context(
                running_node(bench.reaching(server, server.setup.endpoint), f"node-of-{server.setup.name}")
            )
            for server in (edge, closed)
        )
        held, *new = light_of(bench.images)
        trial = partial(_pull_through, node, held, [last, middle])
        yield Case("ctr pulls through three mirrors, ns handed on", trial, edge)
        yield Case("ctr pulls through an edge that is closed", partial(closed_node.pull_with_ctr, held), closed)
        yield Case("the registry gave each blob once", behind.each_blob_went_out_once, last)
        middle.remove()
        yield Case("middle one dead: the edge has what it had", partial(_pull_held, node, held, behind), edge)
        yield Case("middle one dead: the edge gets new ones itself", partial(_pull_all, node, new), edge)
        yield Case("middle one dead: a closed edge has what it had", partial(closed_node.pull_with_ctr, held), closed)
        trial = partial(_pull_nothing, closed_node, new[0], closed, behind)
        yield Case("middle one dead: a closed edge gets nothing new", trial, closed)


def _node_of(bench: Bench, edge: Server) -> AbstractContextManager[Node]:
    return running_node(bench.reaching(edge, edge.setup.endpoint), f"node-of-{edge.setup.name}")


def _setup(
    bench: Bench, name: str, port: int, registries: dict[str, Any], before: Server | None = None, **more: Any
) -> Setup:
    """A mirror that asks the one `before` it first, if there is one."""
    registries = dict(registries)
    if before:
        asked = before.setup.endpoint
        more["upstream_mirror"] = [asked.url]
        if asked.certificates:
            registries[asked.address] = {"ca_file": str(asked.certificates.authority)}
    return mirror_setup(bench, name, port, tag_ttl="1s", registries=registries, **more)


def _pull_through(node: Node, stocked: Stocked, mirrors: list[Server]) -> None:
    """Pull it by the node's edge; each mirror behind was told whose image it is."""
    logs = [LogTail(mirror.log) for mirror in mirrors]
    node.pull_with_ctr(stocked)
    for log in logs:
        asked = rf'"GET /v2/{stocked.name}/\S+\?ns={re.escape(stocked.host)} HTTP/[.0-9]+" 200'
        log.wait_for("a request that names the registry", asked)


def _pull_held(node: Node, stocked: Stocked, behind: Upstreams) -> None:
    with behind.untouched():
        node.pull_with_ctr(stocked)


def _pull_all(node: Node, all_stocked: list[Stocked]) -> None:
    for stocked in all_stocked:
        node.pull_with_ctr(stocked)


def _pull_nothing(node: Node, stocked: Stocked, edge: Server, behind: Upstreams) -> None:
    """The pull fails, for the edge says so; nobody asks the registry."""
    log = LogTail(edge.log)
    with behind.untouched():
        try:
            node.pull_with_ctr(stocked)
        except CommandFailed:
            log.wait_for("a refusal", rf'"HEAD /v2/{stocked.name}/manifests/\S+ HTTP/[.0-9]+" 502')
        else:
            raise NotRefused(f"{stocked.full_name} from {edge.setup.name}")
