"""The viewer as an ASGI application: OTLP in, the API, the page. Floor 5 (viewer); its event loop."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

import anyio
import anyio.to_thread
import msgspec
from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse

from firsttoken._asgi_types import App
from firsttoken._version import __version__
from firsttoken.errors import FirstTokenError
from firsttoken.viewer import _lists, _page, _traces
from firsttoken.viewer._changes import WATCHERS_MAX, Changes
from firsttoken.viewer._guard import Guard
from firsttoken.viewer._intake import Intake
from firsttoken.viewer._live import Live
from firsttoken.viewer._queries import DistributionsQuery, StreamsQuery
from firsttoken.viewer._schema import StoreError
from firsttoken.viewer._store import Store, used_bytes

T = TypeVar("T")

_READERS: Final = 4
#: What is counted over the whole store is at most so many times as old as it took to count.
_STALE: Final = 10


@dataclass(frozen=True)
class Access:
    """Who may ask.

    token: that every request needs; None if none does.
    any_host: whether the server may be called by other names than this machine's own.
    """

    token: str | None = None
    any_host: bool = False


class Viewer:
    """The application and what it is made of.

    live: URLs of debug paths to ask for streams that still run.
    jaeger: URL of a Jaeger's traces, for links to it.
    is_watched: whether somebody looks all the time, so that live streams are always asked for.
    """

    def __init__(
        self,
        store: Store,
        *,
        access: Access,
        live: tuple[str, ...] = (),
        jaeger: str | None = None,
        is_watched: bool = False,
    ) -> None:
        self.store = store
        self.changes = Changes()
        self.jaeger = jaeger
        self.live = Live(
            live, changed=self.changes.live, is_watched=lambda: is_watched or self.changes.watchers > 0
        )
        self._readers = anyio.CapacityLimiter(_READERS)
        self._facets = Recent(_lists.facets)
        self._span_count = Recent(_span_count)
        self.app: App = Guard(_application(self), token=access.token, any_host=access.any_host)

    @asynccontextmanager
    async def running(self, app: FastAPI) -> AsyncIterator[None]:
        """Poll live streams and pass on changes while the application is served."""
        self.changes.begin(self.store.version)
        self.store.changed = self.changes.stored
        polling = asyncio.create_task(self.live.run())
        try:
            yield
        finally:
            polling.cancel()
            await asyncio.wait([polling])

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query on a reader thread."""

        def run() -> T:
            with self.store.reading() as connection:
                return query(connection)

        return await anyio.to_thread.run_sync(run, limiter=self._readers)

    def streams(self, connection: sqlite3.Connection, query: StreamsQuery) -> dict[str, Any]:
        """Return the answer of `/api/streams`."""
        version = self.store.version
        found, total = _lists.streams(
            connection,
            query.filter,
            sort=query.sort,
            order=query.order,
            limit=query.limit,
            offset=query.offset,
        )
        facets = self._facets(connection, version)
        return {"streams": found, "total": total, "version": version, "facets": facets}

    def health(self, connection: sqlite3.Connection) -> dict[str, Any]:
        """Return the answer of `/api/health`."""
        version = self.store.version
        return {
            "ok": True,
            "firsttoken": __version__,
            "spans": self._span_count(connection, version),
            "bytes": used_bytes(connection),
            "version": version,
        }


class Recent:
    """A query over the whole store, whose answer is kept while it is true or costs too much to renew."""

    def __init__(self, query: Callable[[sqlite3.Connection], Any]) -> None:
        self._query = query
        self._answer: tuple[int, float, Any] | None = None

    def __call__(self, connection: sqlite3.Connection, version: int) -> Any:
        """Return the answer for the store's version, or one of a moment ago."""
        began_s = time.monotonic()
        if self._answer is not None:
            known, until_s, answer = self._answer
            if known == version or began_s < until_s:
                return answer
        answer = self._query(connection)
        ended_s = time.monotonic()
        self._answer = version, ended_s + _STALE * (ended_s - began_s), answer
        return answer


def _application(viewer: Viewer) -> FastAPI:
    # Its own pages of documentation load scripts from elsewhere.
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, lifespan=viewer.running)
    intake = Intake(viewer.store)
    app.add_api_route("/v1/traces", intake.traces, methods=["POST"])
    for signal in ("metrics", "logs"):
        app.add_api_route(f"/v1/{signal}", intake.discard, methods=["POST"])
    _add_api(app, viewer)
    _add_page(app, viewer)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        said = [f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in error.errors()]
        return _json({"error": "; ".join(said)}, 400)

    @app.exception_handler(StoreError)
    async def broken(request: Request, error: StoreError) -> Response:
        return _json({"error": str(error)}, 503)

    @app.exception_handler(404)
    async def missing(request: Request, error: Exception) -> Response:
        return _json({"error": "there is nothing here"}, 404)

    @app.exception_handler(405)
    async def wrong_method(request: Request, error: Exception) -> Response:
        return _json({"error": "the method is not allowed here"}, 405)

    return app


def _add_api(app: FastAPI, viewer: Viewer) -> None:
    @app.get("/api/streams")
    async def streams(query: Annotated[StreamsQuery, Query()]) -> Response:
        return _json(await viewer.read(lambda connection: viewer.streams(connection, query)))

    @app.get("/api/distributions")
    async def distributions(query: Annotated[DistributionsQuery, Query()]) -> Response:
        groups = await viewer.read(
            lambda connection: _lists.distributions(connection, query.filter, query.by)
        )
        return _json({"by": query.by, "groups": groups})

    @app.get("/api/traces/{trace_id}")
    async def trace(trace_id: str) -> Response:
        key = _key(trace_id)
        if key is None:
            return _no_such_trace()
        document = await viewer.read(
            lambda connection: _traces.trace_document(connection, key, viewer.jaeger)
        )
        return _no_such_trace() if document is None else _json(document)

    @app.get("/api/traces/{trace_id}/otlp.json")
    async def otlp(trace_id: str) -> Response:
        key = _key(trace_id)
        if key is None:
            return _no_such_trace()
        try:
            body = await viewer.read(lambda connection: _traces.trace_otlp(connection, key))
        except _traces.TraceTooLarge as error:
            return _json({"error": str(error)}, 413)
        if body is None:
            return _no_such_trace()
        return _attachment(body, "application/json", f"trace-{trace_id.lower()}.otlp.json")

    @app.get("/api/traces/{trace_id}/page.html")
    async def page(trace_id: str) -> Response:
        key = _key(trace_id)
        if key is None:
            return _no_such_trace()
        document = await viewer.read(lambda connection: _traces.saved_document(connection, key))
        if document is None:
            return _no_such_trace()
        try:
            body = await anyio.to_thread.run_sync(_page.trace_page, document)
        except FirstTokenError as error:
            return _json({"error": str(error)}, 500)
        return _attachment(body, "text/html; charset=utf-8", f"trace-{trace_id.lower()}.html")

    @app.get("/api/live")
    async def live() -> Response:
        return _json(await viewer.live.refresh())

    @app.get("/api/changes")
    async def changes() -> Response:
        if viewer.changes.watchers >= WATCHERS_MAX:
            return _json({"error": "too many watch already"}, 503)
        return StreamingResponse(viewer.changes.watch(), media_type="text/event-stream")

    @app.get("/api/health")
    async def health() -> Response:
        return _json(await viewer.read(viewer.health))


def _add_page(app: FastAPI, viewer: Viewer) -> None:
    async def file(name: str) -> Response:
        content = await anyio.to_thread.run_sync(_page.page_file, name)
        if content is None:
            return _json({"error": "there is nothing here"}, 404)
        return Response(content, media_type=_page.media_type(name), headers={"cache-control": "no-cache"})

    @app.get("/")
    async def index() -> Response:
        return await file("index.html")

    @app.get("/page/{name}")
    async def page_file(name: str) -> Response:
        return await file(name)


def _key(trace_id: str) -> bytes | None:
    try:
        return bytes.fromhex(trace_id) if len(trace_id) == 32 else None
    except ValueError:
        return None


def _no_such_trace() -> Response:
    return _json({"error": "there is no such trace here: not sent yet, or forgotten"}, 404)


def _attachment(body: bytes, media_type: str, name: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(body, media_type=media_type, headers=headers)


def _json(document: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(document), status, media_type="application/json")


def _span_count(connection: sqlite3.Connection) -> int:
    (count,) = connection.execute("SELECT count(*) FROM span").fetchone()
    return int(count)
