"""What a body says of itself, read as any stream is, but for what the call to the model tells."""

from __future__ import annotations

from firsttoken.asgi._body import BodyDecoder
from firsttoken.decoders import Delta, Text, Usage, decoder_for

UNKNOWN = b'data: {"txt":"a"}\n\n'


def test_what_is_held_is_told_with_how_long_ago_it_came() -> None:
    decoder = BodyDecoder(decoder_for(content_type="text/event-stream"))
    assert not decoder.holds
    assert decoder.feed(UNKNOWN) == []
    assert decoder.holds
    assert [decoder.feed_late(UNKNOWN) for _ in range(2)] == [[], []]
    told = decoder.feed_late(UNKNOWN)
    assert [(ago, [type(delta) for delta in deltas]) for ago, deltas in told] == [
        (ago, [Text]) for ago in (3, 2, 1, 0)
    ]
    assert not decoder.holds


def test_what_is_held_at_the_end_is_told_then() -> None:
    decoder = BodyDecoder(decoder_for(content_type="text/event-stream"))
    decoder.feed(UNKNOWN)
    decoder.feed_late(UNKNOWN)
    assert [ago for ago, deltas in decoder.flush_late() if deltas] == [1, 0]


def test_a_decoder_that_holds_nothing_need_not_say_so() -> None:
    class OfTheUsersOwn:
        has_done = has_finish = False
        provider = None

        def feed(self, chunk: object) -> list[Delta]:
            return [Text(str(chunk)), Usage(input=1)]

        def flush(self) -> list[Delta]:
            return []

    decoder = BodyDecoder(OfTheUsersOwn())
    assert (decoder.feed("a"), decoder.holds) == ([Text("a")], False)
