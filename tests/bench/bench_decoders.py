"""What reading a stream costs the thinker, per wire event: against the least it could, and the openai SDK.

    python tests/bench/bench_decoders.py [--json] [--rounds 7]

The least it could cost: bytes split at blank lines, and one bare `msgspec` decode per event. The streams
are those of `tests/corpus` and, where they are there, the recorded ones.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))
from _report import Row, parser, report
from tests.decoders.corpus import Case, cases

from firsttoken.decoders import ChunkDecoder, decoder_for
from firsttoken.decoders.sse import SSEFraming

EVENTS = 2000
PIECE_BYTES = 64 * 1024

DELTA = (
    b'data: {"id":"chatcmpl-CoDWxLsl1kVbpr74j0IN577ELqIIt","object":"chat.completion.chunk",'
    b'"created":1766084447,"model":"gpt-4o-2024-08-06","service_tier":"default",'
    b'"system_fingerprint":"fp_deacdd5f6f","choices":[{"index":0,"delta":{"content":" token"},'
    b'"logprobs":null,"finish_reason":null}],"obfuscation":"Csv6666l8Yy5oO"}\n\n'
)
LAST = DELTA.replace(b'{"content":" token"}', b"{}").replace(b'_reason":null', b'_reason":"stop"')
CHUNKS = [*[DELTA] * EVENTS, LAST, b"data: [DONE]\n\n"]
BODY = b"".join(CHUNKS)
PIECES = [BODY[at : at + PIECE_BYTES] for at in range(0, len(BODY), PIECE_BYTES)]
_decode = msgspec.json.Decoder().decode


def bare() -> None:
    for chunk in CHUNKS:
        for event in chunk.split(b"\n\n"):
            if event and event != b"data: [DONE]":
                _decode(event[6:])


def sse() -> None:
    framing = SSEFraming()
    for chunk in CHUNKS:
        framing.feed(chunk)


def chat() -> None:
    decoder = decoder_for()
    for chunk in CHUNKS:
        decoder.feed(chunk)


def chat_alike() -> None:
    """Read as the thinker does where nobody asks for the text: past events that differ in it alone."""
    decoder = decoder_for()
    assert isinstance(decoder, ChunkDecoder)
    at = 0
    while at < len(CHUNKS):
        at = decoder.skim(CHUNKS, at)
        if at < len(CHUNKS):
            decoder.feed(CHUNKS[at])
            at += 1


def chat_in_pieces() -> None:
    decoder = decoder_for()
    for piece in PIECES:
        decoder.feed(piece)


def openai_sdk() -> Callable[[], list[Any]]:
    """Return the reading of the same bytes by the openai SDK, without network: its objects."""
    import httpx2
    import openai

    def answer(request: Any) -> Any:
        return httpx2.Response(
            200, headers={"content-type": "text/event-stream"}, stream=httpx2.ByteStream(BODY)
        )

    http_client = httpx2.Client(transport=httpx2.MockTransport(answer))
    client = openai.OpenAI(api_key="none", base_url="http://127.0.0.1", http_client=http_client)

    return lambda: list(client.chat.completions.create(model="m", messages=[], stream=True))


def reading(chunks: list[Any]) -> Callable[[], None]:
    """Return the decoding of chunks that are no bytes."""

    def read() -> None:
        decoder = decoder_for()
        for chunk in chunks:
            decoder.feed(chunk)

    return read


def best_of(rounds: int, ways: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Return the least ns of each way, all in turn in each round."""
    best = dict.fromkeys(ways, float("inf"))
    gc.collect()
    for _ in range(rounds):
        for name, way in ways.items():
            begun = perf_counter_ns()
            way()
            best[name] = min(best[name], perf_counter_ns() - begun)
    return best


def against_the_peers(rounds: int) -> list[Row]:
    """Measure SSE and chat decoding against the bare minimum and the SDK."""
    sdk = openai_sdk()
    objects = sdk()
    ways = {
        "bare": bare,
        "sse": sse,
        "chat": chat,
        "alike": chat_alike,
        "pieces": chat_in_pieces,
        "sdk": sdk,
        "objects": reading(objects),
        "dicts": reading([chunk.model_dump() for chunk in objects]),
    }
    per_event = {name: ns / (EVENTS + 2) for name, ns in best_of(rounds, ways).items()}

    def row(
        what: str, name: str, against: str, bound: float | None = None, *, at_least: bool = False
    ) -> Row:
        high, low = (against, name) if at_least else (name, against)
        return Row(
            what, f"{per_event[name] / 1000:.2f} us", per_event[high] / per_event[low], bound, at_least
        )

    return [
        Row("bare split and msgspec decode, an event", f"{per_event['bare'] / 1000:.2f} us"),
        row("sse", "sse", "bare"),
        row("sse + openai.chat, an event a chunk", "chat", "bare", 2),
        row("sse + openai.chat, alike but for their text", "alike", "bare", 1),
        row("sse + openai.chat, in chunks of 64 KiB", "pieces", "bare", 2),
        Row("the openai SDK on the same bytes", f"{per_event['sdk'] / 1000:.2f} us"),
        row("sse + openai.chat, times as fast", "chat", "sdk", 15, at_least=True),
        row("openai.chat on the SDK's objects", "objects", "sdk"),
        row("openai.chat on dicts", "dicts", "sdk"),
    ]


def longest_feed(rounds: int) -> Row:
    """Measure the longest hold of the GIL: one chunk of 64 KiB, as much as any transport gives at once."""
    least_ns = float("inf")
    for _ in range(rounds):
        decoder = decoder_for()
        decoder.feed(PIECES[0])
        begun = perf_counter_ns()
        decoder.feed(PIECES[1])
        least_ns = min(least_ns, perf_counter_ns() - begun)
    return Row(
        "one chunk of 64 KiB, against a slice of 1 ms", f"{least_ns / 1e6:.2f} ms", least_ns / 1e6, 1
    )


def of_format(streams: list[Case], rounds: int) -> tuple[float, float]:
    """Return us per wire event and MB/s of reading streams over and over, without knowing what they are."""
    bodies = [case.body for case in streams]
    events = sum(case.expected["wire_events"] for case in streams)
    times = max(1, EVENTS // events)

    def read() -> None:
        for _ in range(times):
            for body in bodies:
                decoder = ChunkDecoder()
                decoder.feed(body)
                decoder.flush()

    ns = best_of(rounds, {"read": read})["read"]
    return ns / 1000 / events / times, sum(map(len, bodies)) * times / ns * 1000


def all_formats(rounds: int) -> list[Row]:
    """Measure every framing and format that the corpora have."""
    groups: dict[str, list[Case]] = {}
    for case in cases():
        decoder = ChunkDecoder(host=case.facts["host"])
        decoder.feed(case.body)
        if decoder.format_name is not None:
            groups.setdefault(f"{case.facts['framing']} + {decoder.format_name}", []).append(case)
    rows = []
    for name, streams in sorted(groups.items()):
        us, mb_per_s = of_format(streams, rounds)
        rows.append(Row(name, f"{us:.2f} us {mb_per_s:4.0f} MB/s"))
    return rows


def main() -> int:
    """Run the benchmark; return 1 if a bound is missed."""
    options = parser(__doc__ or "")
    options.add_argument("--rounds", type=int, default=7)
    arguments = options.parse_args()
    rows = [
        *against_the_peers(arguments.rounds),
        longest_feed(arguments.rounds),
        *all_formats(arguments.rounds),
    ]
    return report("decoders, per wire event", rows, as_json=arguments.json)


if __name__ == "__main__":
    raise SystemExit(main())
