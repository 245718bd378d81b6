"""Streams as a decoder meets them, read with and without the shortcut past chunks that are alike."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

from firsttoken._record.record import Detail, StreamRecord
from firsttoken._think.tally import Tally
from firsttoken._wrap.reader import Reader
from firsttoken.asgi._stream import BodyStream
from firsttoken.decoders import ChunkDecoder, Decoder
from tests.decoders.mutation import mutated, pieces_of
from tests.replay_server import cut

_STALL_NS = 50_000_000

_WORDS = (b" a", b" word", b"1", b", ", b":", "é".encode(), "😀".encode())
#: What else a text becomes, as it stands between the quotes of a JSON string.
_TEXTS = (
    b"",
    b"null",
    b"stop",
    b"[DONE]",
    b"error",
    b"\\n",
    b"\\u0000",
    b'\\"',
    b"\\\\",
    b"\\ud83d\\ude00",
    b"\\ud83d",
    b"\\",
    b"\\q",
    b'"',
    b"\x00",
    b"\t",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\n\ndata: {",
    b"\xff",
    b"\xc3",
    b"\xa9",
    b"\xef\xbb\xbf",
    "\u2028".encode(),
    b'"},{"index":1,"delta":{"content":"b',
    b'","content":"b',
    b'","error":{"message":"x"},"_":"',
)
#: What else differs between events that look alike.
_CHANGES = (
    (rb"null", b'"stop"'),
    (rb"null", b"{}"),
    (rb'"stop"|"end_turn"', b"null"),
    (rb'"index": ?\d', b'"index":1'),
    (rb'"index": ?\d', b'"index":"0"'),
    (rb'"content":', b'"reasoning_content":'),
    (rb'"content":', b'"refusal":'),
    (rb'"content":', b'"_":'),
    (rb'"text":', b'"thinking":'),
    (rb'"delta":', b'"message":'),
    (rb'"delta": ?\{', b'"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{"}}],'),
    (rb"\{", b'{"usage":{"prompt_tokens":3,"completion_tokens":2,"input_tokens":3},'),
    (rb"\{", b'{"error":{"type":"overloaded","message":"later"},'),
    (rb"\{", b'{"error":"later",'),
    (rb'"id": ?"[^"]*"', b'"id":"another"'),
    (rb'"type": ?"[^"]*"', b'"type":"error"'),
    (rb"event: ?\S+", b"event: error"),
    (rb"^", b"event: done\n"),
    (rb"^", b"id: 9\n"),
    (rb"^", b": ping\n"),
    (rb"^", b": ping\n\n"),
    (rb"^", b"\xef\xbb\xbf"),
    (rb"\n\n", b"\r\n\r\n"),
    (rb"\n\n", b"\n"),
    (rb"\n\n", b"\n\n\n"),
    (rb"\n\n", b"\n: ping\n\n"),
    (rb"data: ", b"data:"),
    (rb"data: ", b"data: {}\ndata: "),
    (rb",", b",\ndata: "),
)
_STRING = re.compile(rb'"((?:[^"\\]|\\.)*)"')


def chunks_like(body: bytes, other: bytes, rng: random.Random) -> list[Any]:
    """Return a body that was mistreated, in chunks: mostly event by event, in runs that are alike."""
    events = [event + b"\n\n" for event in body.split(b"\n\n") if event.strip()] or [body]
    start = rng.randrange(len(events))
    chunks: list[Any] = events[:2] + events[start : start + rng.randint(4, 16)]
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(chunks))
        chunks[at:at] = [_with_text(chunks[at], rng) for _ in range(rng.randint(1, 6))]
    for _ in range(rng.randint(0, 4)):
        at = rng.randrange(len(chunks))
        pattern, change = rng.choice(_CHANGES)
        changed = re.sub(pattern, lambda _, change=change: change, chunks[at], count=1)  # type: ignore[misc]
        chunks[at : at + rng.randint(0, 1)] = [changed]
    kind = rng.random()
    if kind < 0.1:
        return cut(mutated(b"".join(chunks), other, rng), rng.randint(20, 400))
    if kind < 0.4:
        at = rng.randrange(len(chunks))
        chunks[at : at + 1] = pieces_of(mutated(chunks[at], other, rng), rng)
    if kind < 0.6:
        at = rng.randrange(len(chunks))
        chunks[at : at + 2] = pieces_of(b"".join(chunks[at : at + 2]), rng)
    if kind > 0.9:
        at = rng.randrange(len(chunks))
        chunks[at] = rng.choice((None, {}, bytearray(chunks[at]), chunks[at].decode("utf-8", "replace")))
    return chunks


def _with_text(event: bytes, rng: random.Random) -> bytes:
    """Return an event with another text in place of one of its strings, mostly what a model said."""
    strings = [found for found in _STRING.finditer(event) if event[found.end() : found.end() + 1] != b":"]
    if not strings:
        return event
    found = rng.choice(strings)
    if rng.random() < 0.8:
        found = next((string for string in strings if _is_spoken(event, string)), found)
    return (
        event[: found.start(1)]
        + rng.choice(_WORDS if rng.random() < 0.6 else _TEXTS)
        + event[found.end(1) :]
    )


def _is_spoken(event: bytes, string: re.Match[bytes]) -> bool:
    return (
        event[: string.start()].rstrip(b": ").endswith((b'"content"', b'"text"', b'"delta"', b'"thinking"'))
    )


class _Unhurried(ChunkDecoder):
    """A decoder without the shortcut."""

    skim = None  # type: ignore[assignment]


class _Counting(ChunkDecoder):
    """A decoder that counts what it passes by."""

    skimmed = 0

    def skim(self, chunks: Sequence[Any], begin: int) -> int:
        end = super().skim(chunks, begin)
        self.skimmed += end - begin
        return end


class _Account:
    """One stream as it is accounted for."""

    def __init__(self, make_decoder: Callable[[], Decoder]) -> None:
        self.record = StreamRecord(lambda _: None, ContextVar("context"), issued_ns=0)
        self.record.begin_pulling()
        self.record.detail = Detail.ARRIVALS
        self.tally = Tally(self.record, _STALL_NS)
        self.reader = Reader(self.record, self.tally, make_decoder, None)

    def read(self, *, ended: bool = False) -> None:
        self.reader.read(lambda: None, ended=ended)

    def close(self) -> dict[str, Any]:
        """Read to the end, and return all that came out."""
        self.read(ended=True)
        self.reader.flush()
        tally, decoder = self.tally, self.reader.decoder
        told = {name: getattr(tally, name) for name in Tally.__slots__ if name not in ("_record", "gaps")}
        told["gaps"] = [getattr(tally.gaps, name) for name in type(tally.gaps).__slots__]
        told["due"] = None if decoder is None else (decoder.has_done, decoder.has_finish)
        return told


def unhurried(chunks: Sequence[Any], times_ns: Sequence[int], content_type: str | None) -> dict[str, Any]:
    """Return the account of a stream that was decoded chunk by chunk."""
    account = _Account(lambda: _Unhurried(content_type=content_type))
    for time_ns, chunk in zip(times_ns, chunks, strict=True):
        account.record.marks += (time_ns, chunk)
    return account.close()


def pulled(
    chunks: Sequence[Any], times_ns: Sequence[int], content_type: str | None, rng: random.Random
) -> tuple[dict[str, Any], int]:
    """Return the account of a stream that was swept now and then, and how many chunks were not decoded."""
    decoder = _Counting(content_type=content_type)
    account = _Account(lambda: decoder)
    for time_ns, chunk in zip(times_ns, chunks, strict=True):
        account.record.marks += (time_ns, chunk)
        if rng.random() < 0.2:
            account.read()
    return account.close(), decoder.skimmed


class _Live:
    """What a body needs to know of a live stream."""

    def __init__(self, account: _Account) -> None:
        self.record = account.record


def pushed(
    chunks: Sequence[Any], content_type: str | None, rng: random.Random
) -> tuple[dict[str, Any], list[int], int]:
    """Return the account of a stream that an ASGI application sent, its times, how many were skimmed."""
    decoder = _Counting(content_type=content_type)
    account = _Account(lambda: decoder)

    async def send(_: Any) -> None:
        return None

    body = BodyStream(_Live(account), send, None, "text/event-stream")  # type: ignore[arg-type]
    for chunk in chunks:
        _run(body.send({"type": "http.response.body", "body": chunk, "more_body": True}))
        if rng.random() < 0.4:
            account.read()
    told = account.close()
    return told, list(account.tally.arrivals), decoder.skimmed


def _run(sending: Any) -> None:
    try:
        sending.send(None)
    except StopIteration:
        return
    raise AssertionError("nothing here waits")
