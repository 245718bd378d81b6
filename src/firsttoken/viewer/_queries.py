"""The API's query strings. Floor 5 (viewer; pydantic); the server's event loop."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from firsttoken.viewer._lists import LIMIT_MAX, Filter

Text = Annotated[str, Field(max_length=500)]
Texts = Annotated[list[Text], Field(max_length=50)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class FilterQuery(BaseModel):
    """Which streams."""

    outcome: Texts = []
    model: Texts = []
    route: Texts = []
    service: Texts = []
    cause: Texts = []
    min_ttft_s: Number | None = None
    stalled: bool = False
    q: Text = ""
    since_ms: Number | None = None
    until_ms: Number | None = None

    @property
    def filter(self) -> Filter:
        """The filter for the store."""
        return Filter(**{name: getattr(self, name) for name in FilterQuery.model_fields})


class StreamsQuery(FilterQuery):
    """Which streams, in which order, and how many of them."""

    sort: Literal[
        "start", "ttft", "tokens", "tokens_per_second", "gap_p95", "gap_max", "stalls", "duration"
    ] = "start"
    order: Literal["desc", "asc"] = "desc"
    limit: Annotated[int, Field(ge=0, le=LIMIT_MAX)] = 200
    offset: Annotated[int, Field(ge=0, le=10**9)] = 0


class DistributionsQuery(FilterQuery):
    """Which streams, and what they are grouped by."""

    by: Literal["model", "route", "service", "all"] = "all"
