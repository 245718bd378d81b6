"""Spans for tests: one made by hand, and any that hypothesis thinks of."""

from __future__ import annotations

from array import array
from typing import Any

from hypothesis import strategies as st
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from firsttoken._think.chunk_events import ChunkEvents
from firsttoken.export._batch import CAP_BYTES
from firsttoken.export._encode_spans import Surroundings, encode_span
from firsttoken.export._queue import Entry

NOW = 1_700_000_000_000_000_000
RESOURCE = Resource({"service.name": "tests"})
SCOPE = InstrumentationScope("tests", "1")


def no_pause() -> None:
    return None


def context(number: int = 1, *, sampled: bool = True) -> SpanContext:
    return SpanContext(0xABC, number, False, TraceFlags(1 if sampled else 0))


def span(number: int = 1, *, attributes: Any = None, events: Any = (), **more: Any) -> ReadableSpan:
    """Return an ended span; `number` is its span id."""
    told = {
        "name": "chat",
        "context": context(number),
        "resource": RESOURCE,
        "instrumentation_scope": SCOPE,
        "attributes": attributes,
        "events": events,
        "start_time": NOW,
        "end_time": NOW + 10**9,
    }
    return ReadableSpan(**{**told, **more})


def chunk_events(count: int, *, begin_ns: int = NOW, gap_ns: int = 20_000_000, **more: Any) -> ChunkEvents:
    """Return events at even distances."""
    return ChunkEvents(array("q", (begin_ns + index * gap_ns for index in range(count))), **more)


def entry(
    number: int = 1,
    chunks: ChunkEvents | None = None,
    *,
    valued: bool = False,
    original: ReadableSpan | None = None,
    **more: Any,
) -> Entry:
    """Return a queue entry of a made-up span."""
    encoded = encode_span(original or span(number, **more), Surroundings(), cap=CAP_BYTES)
    return Entry(number, encoded, chunks, valued=valued, original=original)


# Lone surrogates have no UTF-8: the stock encoder loses them, ours does not; that is a test of its own.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    texts,
    st.binary(max_size=20),
    st.integers(100, 300).map("x".__mul__),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=8,
)
attribute_sets = st.dictionaries(keys, values, max_size=6).map(
    lambda made: BoundedAttributes(attributes=made)
)
times = st.integers(0, 2**63 - 1)
trace_states = st.lists(
    st.tuples(
        st.from_regex(r"[a-z]{1,5}", fullmatch=True), st.from_regex(r"[a-z0-9]{1,5}", fullmatch=True)
    ),
    max_size=3,
).map(TraceState)
contexts = st.builds(
    SpanContext,
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.booleans(),
    st.just(TraceFlags(1)),
    trace_states,
)
statuses = st.one_of(
    st.just(Status(StatusCode.UNSET)),
    st.just(Status(StatusCode.OK)),
    texts.map(lambda t: Status(StatusCode.ERROR, t)),
)
# Named, and with one attribute at most: what is equal is then also encoded alike, and the other way round.
scopes = st.one_of(
    st.none(),
    st.builds(
        InstrumentationScope,
        keys,
        texts,
        texts,
        st.one_of(st.none(), st.dictionaries(keys, texts, max_size=1)),
    ),
)
resources = st.builds(
    Resource, st.dictionaries(keys, st.one_of(texts, st.integers(0, 9)), max_size=1), texts
)
readable_spans = st.builds(
    ReadableSpan,
    texts,
    contexts,
    st.one_of(st.none(), contexts),
    resources,
    attribute_sets,
    st.lists(st.builds(Event, texts, attribute_sets, times), max_size=4),
    st.lists(st.builds(Link, contexts, attribute_sets), max_size=3),
    st.sampled_from(list(SpanKind)),
    st.none(),
    statuses,
    times,
    times,
    scopes,
)
