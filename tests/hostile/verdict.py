"""Judges what came back for a case: directly every rule holds, behind the proxy those that pkgd answers for."""

from __future__ import annotations

import json
import re

from tests.hostile.case import CLOSED, Case
from tests.hostile.conversation import UPSTREAM_STATUS, Answer, Conversation

_PROXY_MAY_ANSWER = frozenset({501, 505})
_LARGEST_BODY = 2 << 20
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] \d{3} ")
_LEAK = re.compile(rb"Traceback|File \"|/site-packages/|\bat 0x[0-9a-f]{6,}")


def faults_of(case: Case, conversation: Conversation, edge: bool) -> list[str]:
    """What is wrong with the conversation, in words; nothing if it is good."""
    faults = list(conversation.faults)
    faults += _edge_faults(case, conversation) if edge else _direct_faults(case, conversation)
    for number, answer in enumerate(conversation.answers):
        made_by_proxy = edge and not answer.values(UPSTREAM_STATUS)
        if not made_by_proxy:
            faults += _answer_faults(case, answer, case.answers_head(number))
    return faults


def _direct_faults(case: Case, conversation: Conversation) -> list[str]:
    faults = []
    got = [answer.status for answer in conversation.answers]
    for number, expected in enumerate(case.expected):
        status = got[number] if number < len(got) else CLOSED
        if status not in expected and not (status == CLOSED and _ended(conversation)):
            wanted = " ".join(map(_word, sorted(expected)))
            faults.append(f"answer {number + 1} is {_word(status)}, expected {wanted}")
    if case.interim is not None and conversation.interim != case.interim:
        faults.append(f"{conversation.interim} times 100 Continue, expected {case.interim}")
    return faults


def _ended(conversation: Conversation) -> bool:
    """Whether the server refused an earlier request of the case and said that it would read no other."""
    return bool(conversation.answers) and conversation.answers[-1].closes and conversation.answers[-1].status >= 400


def _edge_faults(case: Case, conversation: Conversation) -> list[str]:
    faults = []
    permitted = _PROXY_MAY_ANSWER.union(*case.expected)
    for answer in conversation.answers:
        if answer.status >= 500 and answer.status not in permitted:
            source = "passed on" if answer.values(UPSTREAM_STATUS) else "made"
            faults.append(f"the proxy {source} a {answer.status}: {answer.values(UPSTREAM_STATUS)}")
    return faults


def _answer_faults(case: Case, answer: Answer, bodiless: bool) -> list[str]:
    faults = []
    if len(answer.values("content-length")) > 1 or len(answer.values("transfer-encoding")) > 1:
        faults.append(f"ambiguous framing of the answer: {answer.fields}")
    if any(not value.startswith("/") or value.startswith("//") for value in answer.values("location")):
        faults.append(f"Location is not a path: {answer.values('location')}")
    if _LEAK.search(answer.body) and answer.status >= 400:
        faults.append(f"the answer tells of the inside: {answer.body[:300]!r}")
    if _STATUS_LINE.search(answer.body) and answer.status >= 400:
        faults.append(f"desync: an answer within the answer: {answer.body[:300]!r}")
    if len(answer.body) > _LARGEST_BODY:
        faults.append(f"an answer of {len(answer.body)} bytes")
    if 400 <= answer.status < 500 and case.speaks_to_api and not bodiless:
        faults += _document_faults(answer)
    return faults


def _document_faults(answer: Answer) -> list[str]:
    """An OCI error document: `errors`, each with a code in capitals and a message."""
    if [value.partition(";")[0] for value in answer.values("content-type")] != ["application/json"]:
        return [f"{answer.status} with Content-Type {answer.values('content-type')}, body {answer.body[:100]!r}"]
    try:
        errors = json.loads(answer.body)["errors"]
        good = bool(errors) and all(re.fullmatch(r"[A-Z_]+", error["code"]) and error["message"] for error in errors)
    except (ValueError, KeyError, TypeError):
        good = False
    return [] if good else [f"{answer.status} without an OCI error document: {answer.body[:200]!r}"]


def _word(status: int) -> str:
    return "closed" if status == CLOSED else str(status)
