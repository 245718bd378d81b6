"""Names: unique, ours under our own prefix, and the keys that the design promises."""

from __future__ import annotations

from typing import Any

from firsttoken import semconv

NAMES: dict[str, Any] = {key: value for key, value in vars(semconv).items() if key.isupper()}
TEXTS = {key: value for key, value in NAMES.items() if isinstance(value, str)}
FOREIGN = (
    "client.",
    "code.",
    "error.",
    "gen_ai.",
    "http.",
    "network.",
    "opentelemetry.",
    "server.",
    "url.",
    "user_agent.",
)


def test_no_name_is_written_twice() -> None:
    assert len(set(TEXTS.values())) == len(TEXTS)


def test_every_name_is_ours_or_of_a_convention() -> None:
    ours = {value for value in TEXTS.values() if value == "firsttoken" or value.startswith("firsttoken.")}
    assert {value for value in TEXTS.values() if not value.startswith(FOREIGN)} == ours


def test_the_promised_keys_are_there() -> None:
    promised = """
        outcome time_to_first_token time_to_first_answer chunk.count gap.p50 gap.p95 gap.p99 gap.max
        stall.count stall.threshold wait hold hold_before_first_token loop_blocked tokens_per_second
        time_per_output_token
        timeline chunk first_token stall error done sequence gap stall.cause stall.duration
    """
    assert {f"firsttoken.{name}" for name in promised.split()} <= set(TEXTS.values())


def test_buckets_ascend() -> None:
    for buckets in (semconv.SECONDS_BUCKETS, semconv.TOKEN_BUCKETS):
        assert list(buckets) == sorted(set(buckets))
