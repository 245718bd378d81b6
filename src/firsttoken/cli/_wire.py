"""What the local upstream sends, and when: a scripted answer, or a recorded body in pieces. Pure.

The same seed makes the same bytes at the same pace, in whichever process it is asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import PurePath
from random import Random
from typing import Any, Final, NamedTuple

from firsttoken.cli._text import tokens
from firsttoken.errors import ConfigError

#: How big an event with a token is, on average.
EVENT_BYTES: Final = 1_650
#: A recorded body is cut into at least this many pieces: a client has to be able to leave in between.
MIN_PIECES: Final = 20
#: ... and sent no slower than with this mean gap (s), so that its own pace is not a stall.
_SLOWEST_GAP_S: Final = 0.06
#: So many last pieces come at once: what follows the last word is ready when it is.
_TAIL: Final = 3
_MEDIAN_GAP_S: Final = 0.021
_GAP_SIGMA: Final = 0.5
_MEAN_GAP_S: Final = _MEDIAN_GAP_S * 2.718281828 ** (_GAP_SIGMA**2 / 2)
_PROMPT_TOKENS: Final = 24
_CREATED: Final = 1_767_225_600
_RUNNERS_UP: Final = (" a", " the", " and", " time", " word", " stream", " piece", " reader", ".", ",")

CONTENT_TYPES: Final = {
    ".sse": "text/event-stream",
    ".ndjson": "application/x-ndjson",
    ".jsonl": "application/x-ndjson",
    ".json": "application/json",
    ".eventstream": "application/vnd.amazon.eventstream",
}


class Piece(NamedTuple):
    """Some bytes, and how long after the piece before them they are sent (s)."""

    delay_s: float
    data: bytes


def content_type_of(file: str) -> str:
    """Return the content type of a recorded body, by the end of its name.

    Raises: ConfigError: if no framing has that ending.
    """
    ending = PurePath(file).suffix.lower()
    if ending not in CONTENT_TYPES:
        raise ConfigError(f"a recorded body ends in one of {', '.join(CONTENT_TYPES)}; {file} does not")
    return CONTENT_TYPES[ending]


def scripted(seed: int, number: int, duration_s: float, pace: float = 1.0) -> Iterator[Piece]:
    """Yield an answer in the OpenAI chat completions wire format that takes about `duration_s`.

    pace: of the model; 1 is about 42 tokens a second.

    Source: https://platform.openai.com/docs/api-reference/chat-streaming
    """
    random = Random(f"{seed} {number}")
    first_s, count = _outline(random, duration_s, pace)
    role_s = min(0.1, first_s / 3)
    yield Piece(role_s, _event(random, number, {"role": "assistant", "content": "", "refusal": None}))
    delay_s = first_s - role_s
    for token in tokens(random, count):
        yield Piece(delay_s, _event(random, number, {"content": token}))
        delay_s = gap_s(random) / pace
    yield Piece(delay_s, _event(random, number, {}, finish="stop"))
    usage = {
        "prompt_tokens": _PROMPT_TOKENS,
        "completion_tokens": count,
        "total_tokens": _PROMPT_TOKENS + count,
    }
    yield Piece(0.0, _event(random, number, None, usage=usage))
    yield Piece(0.0, b"data: [DONE]\n\n")


def scripted_tokens(seed: int, number: int, duration_s: float, pace: float = 1.0) -> int:
    """Return how many tokens a scripted answer has, without writing it."""
    return _outline(Random(f"{seed} {number}"), duration_s, pace)[1]


def _outline(random: Random, duration_s: float, pace: float) -> tuple[float, int]:
    """Return when the first token of an answer comes (s), and how many there are."""
    first_s = min(random.lognormvariate(-0.9, 0.3), duration_s / 5)
    return first_s, max(20, int((duration_s - first_s) / _MEAN_GAP_S * pace))


def recorded(body: bytes, content_type: str, seed: int, number: int, duration_s: float) -> list[Piece]:
    """Return a recorded body in pieces as a network brings them, within `duration_s`.

    Most pieces are one event of the framing; some carry two, and some break in the middle of one.
    """
    random = Random(f"{seed} {number}")
    pieces: list[bytes] = []
    for event in _at_least(MIN_PIECES, _events(body, content_type)):
        if pieces and random.random() < 0.08:
            pieces[-1] += event
        elif len(event) > 1 and random.random() < 0.08:
            cut = random.randrange(1, len(event))
            pieces += [event[:cut], event[cut:]]
        else:
            pieces.append(event)
    gaps = [gap_s(random) if index < len(pieces) - _TAIL else 0.0 for index in range(len(pieces))]
    pace = min(_SLOWEST_GAP_S / _MEAN_GAP_S, duration_s / (sum(gaps) or 1.0))
    return [Piece(gap * pace, piece) for gap, piece in zip(gaps, pieces, strict=True)]


def gap_s(random: Random) -> float:
    """Return a gap between two tokens (s): log-normal, as those of real models nearly are."""
    return random.lognormvariate(0.0, _GAP_SIGMA) * _MEDIAN_GAP_S


def _event(
    random: Random,
    number: int,
    delta: dict[str, Any] | None,
    *,
    finish: str | None = None,
    usage: dict[str, int] | None = None,
) -> bytes:
    token = (delta or {}).get("content")
    choice = {
        "index": 0,
        "delta": delta,
        "logprobs": {"content": [_logprobs(random, token)], "refusal": None} if token else None,
        "finish_reason": finish,
    }
    chunk = {
        "id": f"chatcmpl-demo-{number}",
        "object": "chat.completion.chunk",
        "created": _CREATED,
        "model": "scripted-1",
        "service_tier": "default",
        "system_fingerprint": "fp_firsttoken",
        "choices": [] if delta is None else [choice],
        "usage": usage,
    }
    return f"data: {json.dumps(chunk, separators=(',', ':'))}\n\n".encode()


def _logprobs(random: Random, token: str) -> dict[str, Any]:
    """Return a token with five runners-up: what makes real events a kilobyte each."""
    return {
        **_logprob(token, -random.random()),
        "top_logprobs": [
            _logprob(random.choice(_RUNNERS_UP), -1 - index - random.random()) for index in range(20)
        ],
    }


def _logprob(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": round(logprob, 7), "bytes": list(token.encode())}


def _events(body: bytes, content_type: str) -> list[bytes]:
    """Cut a body after each event of its framing; nothing is lost or added."""
    if content_type == CONTENT_TYPES[".eventstream"]:
        return _frames(body)
    # A JSON array is sent element by element; the servers that do so put each on lines of its own.
    ends = rb"\r\n\r\n|\n\n|\r\r" if content_type == CONTENT_TYPES[".sse"] else rb"\r?\n"
    if content_type == CONTENT_TYPES[".json"]:
        ends = rb"\}\s*,\s*(?=\{)"
    cuts = [match.end() for match in re.finditer(ends, body)]
    return _cut(body, cuts)


def _frames(body: bytes) -> list[bytes]:
    """Cut a body of length-prefixed frames (application/vnd.amazon.eventstream)."""
    cuts, at = [], 0
    while at + 4 <= len(body):
        at += max(4, int.from_bytes(body[at : at + 4], "big"))
        cuts.append(at)
    return _cut(body, cuts)


def _cut(body: bytes, cuts: Iterable[int]) -> list[bytes]:
    bounds = [0, *(cut for cut in cuts if cut < len(body)), len(body)]
    return [body[begin:end] for begin, end in pairwise(bounds) if end > begin]


def _at_least(count: int, events: list[bytes]) -> list[bytes]:
    """Halve the longest event until there are `count`, or nothing is left to halve."""
    while len(events) < count:
        longest = max(range(len(events)), key=lambda index: len(events[index]), default=None)
        if longest is None or len(events[longest]) < 2:
            break
        event = events[longest]
        events[longest : longest + 1] = [event[: len(event) // 2], event[len(event) // 2 :]]
    return events
