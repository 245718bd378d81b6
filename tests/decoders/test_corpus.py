"""Every stream of both corpora: all facts equal, however the bytes are cut."""

from __future__ import annotations

import random
from typing import Any

import pytest

from firsttoken.decoders import ChunkDecoder, formats
from tests.corpus.write import STREAMS, manifest
from tests.decoders.corpus import OWN, RECORDED, Case, cases
from tests.decoders.facts import Readings, facts_of, read_all

CASES = cases()
CUTS = 200

# Said by the manifest about bodies, framing or SDKs; not what a decoder reports.
NOT_OURS = {"sse", "eventstream", "incomplete_reason"}


def test_the_recorded_streams_are_here() -> None:
    if not (RECORDED / "manifest.json").exists():
        pytest.skip(f"no recorded streams at {RECORDED} (FIRSTTOKEN_CORPUS)")
    assert sum(case.path.parent == RECORDED for case in CASES) >= 50


@pytest.fixture(params=CASES, ids=lambda case: case.facts["file"])
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


def test_facts_are_those_of_the_manifest(case: Case) -> None:
    decoder = ChunkDecoder(content_type=case.content_type, host=case.facts["host"])
    facts = facts_of(read_all(decoder, [case.body]), decoder.wire_events)
    assert_equal(facts, case.expected)


def test_facts_do_not_need_headers(case: Case) -> None:
    decoder = ChunkDecoder()
    facts = facts_of(read_all(decoder, [case.body]), decoder.wire_events)
    assert_equal(facts, case.expected)


def test_byte_by_byte_reads_the_same(case: Case) -> None:
    body = case.body
    assert read_cut(case, [body[at : at + 1] for at in range(len(body))]) == read_cut(case, [body])


def test_any_cut_reads_the_same(case: Case) -> None:
    body = case.body
    whole = read_cut(case, [body])
    rng = random.Random(case.facts["file"])
    for _ in range(CUTS):
        cuts = sorted(rng.sample(range(len(body) + 1), min(len(body), rng.choice((1, 2, 5, 20)))))
        pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        assert read_cut(case, pieces) == whole, cuts


def read_cut(case: Case, pieces: list[bytes]) -> Readings:
    return read_all(ChunkDecoder(host=case.facts["host"]), pieces)


def assert_equal(facts: dict[str, Any], expected: dict[str, Any]) -> None:
    assert facts["undecoded"] == 0
    for key, value in expected.items():
        if key in NOT_OURS:
            continue
        check = globals().get(f"check_{key}")
        if check is not None:
            check(facts[key], value)
        else:
            assert facts[key] == value, key
    for key in ("reasoning", "refusal", "tool_plan", "tool_calls"):
        assert key in expected or not facts[key], f"{key} where there is none"


def agree(fact: str, ours: Any, theirs: Any) -> bool:
    """Return whether we say of one fact what the manifest says."""
    try:
        assert_equal({"undecoded": 0, **dict.fromkeys(_EMPTY), fact: ours}, {fact: theirs})
    except AssertionError:
        return False
    return True


_EMPTY = ("reasoning", "refusal", "tool_plan", "tool_calls")


def _check_part(ours: Any, theirs: Any) -> None:
    assert {key: ours[key] for key in theirs} == theirs


check_reasoning = check_refusal = check_tool_plan = check_content = _check_part


def check_choices(ours: Any, theirs: Any) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        _check_part(mine, other)


def check_usage(ours: Any, theirs: Any) -> None:
    if theirs is None:
        assert ours is None
        return
    assert (ours.get("input"), ours.get("output")) == (theirs["input"], theirs["output"])
    seen = [index for index in theirs["event_indices"] if index != "..."]
    # A usage object without any count, or with those of a snapshot before, says nothing new.
    assert ours["event_indices"][-1] <= seen[-1]


def check_done_marker(ours: Any, theirs: Any) -> None:
    if theirs is None:
        assert ours is None
    else:
        assert ours == {key: theirs[key] for key in ("kind", "index")}


def check_errors(ours: Any, theirs: Any) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        assert mine["index"] == other["index"]
        for key in ("type", "code"):
            assert mine.get(key) == (str(other[key]) if key in other else None)
        assert mine["message"][:200] == other["message"]


def test_our_own_streams_are_what_their_scripts_write() -> None:
    assert (OWN / "manifest.json").read_text("utf-8") == manifest()
    for stream in STREAMS:
        assert (OWN / stream.file).read_bytes() == stream.body, stream.file


def test_every_format_has_a_stream() -> None:
    named = set()
    for case in CASES:
        if case.path.parent == OWN:
            decoder = ChunkDecoder()
            read_all(decoder, [case.body])
            named.add(decoder.format_name)
    # An error alone is read without knowing whose it is.
    assert named - {None} == set(formats())
