"""Pipelines of streams, told stage by stage: buffer, merge, tee, and a decorator for what is in between.

    async with merge(fast=ask(small), good=ask(large)) as answers: ...
    async with buffer(sentences(answer()), 64) as lines: ...
    async with tee(answer(), 2) as (screen, archive): ...

All are async context managers that give streams, on anyio (asyncio, uvloop, trio). What the source raises
comes out of the stream; leaving the block stops and closes what feeds it; each has a span that says how
full it was, and who waited for whom.
"""

from firsttoken.pipeline._buffer import buffer
from firsttoken.pipeline._channel import PipelineStream
from firsttoken.pipeline._merge import merge
from firsttoken.pipeline._stage import Stage, stage
from firsttoken.pipeline._tee import tee

__all__ = ["PipelineStream", "Stage", "buffer", "merge", "stage", "tee"]
