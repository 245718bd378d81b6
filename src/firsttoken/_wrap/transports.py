"""Transports for httpx and httpx2 that trace calls to models. Floor 4 (wrap); the user's thread.

Neither is imported: a transport is a proxy of whatever transport it was given.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import TracerProvider

from firsttoken._http.hosts import Hosts
from firsttoken._wrap.calls import CallTracing

if TYPE_CHECKING:

    class BaseObjectProxy:
        __wrapped__: Any

        def __init__(self, wrapped: Any) -> None: ...
else:
    from wrapt import BaseObjectProxy


class AsyncTracingTransport(BaseObjectProxy):
    """An async transport whose calls to models are traced; all else is as in the one it wraps.

    wrapped: an httpx or httpx2 one.
    hosts: hosts that answer with a model, besides the providers' own: patterns of `host` or `host:port`,
        or a mapping from them to the provider's name.
    propagate_to: patterns of the hosts that are told the trace (`traceparent`); loopback and private ones
        if None.
    tracer_provider: the configured or the global one if not given.

    Raises: TypeError: if `wrapped` is no async transport, or an argument has a wrong type.
    Raises: ConfigError: if a pattern is none.
    """

    def __init__(
        self,
        wrapped: Any,
        *,
        hosts: Hosts = (),
        propagate_to: Iterable[str] | None = None,
        tracer_provider: TracerProvider | None = None,
    ) -> None:
        if not hasattr(wrapped, "handle_async_request"):
            raise TypeError(
                f"wrapped is an async transport of httpx or httpx2, not {type(wrapped).__qualname__}"
            )
        super().__init__(wrapped)
        self._self_tracing = CallTracing(hosts, propagate_to, tracer_provider)

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request, as httpx asks of a transport."""
        call = self._self_tracing.look_at(request)
        if call is None:
            return await self.__wrapped__.handle_async_request(request)
        return await call.send_async(self.__wrapped__.handle_async_request)

    async def __aenter__(self) -> AsyncTracingTransport:
        await self.__wrapped__.__aenter__()
        return self

    async def __aexit__(self, *failure: Any) -> Any:
        return await self.__wrapped__.__aexit__(*failure)


class TracingTransport(BaseObjectProxy):
    """A transport whose calls to models are traced; all else is as in the one it wraps.

    wrapped: an httpx or httpx2 one.
    hosts: hosts that answer with a model, besides the providers' own: patterns of `host` or `host:port`,
        or a mapping from them to the provider's name.
    propagate_to: patterns of the hosts that are told the trace (`traceparent`); loopback and private ones
        if None.
    tracer_provider: the configured or the global one if not given.

    Raises: TypeError: if `wrapped` is no transport, or an argument has a wrong type.
    Raises: ConfigError: if a pattern is none.
    """

    def __init__(
        self,
        wrapped: Any,
        *,
        hosts: Hosts = (),
        propagate_to: Iterable[str] | None = None,
        tracer_provider: TracerProvider | None = None,
    ) -> None:
        if not hasattr(wrapped, "handle_request"):
            raise TypeError(f"wrapped is a transport of httpx or httpx2, not {type(wrapped).__qualname__}")
        super().__init__(wrapped)
        self._self_tracing = CallTracing(hosts, propagate_to, tracer_provider)

    def handle_request(self, request: Any) -> Any:
        """Send a request, as httpx asks of a transport."""
        call = self._self_tracing.look_at(request)
        if call is None:
            return self.__wrapped__.handle_request(request)
        return call.send(self.__wrapped__.handle_request)

    def __enter__(self) -> TracingTransport:
        self.__wrapped__.__enter__()
        return self

    def __exit__(self, *failure: Any) -> Any:
        return self.__wrapped__.__exit__(*failure)
