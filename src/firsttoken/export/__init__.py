"""Export of spans: non-blocking, bounded by bytes, and honest about what it lost. Floor 3 (tell)."""

from __future__ import annotations

from firsttoken.export._batch import CAP_BYTES
from firsttoken.export._carried import carrying
from firsttoken.export._statistics import Statistics, statistics
from firsttoken.export.processor import StreamSpanProcessor, carries

__all__ = ["CAP_BYTES", "Statistics", "StreamSpanProcessor", "carries", "carrying", "statistics"]
