"""Wrap a stream, or a function that makes one. Floor 4 (wrap); the user's thread."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import AsyncIterable, Awaitable, Callable, Generator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import wrapt
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import TracerProvider

from firsttoken import semconv
from firsttoken._clock import monotonic_ns, wall_ns, wall_offset_ns
from firsttoken._wrap.aside import aside
from firsttoken._wrap.asked import asked_of
from firsttoken._wrap.default import default_runtime
from firsttoken._wrap.others import is_told
from firsttoken._wrap.pending import traced_source
from firsttoken._wrap.proxy import TracedStream
from firsttoken._wrap.request import Request
from firsttoken._wrap.sdk import again, told_stream
from firsttoken.decoders import DecoderFactory, decoder_for
from firsttoken.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from firsttoken.summary import StreamSummary

    Streamable = AsyncIterable[T] | Iterable[T]
    Source = (
        Streamable[T]
        | Awaitable[Streamable[T]]
        | AbstractAsyncContextManager[Streamable[T]]
        | AbstractContextManager[Streamable[T]]
    )

    class Traced(Generic[T]):
        """What `trace_stream` returns, as type checkers see it: the source, and three attributes more."""

        summary: StreamSummary | None
        trace_id: str | None
        span_id: str | None

        def __aiter__(self) -> AsyncIterator[T]: ...
        def __anext__(self) -> Awaitable[T]: ...
        def __iter__(self) -> Iterator[T]: ...
        def __next__(self) -> T: ...
        def __await__(self) -> Generator[Any, Any, Traced[T]]: ...
        async def __aenter__(self) -> Traced[T]: ...
        async def __aexit__(self, *failure: object) -> bool | None: ...
        def __enter__(self) -> Traced[T]: ...
        def __exit__(self, *failure: object) -> bool | None: ...
        def __getattr__(self, name: str) -> Any: ...


#: Unix times are far above this, monotonic ones far below: the year 2001 in ns.
_EARLIEST_NS = 1_000_000_000_000_000_000


def trace_stream(
    source: Source[T],
    *,
    model: str | None = None,
    provider: str | None = None,
    operation: str = "chat",
    name: str | None = None,
    attributes: Mapping[str, Any] | None = None,
    decoder: Any = None,
    done: Callable[[Any], bool] | Any = None,
    parent: Context | None = None,
    started_at_ns: int | None = None,
    tracer_provider: TracerProvider | None = None,
) -> Traced[T]:
    """Trace a stream: return it as it is, with a span that begins now and ends when the stream does.

    source: an async iterable, iterator or generator; a sync one; an awaitable of one; or an async or sync
        context manager of one.
    model, provider: what was asked of whom (`gen_ai.request.model`, `gen_ai.provider.name`).
    operation: `chat`, `text_completion`, `generate_content`, or a word of your own for other stages.
    name: of the span; `{operation} {model}` if not given.
    attributes: more for the span, from its start.
    decoder: a format's name, a `Decoder`, a function that makes one, or a function from a chunk to its
        deltas; found from the first chunks if not given.
    done: a predicate on chunks, or a chunk, that marks the end of the answer where the format has no mark.
    parent: the context the span belongs to; the current one if not given.
    started_at_ns: when the request was issued, as Unix time; now if not given.
    tracer_provider: the configured or the global one if not given.

    Returns the source in a transparent proxy, with `summary`, `trace_id` and `span_id` besides.

    Raises: TypeError: if `source` is nothing that can become a stream, or an argument has a wrong type.
    Raises: ConfigError: if an argument has a value outside the ones the message names.

    Cost: about 0.3 µs per chunk; tests/bench/bench_record.py.
    """
    request = Request(
        operation=_text("operation", operation) or "chat",
        name=_text("name", name),
        provider=_text("provider", provider),
        model=_text("model", model),
        attributes=_mapping("attributes", attributes),
        decoder=_decoder_factory(decoder),
        done=_predicate(done),
        parent=otel_context.get_current() if parent is None else _context(parent),
        tracer_provider=_tracer_provider(tracer_provider),
    )
    if request.is_of_a_call:
        if isinstance(source, TracedStream) and source._self_live.request.is_of_a_call:
            same: Traced[T] = again(source, request)
            return same
        asked = asked_of(source)
        request = aside(request, asked) if is_told(source) else _asking(request, asked)
    runtime = default_runtime()
    told: Traced[T] | None = told_stream(source, request, runtime.start_span)
    if told is not None:
        return told
    live = runtime.open(request, None if started_at_ns is None else _issued_ns(started_at_ns))
    proxy: Traced[T] = traced_source(source, live, runtime.start_span)
    return proxy


def _asking(request: Request, asked: dict[str, Any]) -> Request:
    """Return `request` with what the source shows of it; what the caller said stands."""
    model, provider = asked.pop(semconv.REQUEST_MODEL, None), asked.pop(semconv.PROVIDER_NAME, None)
    return replace(
        request,
        model=request.model or model,
        provider=request.provider or provider,
        attributes={**asked, **(request.attributes or {})},
    )


@overload
def traced(function: F, /) -> F: ...
@overload
def traced(
    function: None = None,
    /,
    *,
    model: str | None = None,
    provider: str | None = None,
    operation: str = "chat",
    name: str | None = None,
    attributes: Mapping[str, Any] | None = None,
    decoder: Any = None,
    done: Callable[[Any], bool] | Any = None,
    parent: Context | None = None,
    tracer_provider: TracerProvider | None = None,
) -> Callable[[F], F]: ...


def traced(function: Any = None, /, **options: Any) -> Any:
    """Trace every stream that a function makes.

    function: an async generator function, a generator function, or a function (async or not) that returns
        a stream. It stays what it was to `inspect`, signature included.
    options: as for `trace_stream`; `name` is `{operation} {function name}` if neither it nor `model` is
        given.

    Raises: TypeError: if `function` cannot be called or an option does not exist.
    Raises: ConfigError: if an option has a value outside the ones the message names.
    """
    if function is None:
        _check_options(options)
        return functools.partial(traced, **options)
    if not callable(function):
        raise TypeError(f"traced decorates a function, not {type(function).__qualname__}")
    if options.get("name") is None and options.get("model") is None:
        operation = options.get("operation", "chat")
        options["name"] = f"{operation} {getattr(function, '__name__', 'stream')}"
    _check_options(options)
    if hasattr(options.get("decoder"), "feed"):
        raise ConfigError("traced makes many streams: decoder is a function that makes a decoder, not one")

    async def awaited(stream: Awaitable[Any]) -> Any:
        return await stream

    @wrapt.decorator
    def wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        stream = trace_stream(wrapped(*args, **kwargs), **options)
        return awaited(stream) if inspect.iscoroutinefunction(wrapped) else stream

    return wrapper(function)


def _check_options(options: Mapping[str, Any]) -> None:
    """Refuse at the decorator what `trace_stream` would refuse at the first call."""
    signature = inspect.signature(trace_stream)
    for option in options:
        if option not in signature.parameters or option in ("source", "started_at_ns"):
            allowed = ", ".join(
                name for name in signature.parameters if name not in ("source", "started_at_ns")
            )
            raise TypeError(f"traced takes {allowed}; not {option}")
    trace_stream((), **options)


def _text(name: str, value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name} is a str or None, not {type(value).__qualname__}")
    return value


def _mapping(name: str, value: Any) -> Mapping[str, Any] | None:
    if value is not None and not isinstance(value, Mapping):
        raise TypeError(f"{name} is a mapping or None, not {type(value).__qualname__}")
    return value


def _decoder_factory(hint: Any) -> DecoderFactory:
    # Checked now, so that a wrong name is an error here; made later, on the thinker thread.
    if hint is not None:
        decoder_for(hint)
    return functools.partial(decoder_for, hint)


def _predicate(done: Any) -> Callable[[Any], bool] | None:
    if done is None:
        return None
    return done if callable(done) else functools.partial(operator.eq, done)


def _context(parent: Any) -> Context:
    if not isinstance(parent, Context):
        raise TypeError(f"parent is an OpenTelemetry Context or None, not {type(parent).__qualname__}")
    return parent


def _tracer_provider(provider: Any) -> TracerProvider | None:
    if provider is not None and not hasattr(provider, "get_tracer"):
        raise TypeError(f"tracer_provider is a TracerProvider or None, not {type(provider).__qualname__}")
    return provider  # type: ignore[no-any-return]  # duck-typed: other SDKs have providers of their own


def _issued_ns(started_at_ns: Any) -> int:
    if isinstance(started_at_ns, bool) or not isinstance(started_at_ns, int):
        raise TypeError(f"started_at_ns is an int or None, not {type(started_at_ns).__qualname__}")
    if not _EARLIEST_NS <= started_at_ns <= wall_ns() + 1_000_000_000:
        raise ConfigError(
            f"started_at_ns is a Unix time in ns, in the past (time.time_ns()); not {started_at_ns}"
        )
    return min(started_at_ns - wall_offset_ns(), monotonic_ns())
