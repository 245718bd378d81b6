"""Streams whose trap is in the framing: line ends, cuts, Unicode."""

from __future__ import annotations

import json

from tests.corpus.openai_streams import DONE, KNOWN, ROLE, chunk
from tests.corpus.writing import Stream, dumps, expect, sse

# What `str.splitlines` takes for line ends, a character of four bytes, and one made of several.
ODD = "a\u2028b\u2029c\x85d \U0001f469\u200d\U0001f4bb\u00e9"
EVENTS = [chunk(ROLE), chunk({"content": ODD}), chunk({"content": "z"}), chunk({}, "stop"), DONE]
FACTS = expect(
    wire_events=5, content=[(1, ODD), (2, "z")], finish={0: "stop"}, finish_at=[3], done=(DONE, 4), **KNOWN
)
BODY = sse(*EVENTS)
ESCAPED = sse(*(json.dumps(event) if event != DONE else event for event in EVENTS))
SPREAD = dumps(chunk({"content": ODD})).replace(',"', ',\n"')

STREAMS = [
    Stream("sse-lf.sse", BODY, FACTS, notes="line ends of Unicode inside a JSON string are none of SSE"),
    Stream("sse-crlf.sse", sse(*EVENTS, end="\r\n"), FACTS, notes="CRLF"),
    Stream("sse-cr.sse", sse(*EVENTS, end="\r"), FACTS, notes="CR alone"),
    Stream("sse-bom.sse", b"\xef\xbb\xbf" + BODY, FACTS, notes="a byte order mark first"),
    Stream("sse-escaped.sse", ESCAPED, FACTS, notes="surrogate pairs as JSON escapes"),
    Stream(
        "sse-fields.sse",
        b"retry: 1000\nid: 7\n\n: ping\n\n"
        + BODY.replace(b"data: ", b"id: 1\nnonsense\nevent:message\ndata:"),
        FACTS,
        notes="id, retry, unknown fields, comments, no space after the colon, an event of nothing",
    ),
    Stream(
        "sse-multi-line.sse",
        sse(chunk(ROLE), SPREAD, chunk({"content": "z"}), chunk({}, "stop"), DONE),
        FACTS,
        notes="JSON spread over several data lines",
    ),
    Stream(
        "sse-as-json.sse",
        BODY,
        FACTS,
        notes="SSE under a wrong content type",
        content_type="application/json",
    ),
]
