"""`application/vnd.amazon.eventstream`: bytes to wire events. Floor 2 (think); runs on the thinker thread.

A frame is: total length, headers length, CRC of these two, headers, payload, CRC of all before it.

Source: https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html (event stream encoding)
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from typing import Final

from firsttoken.decoders._contract import Framed, WireEvent
from firsttoken.decoders._delta import Undecoded

MAX_FRAME_BYTES: Final = 8 * 1024 * 1024
"""Longest frame kept, in bytes; a longer one is passed over and told as one `Undecoded`."""

PRELUDE_BYTES: Final = 12
_CRC_BYTES: Final = 4
_PRELUDE: Final = struct.Struct(">III")
_CRC: Final = struct.Struct(">I")
_LENGTH: Final = struct.Struct(">H")
_STRING: Final = 7
_VALUE_BYTES: Final = {
    0: 0,
    1: 0,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    8: 8,
    9: 16,
}  # by header type; 6 and 7 say theirs

# A total of 16 bytes to 8 MiB, and at most 128 KiB of headers.
_PLAUSIBLE: Final = re.compile(rb"\0(?!\0\0[\0-\x0f])[\0-\x80]..\0[\0-\x02]", re.DOTALL)

_TOO_LONG: Final = Undecoded(f"eventstream frame longer than {MAX_FRAME_BYTES} bytes")
_BAD_CRC: Final = Undecoded("eventstream frame with a wrong CRC")
_NO_FRAME: Final = Undecoded("bytes that are no eventstream frame")
_CUT_OFF: Final = Undecoded("eventstream frame cut off by the end of the stream")


class EventStreamFraming:
    """Cuts a body of type `application/vnd.amazon.eventstream`, split anywhere, into wire events.

    A wire event is named by its `:event-type`; an exception by its `:exception-type`, with `failure` set.
    A frame whose CRC is wrong is skipped by its length; where the length is too much or cannot be believed,
    the next frame is searched for: its first 12 bytes prove themselves by their CRC.
    """

    __slots__ = ("_buffer", "_lost")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._lost = False  # searching for the next frame

    def feed(self, data: bytes) -> list[Framed]:
        """Return the frames that `data` completes."""
        buffer = self._buffer
        buffer += data
        framed: list[Framed] = []
        at = 0
        while len(buffer) - at >= PRELUDE_BYTES:
            total, headers, crc = _PRELUDE.unpack_from(buffer, at)
            is_frame = zlib.crc32(buffer[at : at + 8]) == crc and total >= 16 and headers <= total - 16
            if not is_frame or total > MAX_FRAME_BYTES:
                if not self._lost:
                    self._lost = True
                    framed.append(_TOO_LONG if is_frame else _NO_FRAME)
                at = _next_candidate(buffer, at + 1)
                continue
            self._lost = False
            if len(buffer) - at < total:
                break
            framed.append(_read_frame(bytes(buffer[at : at + total]), headers))
            at += total
        del buffer[:at]
        return framed

    def flush(self) -> list[Framed]:
        """Return what the end of the stream cuts off."""
        cut_off = bool(self._buffer) and not self._lost
        self._buffer.clear()
        return [_CUT_OFF] if cut_off else []


def is_prelude(data: bytes) -> bool:
    """Return whether `data`, of at least `PRELUDE_BYTES` bytes, starts a frame."""
    (crc,) = _CRC.unpack_from(data, 8)
    return bool(zlib.crc32(data[:8]) == crc)


def _next_candidate(buffer: bytearray, at: int) -> int:
    """Return where the next frame may start: a search in C, that few places pass."""
    found = _PLAUSIBLE.search(buffer, at)
    return found.start() if found is not None else max(at, len(buffer) - PRELUDE_BYTES)


def _read_frame(frame: bytes, headers_length: int) -> Framed:
    if zlib.crc32(frame[:-_CRC_BYTES]) != _CRC.unpack_from(frame, len(frame) - _CRC_BYTES)[0]:
        return _BAD_CRC
    end = PRELUDE_BYTES + headers_length
    headers = _read_headers(frame[PRELUDE_BYTES:end])
    data = frame[end:-_CRC_BYTES]
    kind = headers.get(":message-type", "event")
    if kind == "exception":
        return WireEvent(data, headers.get(":exception-type", kind), failure=True)
    if kind == "error":
        message = json.dumps({"message": headers.get(":error-message")}).encode()
        return WireEvent(data or message, headers.get(":error-code", kind), failure=True)
    return WireEvent(data, headers.get(":event-type"))


def _read_headers(data: bytes) -> dict[str, str]:
    """Return the string headers; others are stepped over, and a broken one ends the reading."""
    headers: dict[str, str] = {}
    at = 0
    try:
        while at < len(data):
            name_end = at + 1 + data[at]
            name = data[at + 1 : name_end].decode("utf-8", "replace")
            kind = data[name_end]
            at = name_end + 1
            size = _VALUE_BYTES.get(kind)
            if size is None:
                (size,) = _LENGTH.unpack_from(data, at)
                at += 2
            if kind == _STRING:
                headers[name] = data[at : at + size].decode("utf-8", "replace")
            at += size
    except (IndexError, struct.error):
        pass
    return headers
