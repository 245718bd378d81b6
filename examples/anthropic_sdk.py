"""Trace the Anthropic SDK, every call of a client, by its transport; or one call, by wrapping it.

The SDK has spans of its own once a tracer provider is set. They know nothing of first tokens and stalls:
`open_telemetry=False` leaves the call to us. With them on, the transport would step aside.

    python examples/anthropic_sdk.py        # against a stand-in on loopback; shows the trace
"""

from __future__ import annotations

from typing import Any

import httpx2
from _replay import replaying
from _show import exporter, show
from anthropic import Anthropic

import firsttoken
from firsttoken.httpx import TracingTransport

ASK: dict[str, Any] = {
    "model": "claude-demo",
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "What are streams?"}],
}


def main(address: str) -> None:
    transport = TracingTransport(httpx2.HTTPTransport(), hosts={"127.0.0.1": "anthropic"})
    with Anthropic(
        api_key="not-needed-here",
        base_url=address,
        http_client=httpx2.Client(transport=transport),
        open_telemetry=False,
    ) as client:
        with client.messages.stream(**ASK) as stream:
            for text in stream.text_stream:
                print(text, end="", flush=True)
        print()
        # Wrapped as well, it is still one span: it learns from the transport what was asked of whom.
        with firsttoken.trace_stream(client.messages.stream(**ASK), name="answer") as stream:
            print(stream.get_final_message().content[0].text)


if __name__ == "__main__":
    firsttoken.configure(service_name="anthropic-sdk", exporter=exporter)
    with replaying() as address:
        main(address)
    show()
