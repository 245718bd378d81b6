"""Content encodings, undone as the bytes come. Floor 2 (think); runs on the thinker thread.

Source: RFC 9110 section 8.4.1 (gzip, deflate), RFC 7932 (br), RFC 8878 (zstd).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, Final, Protocol

from firsttoken.errors import DecodeError

PIECE_BYTES: Final = 64 * 1024
"""Inflated bytes handed on at a time: what is in memory, however much is packed into a chunk."""

MAX_RATIO: Final = 200
"""How many times longer than its encoding a body may be once it is longer than `BOMB_BYTES`."""

BOMB_BYTES: Final = 64 * 1024 * 1024
"""Inflated bytes below which nobody looks at the ratio."""

# Codecs that cannot bound their output get their input in slices of this size.
_SLICE_BYTES: Final = 256

_ZLIB: Final = 15
_RAW_DEFLATE: Final = -15
_GZIP: Final = 31


class Codec(Protocol):
    """Undoes one content encoding."""

    def inflate(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` adds, in pieces of bounded size."""
        ...


class Inflater:
    """Undoes the content encodings of one body, in reverse order of their being applied."""

    def __init__(self, codecs: list[Codec]) -> None:
        self._codecs = codecs
        self._taken = 0
        self._given = 0
        self._broken = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the plain bytes that `data` adds, in pieces; nothing any more once it has raised.

        Raises:
            DecodeError: if `data` does not follow the encoding, or inflates beyond all measure.
        """
        if self._broken:
            return
        self._taken += len(data)
        try:
            for piece in self._through(data, 0):
                self._given += len(piece)
                if self._given > BOMB_BYTES and self._given > MAX_RATIO * self._taken:
                    raise DecodeError(f"body inflates more than {MAX_RATIO} times")
                yield piece
        except DecodeError:
            self._broken = True
            raise

    def _through(self, data: bytes, stage: int) -> Iterator[bytes]:
        if stage == len(self._codecs):
            yield data
            return
        try:
            for piece in self._codecs[stage].inflate(data):
                if piece:
                    yield from self._through(piece, stage + 1)
        except DecodeError:
            raise
        except Exception as error:  # each library has errors of its own
            raise DecodeError(f"broken content encoding: {type(error).__name__}") from error


def inflater_for(content_encoding: str | None) -> Inflater | None:
    """Return what undoes a `Content-Encoding`, or None if there is nothing to undo.

    content_encoding: the header's value: gzip, deflate, br, zstd, identity, or a list of them. br and
        zstd need one of the usual packages; without it, or for any other name, the first bytes fed raise.
    """
    names = [name.strip().lower() for name in (content_encoding or "").split(",")]
    codecs = [_codec(name) for name in reversed(names) if name not in ("", "identity")]
    return Inflater(codecs) if codecs else None


def _codec(name: str) -> Codec:
    if name in ("gzip", "x-gzip"):
        return _Zlib(_GZIP)
    if name == "deflate":
        return _Deflate()
    for package, make in _PACKAGES.get(name, ()):
        try:
            return make(import_module(package))
        except (ImportError, AttributeError):
            continue
    return _Unknown(name)


class _Zlib:
    def __init__(self, window_bits: int) -> None:
        self._window_bits = window_bits
        self._decompress = zlib.decompressobj(window_bits)
        self._at_start = True

    def inflate(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._decompress.eof:
                # A further gzip member, or the padding some servers leave behind.
                if self._window_bits != _GZIP or data[:1] != b"\x1f":
                    return
                self._decompress = zlib.decompressobj(self._window_bits)
            yield self._decompress.decompress(data, PIECE_BYTES)
            data = self._decompress.unconsumed_tail or self._decompress.unused_data


class _Deflate:
    """`deflate` means zlib; some servers send the raw form all the same. Two bytes tell which."""

    def __init__(self) -> None:
        self._head = b""
        self._inner: _Zlib | None = None

    def inflate(self, data: bytes) -> Iterator[bytes]:
        if self._inner is None:
            self._head += data
            if len(self._head) < 2:
                return
            data, self._head = self._head, b""
            is_zlib = data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
            self._inner = _Zlib(_ZLIB if is_zlib else _RAW_DEFLATE)
        yield from self._inner.inflate(data)


class _Bounded:
    """A decompressor in the manner of `bz2`: `decompress(data, max_length)`, `needs_input`, `eof`."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._decompressor = make()

    def inflate(self, data: bytes) -> Iterator[bytes]:
        while True:
            if self._decompressor.eof:
                data = self._decompressor.unused_data
                if not data:
                    return
                self._decompressor = self._make()
            yield self._decompressor.decompress(data, PIECE_BYTES)
            data = b""
            if self._decompressor.needs_input and not self._decompressor.eof:
                return


class _Sliced:
    """A decompressor that gives all it has: it is fed little by little."""

    def __init__(self, decompress: Callable[[bytes], bytes]) -> None:
        self._decompress = decompress

    def inflate(self, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), _SLICE_BYTES):
            yield self._decompress(data[at : at + _SLICE_BYTES])


class _Unknown:
    def __init__(self, name: str) -> None:
        self._name = name

    def inflate(self, data: bytes) -> Iterator[bytes]:
        raise DecodeError(
            f"content encoding {self._name!r} is unknown here, or its package is not installed"
        )
        yield b""


def _brotli(module: Any) -> Codec:
    decompressor = module.Decompressor()
    return _Sliced(getattr(decompressor, "process", None) or decompressor.decompress)


# By encoding: packages that undo it, and how, in order of preference.
_PACKAGES: Final[dict[str, tuple[tuple[str, Callable[[Any], Codec]], ...]]] = {
    "br": (("brotli", _brotli), ("brotlicffi", _brotli)),
    "zstd": (
        ("compression.zstd", lambda module: _Bounded(module.ZstdDecompressor)),
        ("backports.zstd", lambda module: _Bounded(module.ZstdDecompressor)),
        ("zstandard", lambda module: _Sliced(module.ZstdDecompressor().decompressobj().decompress)),
        ("pyzstd", lambda module: _Bounded(module.ZstdDecompressor)),
    ),
}
