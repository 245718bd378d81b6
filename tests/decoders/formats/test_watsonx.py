"""watsonx: running counts, of which the largest is the true one."""

from __future__ import annotations

from typing import Any

from firsttoken.decoders.formats.watsonx import Watsonx, is_watsonx
from tests.decoders.formats.hearing import hear_both_ways


def event(text: str, reason: str = "not_finished", **counts: int) -> dict[str, Any]:
    result = {"generated_text": text, "stop_reason": reason, **counts}
    return {"model_id": "ibm/granite", "created_at": "2026-01-01T00:00:00Z", "results": [result]}


def test_not_finished_is_no_finish_reason() -> None:
    told = hear_both_ways(Watsonx, [event("a"), event("b", "NOT_FINISHED")])
    assert told.text == "ab"
    assert told.finish == {}
    assert told.model == "ibm/granite"
    assert told.usages == 0


def test_a_later_zero_does_not_undo_the_count_of_the_prompt() -> None:
    told = hear_both_ways(
        Watsonx,
        [
            event("", input_token_count=8, generated_token_count=0),
            event("a", input_token_count=0, generated_token_count=1),
            event("", "eos_token", input_token_count=0, generated_token_count=2),
        ],
    )
    assert (told.usage.input, told.usage.output) == (8, 2)
    assert told.finish == {0: "eos_token"}


def test_a_count_that_is_absent_stays_absent() -> None:
    told = hear_both_ways(Watsonx, [event("a", generated_token_count=1)])
    assert (told.usage.input, told.usage.output) == (None, 1)


def test_errors_in_the_stream() -> None:
    errors = {
        "errors": [{"code": "invalid_request", "message": "too long"}],
        "trace": "t",
        "status_code": 400,
    }
    assert hear_both_ways(Watsonx, [errors]).errors == [(None, "invalid_request", "too long")]
    assert hear_both_ways(Watsonx, [{"error": "gone"}]).errors == [(None, None, "gone")]


def test_shape() -> None:
    assert is_watsonx(None, event("a"))
    assert not is_watsonx(None, {"results": []})
    assert not is_watsonx(None, {"choices": [{"delta": {}}], "model_id": "ibm/granite"})
