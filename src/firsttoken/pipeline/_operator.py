"""What buffer, merge and tee have in common: tasks, a way out, and a span. Floor 4 (wrap); the loop.

An operator is an async context manager with a task group: entering gives a stream, leaving stops and
closes whatever feeds it. No error of a source and no cancellation of its own ever reaches the body of the
block; a source's error comes out of the stream, where its items did.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Generic, TypeVar

import anyio
from anyio.abc import TaskGroup
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode, TracerProvider

from firsttoken import semconv
from firsttoken._clock import monotonic_ns, to_s
from firsttoken._guard import guarded
from firsttoken._record.record import error_name
from firsttoken._tell.feeds import Feed, begin_feeding, pulling
from firsttoken._think.blame import Claim, Layer, both
from firsttoken._wrap.default import default_runtime
from firsttoken.pipeline._channel import Channel
from firsttoken.pipeline._putter import Putter
from firsttoken.pipeline._source import Source, Take, is_cancellation
from firsttoken.summary import Outcome

Y = TypeVar("Y")


class Operator(AbstractAsyncContextManager[Y], Generic[Y]):
    """Some sources, some channels, and the tasks between them.

    kind: `buffer`, `merge` or `tee`.
    name: of the span, after the kind.
    sources: what is pulled, each in a task of its own, from the first pull of a stream on.
    size: how many items a channel holds.
    """

    def __init__(
        self,
        kind: str,
        name: str | None,
        sources: list[Source],
        size: int,
        channels: int,
        tracer_provider: TracerProvider | None,
    ) -> None:
        if tracer_provider is not None and not hasattr(tracer_provider, "get_tracer"):
            raise TypeError(
                f"tracer_provider is a TracerProvider or None, not {type(tracer_provider).__qualname__}"
            )
        self.kind = kind
        self.name = kind if name is None else f"{kind} {name}"
        self.span: Span | None = None
        self.feeds: list[Feed] = []
        self.sources = sources
        self.size = size
        self.channels: list[Channel[Any]] = []
        self._channel_count = channels
        self._parent = otel_context.get_current()
        self.tracer_provider = tracer_provider
        self._tasks: TaskGroup | None = None
        #: Nobody wants more of any source.
        self.stopped = False
        self._left_to_drain = len(sources)
        self._begun_ns: int | None = None
        self._ended_ns: int | None = None
        self._error: Exception | None = None
        self._late_error: Exception | None = None

    # --- what the three differ in ----------------------------------------------------------------------

    def streams(self) -> Y:
        """Return what the block is given; the channels are there."""
        raise NotImplementedError

    def taker(self, source: Source) -> Take:
        """Return what each item of `source` goes to."""
        raise NotImplementedError

    def putters(self) -> list[Putter[Any]]:
        """Return all ways into the channels."""
        raise NotImplementedError

    def attributes(self) -> Mapping[str, Any]:
        """Return what to tell beyond what all operators tell."""
        return {}

    # --- in, while the block runs, out -------------------------------------------------------------------

    async def __aenter__(self) -> Y:
        if self._tasks is not None:
            raise RuntimeError(f"a {self.kind} can be entered once")
        self.channels = [Channel(self.size, self._begin, self._leave) for _ in range(self._channel_count)]
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        return self.streams()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._tasks is not None
        for channel in self.channels:
            channel.close()
        self._stop()
        try:
            # Without the body's error, which is nobody's business here and would come back in a group.
            await self._tasks.__aexit__(None, None, None)
            if self._begun_ns is None:
                for source in self.sources:
                    await source.discard()
        finally:
            self._ended_ns = monotonic_ns()
            if self.span is not None:
                with guarded("tell a pipeline operator"):
                    self._tell(self.span, self._outcome(error))
        if error is None and self._late_error is not None:
            raise self._late_error

    def _begin(self) -> None:
        """Start at the first pull of any stream; runs in the task that pulls."""
        if self._begun_ns is not None:
            return
        self._begun_ns = monotonic_ns()
        context = self._parent
        with guarded("begin a pipeline operator"):
            runtime = default_runtime()
            provider = self.tracer_provider or runtime.tracer_provider or trace.get_tracer_provider()
            self.span = runtime.tracer(provider).start_span(self.name, context=context)
            begin_feeding(self)
            context = pulling(trace.set_span_in_context(self.span, context), self)
        assert self._tasks is not None
        for source in self.sources:
            self._tasks.start_soon(self._pull, source, context, name=f"{self.name} pulls {source.name}")

    async def _pull(self, source: Source, context: otel_context.Context) -> None:
        # The task's own context, which goes with it: there is nothing to take back.
        otel_context.attach(context)
        try:
            exhausted = await source.drain(self.taker(source))
        except Exception as error:
            self._fail(error)
            return
        if exhausted:
            self._left_to_drain -= 1
            if not self._left_to_drain:
                self._finish(None)

    def _fail(self, error: Exception) -> None:
        if self.stopped:
            # Raised while it was closed: no stream will tell it.
            self._late_error = self._late_error or error
        self._error = self._error or error
        self._finish(error)
        self._stop()

    def _finish(self, error: Exception | None) -> None:
        for channel in self.channels:
            channel.finish(error)

    def _leave(self) -> None:
        """Stop when nobody wants any of the streams."""
        if all(channel.is_left for channel in self.channels):
            self._stop()

    def _stop(self) -> None:
        self.stopped = True
        for source in self.sources:
            source.stop()

    # --- telling -----------------------------------------------------------------------------------------

    def _outcome(self, error: BaseException | None) -> Outcome:
        channels = self.channels
        if self._error is not None:
            return Outcome.FAILED
        if any(channel.drained for channel in channels) and all(
            channel.drained or channel.is_left for channel in channels
        ):
            return Outcome.COMPLETED
        if is_cancellation(error) or any(channel.is_cancelled for channel in channels):
            return Outcome.CANCELLED
        return Outcome.ABANDONED

    def _tell(self, span: Span, outcome: Outcome) -> None:
        assert self._ended_ns is not None
        if span.is_recording():
            channels, putters = self.channels, self.putters()
            span.set_attributes(
                {
                    semconv.PIPELINE_OPERATOR: self.kind,
                    semconv.OUTCOME: outcome.value,
                    semconv.PIPELINE_SIZE: self.size,
                    semconv.PIPELINE_ITEM_COUNT: sum(putter.put_count for putter in putters),
                    semconv.PIPELINE_DROP_COUNT: sum(putter.dropped for putter in putters),
                    semconv.PIPELINE_DEPTH_MAX: max(channel.depth_max for channel in channels),
                    semconv.PIPELINE_DEPTH_MEAN: max(
                        channel.mean_depth(self._ended_ns) for channel in channels
                    ),
                    semconv.PIPELINE_PUT_WAIT: to_s(sum(putter.put_wait_ns for putter in putters)),
                    semconv.PIPELINE_GET_WAIT: to_s(sum(channel.get_wait_ns for channel in channels)),
                }
            )
            for source in self.sources:
                span.set_attributes(source.calls.attributes())
            span.set_attributes(self.attributes())
            if self._error is not None:
                span.set_attribute(semconv.ERROR_TYPE, error_name(type(self._error)))
            if outcome.value in default_runtime().settings.error_outcomes:
                span.set_status(Status(StatusCode.ERROR))
        span.end()

    @property
    def lived_ns(self) -> tuple[int, int | None]:
        """When it was first pulled and when it was left, on the monotonic clock; None while it goes on."""
        return self._begun_ns or 0, self._ended_ns

    def layer(self, begin_ns: int, end_ns: int) -> Layer:
        """Return what it did between two monotonic times (ns): it only passed on, or waited for others."""
        window = [(begin_ns, end_ns)]
        begun_ns, ended_ns = self.lived_ns
        lived = [(begun_ns, ended_ns or end_ns)]
        below = [feed.layer(begin_ns, end_ns) for feed in list(self.feeds)]
        return Layer(
            name=self.name,
            own=None,
            waits=both(window, lived),
            known=[claim for claim in self._waits() if claim.begin_ns < end_ns and claim.end_ns > begin_ns],
            delivered_ns=max((layer.delivered_ns or 0 for layer in below), default=None),
            below=below,
        )

    def _waits(self) -> list[Claim]:
        noted = [list(source.calls.waits) for source in self.sources]
        noted += [list(putter.waits) for putter in self.putters()]
        return [claim for claims in noted for claim in claims]
