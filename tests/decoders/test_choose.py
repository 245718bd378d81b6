"""`decoder_for`: hints of every kind, and a clear word about wrong ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from firsttoken._guard import fault_counts
from firsttoken.decoders import ChunkDecoder, Delta, Text, Undecoded, decoder_for, formats, register, table
from firsttoken.decoders.formats.openai_chat import OpenAIChat
from firsttoken.errors import ConfigError

CHUNK = {"choices": [{"delta": {"content": "a"}}]}


class Own:
    """A decoder of the caller's."""

    has_done = True
    has_finish = False
    provider = "me"

    def feed(self, chunk: Any) -> Sequence[Delta]:
        return (Text(chunk),)

    def flush(self) -> Sequence[Delta]:
        return ()


def test_no_hint_finds_out() -> None:
    assert list(decoder_for().feed(CHUNK))[-1] == Text("a")


@pytest.mark.parametrize("name", formats())
def test_every_name_is_one(name: str) -> None:
    decoder = decoder_for(name)
    assert isinstance(decoder, ChunkDecoder)
    assert decoder.format_name == name


def test_a_decoder_is_taken_as_it_is() -> None:
    own = Own()
    assert decoder_for(own) is own


def test_a_factory_makes_one_for_each_stream() -> None:
    for factory in (Own, lambda: Own()):
        first, second = decoder_for(factory), decoder_for(factory)
        assert isinstance(first, Own)
        assert first is not second


def test_a_format_or_its_class_is_read_with() -> None:
    for hint in (OpenAIChat, OpenAIChat()):
        decoder = decoder_for(hint)
        assert list(decoder.feed(CHUNK))[-1] == Text("a")


def test_a_function_reads_chunks() -> None:
    decoder = decoder_for(lambda chunk: [Text(chunk["t"])])
    assert decoder.feed({"t": "x"}) == (Text("x"),)
    assert isinstance(decoder.feed({})[0], Undecoded)
    assert (decoder.flush(), decoder.has_done, decoder.has_finish, decoder.provider) == (
        (),
        False,
        False,
        None,
    )


def test_a_function_may_return_nothing_or_yield() -> None:
    def reading(chunk: str) -> Iterable[Delta]:
        yield Text(chunk)
        raise ValueError

    assert decoder_for(lambda chunk: None).feed("x") == ()
    assert [type(delta) for delta in decoder_for(reading).feed("x")] == [Undecoded]


@pytest.mark.parametrize("function", [lambda chunk: 1 / 0, lambda chunk: "text", lambda chunk: [chunk]])
def test_a_function_that_is_wrong_is_one_loss_a_chunk_and_is_said(function: Any) -> None:
    before = sum(fault_counts().values())
    decoder = decoder_for(function)
    assert [type(delta) for _ in range(2) for delta in decoder.feed("many letters")] == [Undecoded] * 2
    assert sum(fault_counts().values()) == before + 2


@pytest.mark.parametrize("hint", ["nothing", "", 5, object(), [], lambda: 5, int, Exception])
def test_anything_else_is_refused_with_the_names(hint: Any) -> None:
    with pytest.raises(ConfigError, match=r"openai\.chat"):
        decoder_for(hint)


def test_host_and_type_reach_the_decoder() -> None:
    decoder = decoder_for(
        content_type="text/event-stream", host="api.groq.com:443", content_encoding="gzip"
    )
    assert decoder.provider == "groq"


def test_a_registered_format_is_found_by_shape_host_and_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_ROWS", list(table._ROWS))

    class Mine:
        name = "mine"
        provider: str | None = None
        has_done = has_finish = False

        def read(self, payload: Any) -> Sequence[Delta]:
            return (Text("mine"),)

    register("mine", Mine, shape=lambda name, body: "mine" in body, hosts={"*.mine.example": "me"})
    assert list(decoder_for().feed({"mine": 1, **CHUNK})) == [Text("mine")]
    assert list(decoder_for("mine").feed(b"anything")) == [Text("mine")]
    assert decoder_for(host="a.mine.example").provider == "me"
    with pytest.raises(ConfigError, match="taken"):
        register("mine", Mine)


@pytest.mark.parametrize(
    ("name", "factory", "shape"), [("", OpenAIChat, None), ("x", 5, None), ("x", OpenAIChat, 5)]
)
def test_a_wrong_registration_is_refused(name: str, factory: Any, shape: Any) -> None:
    with pytest.raises(ConfigError):
        register(name, factory, shape=shape)
    assert "x" not in formats()


def test_a_shape_that_raises_fits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_ROWS", list(table._ROWS))

    def broken(name: Any, body: Any) -> bool:
        raise RuntimeError

    register("broken", OpenAIChat, shape=broken)
    assert list(decoder_for().feed(CHUNK))[-1] == Text("a")
