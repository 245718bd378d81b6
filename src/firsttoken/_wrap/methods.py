"""Helper methods of wrapped streams. Floor 4 (wrap); the user's thread.

SDK streams have methods that read them to their end (`until_done`, `get_final_message`) and attributes that
iterate them (`text_stream`). Through a proxy those must read the recorded stream, not go past it.
"""

from __future__ import annotations

import inspect
from types import MethodType
from typing import Any, Final

#: Attributes that hold an iterator over the object they belong to -> the method that makes one.
_ITERATORS_OVER_SELF: Final = {"text_stream": "__stream_text__"}


def through(proxy: Any, name: str, attribute: Any) -> Any:
    """Return an attribute of the stream that `proxy` wraps; a method has the proxy as its `self`."""
    wrapped = proxy.__wrapped__
    if inspect.ismethod(attribute) and attribute.__self__ is wrapped:
        return MethodType(attribute.__func__, proxy)
    maker = _ITERATORS_OVER_SELF.get(name)
    if maker is not None:
        method = getattr(type(wrapped), maker, None)
        if method is not None and getattr(attribute, "__name__", None) == maker:
            # Made once: whoever asks twice goes on with the same iterator, as with the original.
            made = getattr(proxy, f"_self_{name}", None)
            if made is None:
                made = method(proxy)
                setattr(proxy, f"_self_{name}", made)
            return made
    return attribute
