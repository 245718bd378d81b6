"""A collector that takes everything and only counts, in its own process, so that it costs ours nothing."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import urlopen

CHUNK_EVENT = b"firsttoken.chunk\x1a"
_OVERLAP = len(CHUNK_EVENT) - 1


class Sink:
    """HTTP/1.1 as far as exporters speak it: POST with a length, GET for the counts."""

    def __init__(self) -> None:
        self.counts = {"requests": 0, "bytes": 0, "events": 0}

    def serve(self, connection: socket.socket) -> None:
        """Answer one connection until it ends."""
        # The last bytes of a read are kept before the next: a name may lie across two.
        buffer = bytearray(_OVERLAP + (1 << 20))
        view = memoryview(buffer)
        while True:
            head = bytearray()
            while (end := head.find(b"\r\n\r\n")) < 0:
                data = connection.recv(65_536)
                if not data:
                    return
                head += data
            body = bytes(head[end + 4 :])
            left = _length(head[:end]) - len(body)
            self.counts["events"] += body.count(CHUNK_EVENT)
            self.counts["bytes"] += len(body)
            buffer[:_OVERLAP] = body[-_OVERLAP:].rjust(_OVERLAP)
            while left:
                size = connection.recv_into(view[_OVERLAP:], min(left, 1 << 20))
                if not size:
                    return
                left -= size
                self.counts["bytes"] += size
                self.counts["events"] += buffer.count(CHUNK_EVENT, 0, _OVERLAP + size)
                buffer[:_OVERLAP] = buffer[size : _OVERLAP + size]
            answer = b""
            if head.startswith(b"GET"):
                answer = json.dumps(self.counts).encode()
            else:
                self.counts["requests"] += 1
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(answer), answer))


def _length(head: bytearray) -> int:
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return int(lengths[0].split(b":")[1]) if lengths else 0


@contextmanager
def sink() -> Iterator[str]:
    """Run a sink in another process; yields its base URL."""
    process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def counts_of(url: str) -> dict[str, int]:
    """Ask a sink what it got."""
    with urlopen(url) as response:
        counts: dict[str, int] = json.load(response)
    return counts


def main() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    print(server.getsockname()[1], flush=True)
    sink = Sink()
    while True:
        connection, _ = server.accept()
        threading.Thread(target=sink.serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
