"""Many clients that pull the same at once, in a process of their own (`python -m tests.upstream.crowd`).

The upstream lives in the suite's process, and must not be slowed down by reading what it has sent.
A line for each client says how its pull ended.
"""

from __future__ import annotations

import asyncio
import sys

from tests.crash.content import digest_of
from tests.crash.server import ROOT
from tests.upstream.client import Answer, ask


async def pull_together(port: int, target: str, count: int) -> list[str]:
    """Let so many clients pull; what each has got: `status digest`."""
    arguments = ["-m", "tests.upstream.crowd", str(port), target, str(count)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, cwd=str(ROOT)
    )
    output, _ = await process.communicate()
    return output.decode().splitlines()


async def _run(port: int, target: str, count: int) -> None:
    answers = await asyncio.gather(*(ask(port, "GET", target) for _ in range(count)))
    print(*map(_summary, answers), sep="\n")


def _summary(answer: Answer) -> str:
    return f"{answer.status} {digest_of(answer.body)}" if answer.whole else f"{answer}"


if __name__ == "__main__":
    asyncio.run(_run(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
