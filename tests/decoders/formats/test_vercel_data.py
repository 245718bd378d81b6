"""The data stream of the Vercel AI SDK, before version 5."""

from __future__ import annotations

import pytest

from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders.formats.vercel_data import VercelData, is_vercel_data
from tests.decoders.formats.hearing import Heard, hear


def heard(*lines: str) -> Heard:
    return hear(VercelData(), [WireEvent(line.encode()) for line in lines])


def test_a_message_from_start_to_finish() -> None:
    told = heard(
        'f:{"messageId":"msg_1"}',
        'g:"hm"',
        '0:"ye"',
        '0:"s: \\"1\\""',
        'e:{"finishReason":"stop","usage":{"promptTokens":7,"completionTokens":4},"isContinued":false}',
        'd:{"finishReason":"stop","usage":{"promptTokens":7,"completionTokens":9}}',
    )
    assert (told.reasoning, told.text, told.id) == ("hm", 'yes: "1"', "msg_1")
    assert told.finish == {0: "stop"}
    assert (told.usage.input, told.usage.output, told.usages) == (7, 9, 1)
    assert told.done == ["d"]


def test_usage_that_is_not_known_is_null_and_stays_absent() -> None:
    told = heard('d:{"finishReason":"stop","usage":{"promptTokens":null,"completionTokens":null}}')
    assert told.usages == 0


def test_calls_in_pieces_and_at_once() -> None:
    told = heard(
        'b:{"toolCallId":"a","toolName":"f"}',
        'c:{"toolCallId":"a","argsTextDelta":"{\\"x\\":"}',
        'c:{"toolCallId":"a","argsTextDelta":"1}"}',
        '9:{"toolCallId":"a","toolName":"f","args":{"x":1}}',
        '9:{"toolCallId":"b","toolName":"g","args":{}}',
        'a:{"toolCallId":"a","result":"text"}',
    )
    assert told.calls == {
        (0, 0): {"id": "a", "name": "f", "type": "function", "arguments": '{"x":1}'},
        (0, 1): {"id": "b", "name": "g", "type": "function", "arguments": {}},
    }
    assert told.text == ""


def test_an_error() -> None:
    assert heard('3:"broken"').errors == [(None, None, "broken")]


def test_data_annotations_sources_and_files_are_no_text() -> None:
    told = heard(
        '2:[{"a":1}]', '8:[{"b":1}]', 'h:{"url":"x"}', 'k:{"data":"AA","mimeType":"image/png"}', 'z:"later"'
    )
    assert (told.text, told.lost) == ("", 0)


@pytest.mark.parametrize("line", ['0:"cut', "0:7", "no line of this format", "d:[1]"])
def test_a_broken_line_is_lost_and_counted(line: str) -> None:
    assert heard(line).lost == 1


def test_shape() -> None:
    assert is_vercel_data(b'0:"text"')
    assert is_vercel_data(b'f:{"messageId":"m"}')
    assert not is_vercel_data(b'data: {"a":1}')
    assert not is_vercel_data(b'{"a":1}')
    assert not is_vercel_data(b"")
    assert not is_vercel_data(b"0: plain")
