"""POST /v1/traces: from a request to a commit, within bounds. Floor 5 (viewer); the server's event loop.

Inflating and reading happen on threads, writing on the store's; the loop only waits.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp-response
"""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter
from typing import Final

import anyio
import anyio.to_thread
from fastapi import Request, Response
from google.protobuf import json_format  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from firsttoken.errors import DecodeError
from firsttoken.viewer._batch import Batch, read_batch
from firsttoken.viewer._otlp_json import to_protobuf
from firsttoken.viewer._schema import StoreError
from firsttoken.viewer._store import Store, StoreBusy

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
#: As it comes and as it inflates; the collector's own receiver takes as much.
BODY_MAX_BYTES: Final = 20 << 20
#: JSON takes ten times its size and more while it is read.
JSON_MAX_BYTES: Final = 8 << 20
_SURPLUS_MAX_BYTES: Final = 64 << 20
#: Bodies that are being received or read, all together.
_IN_FLIGHT_MAX_BYTES: Final = 96 << 20
_RECEIVE_TIMEOUT_S: Final = 30.0
_READERS: Final = 2
_RETRY_AFTER: Final = {"retry-after": "1"}
#: google.rpc.Code of each status.
_CODES: Final = {400: 3, 408: 4, 413: 8, 415: 3, 503: 14}
_WINDOW_BITS: Final = {"gzip": 31, "deflate": 15}


class Refused(Exception):
    """The request is answered with a status that is no success."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Intake:
    """Takes requests into a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._in_flight = 0
        self._threads = anyio.CapacityLimiter(_READERS)

    async def traces(self, request: Request) -> Response:
        """Answer an export request; a success means that its spans are committed."""
        media_type = media_type_of(request)
        try:
            if media_type not in (PROTOBUF, JSON):
                raise Refused(415, f"the content type is {PROTOBUF} or {JSON}")
            batch = await self._read(request, media_type)
            if batch.spans:
                await self._write(batch)
        except Refused as refused:
            return _refusal(refused, media_type)
        return _answer(batch, media_type)

    async def discard(self, request: Request) -> Response:
        """Take metrics or logs and forget them, so that an SDK that sends all three has peace."""
        media_type = media_type_of(request)
        try:
            with anyio.fail_after(_RECEIVE_TIMEOUT_S):
                async for _ in request.stream():
                    pass
        except TimeoutError:
            return _refusal(Refused(408, "the body did not come in time"), media_type)
        is_json = media_type == JSON
        return Response(b"{}" if is_json else b"", media_type=JSON if is_json else PROTOBUF)

    async def _read(self, request: Request, media_type: str) -> Batch:
        received = bytearray()
        surplus = 0
        try:
            with anyio.fail_after(_RECEIVE_TIMEOUT_S):
                async for piece in request.stream():
                    if surplus or len(received) + len(piece) > BODY_MAX_BYTES:
                        surplus += len(piece)
                    else:
                        self._reserve(len(piece))
                        received += piece
                    # Who sends too much hears so only if he is let finish; up to a point.
                    if surplus > _SURPLUS_MAX_BYTES:
                        break
            if surplus:
                raise Refused(413, f"a body has at most {BODY_MAX_BYTES} bytes")
            encoding = request.headers.get("content-encoding", "identity").strip().lower()
            return await anyio.to_thread.run_sync(
                _read_body, bytes(received), encoding, media_type, limiter=self._threads
            )
        except TimeoutError as error:
            raise Refused(408, "the body did not come in time") from error
        except DecodeError as error:
            raise Refused(400, str(error)) from error
        finally:
            self._in_flight -= len(received)

    def _reserve(self, size: int) -> None:
        if self._in_flight and self._in_flight + size > _IN_FLIGHT_MAX_BYTES:
            raise Refused(503, "too many bodies are on their way")
        self._in_flight += size

    async def _write(self, batch: Batch) -> None:
        try:
            await asyncio.wrap_future(self._store.add(batch))
        except StoreBusy as error:
            raise Refused(503, str(error)) from error
        except StoreError as error:
            raise Refused(503, "the store cannot be written") from error


def media_type_of(request: Request) -> str:
    """Return the media type of a request, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def inflate(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo a content encoding.

    limit: how many bytes it may become.

    Raises: Refused: if the encoding is not known, the body is not in it, or too much comes out.
    """
    if encoding in ("", "identity"):
        plain = body
    elif encoding not in _WINDOW_BITS:
        raise Refused(415, f"the content encoding is {', '.join(_WINDOW_BITS)} or none")
    else:
        try:
            inflater = zlib.decompressobj(_WINDOW_BITS[encoding])
            plain = inflater.decompress(body, limit + 1)
        except zlib.error as error:
            raise Refused(400, f"the body is not {encoding}") from error
        if len(plain) <= limit and not inflater.eof:
            raise Refused(400, f"the {encoding} body is cut off")
    if len(plain) > limit:
        raise Refused(413, f"an inflated body has at most {limit} bytes")
    return plain


def _read_body(body: bytes, encoding: str, media_type: str) -> Batch:
    if media_type == JSON:
        return read_batch(to_protobuf(inflate(body, encoding, JSON_MAX_BYTES)))
    return read_batch(inflate(body, encoding, BODY_MAX_BYTES))


def _answer(batch: Batch, media_type: str) -> Response:
    answer = ExportTraceServiceResponse()
    if batch.refused:
        answer.partial_success.rejected_spans = len(batch.refused)
        answer.partial_success.error_message = "; ".join(
            f"{count} of them: {why}" for why, count in Counter(batch.refused).most_common(5)
        )
    return _encoded(answer, media_type, 200)


def _refusal(refused: Refused, media_type: str) -> Response:
    status = Status(code=_CODES[refused.status], message=str(refused))
    response = _encoded(status, media_type, refused.status)
    if refused.status == 503:
        response.headers.update(_RETRY_AFTER)
    return response


def _encoded(message: object, media_type: str, status: int) -> Response:
    if media_type == PROTOBUF:
        return Response(message.SerializeToString(), status, media_type=PROTOBUF)  # type: ignore[attr-defined]
    return Response(json_format.MessageToJson(message, indent=None), status, media_type=JSON)
