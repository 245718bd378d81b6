"""What the scripted model says: our own words, cut into tokens. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from random import Random

_PARAGRAPHS = (
    """A stream is a promise kept in small pieces. The first piece matters most, because until it comes a
    person cannot know whether anybody is there at all. After it, what matters is rhythm: an even trickle
    reads like speech, and a pause in the middle of a sentence reads like trouble.""",
    """Three parties can cause that pause. The model may think, or share its machine with too many others.
    The reader may be slow: a phone in a tunnel, a terminal that scrolls, a queue that is full. Or the
    server in between may be busy with something else entirely, and then every stream it carries stands
    still at the same moment.""",
    """From the outside all three look alike. The text stops, and later it goes on. Whoever wants to mend it
    needs two clocks on each piece: one for when it came, and one for when somebody asked for the next.
    The time before the piece belongs to the source. The time after it belongs to the reader.""",
    """The event loop is the third clock. It carries every conversation of a process on one thread, like a
    waiter who serves forty tables and is quick enough that nobody notices. Ask that waiter to wash a pan
    by hand and forty tables wait, the one that ordered the pan no longer than the others.""",
    """So a good log of a stream is short. It says when the request was made, when the first word came, how
    even the words were after that, how the whole thing ended, and, where it stood still, whose fault that
    was. Five numbers and a line of code are worth more than a thousand timestamps.""",
    """Endings deserve their own words. A stream that said it was done is complete, even if somebody hung up
    a moment later. One that fell silent was cut off. One whose reader left was given up, and the kind
    thing to do is to tell the model at once, so that it stops talking to an empty room.""",
)

_TOKEN = re.compile(r"\s?\w{1,6}|\s?[^\w\s]")


def tokens(random: Random, count: int) -> Iterator[str]:
    """Yield `count` tokens of text, in an order of paragraphs that `random` chooses."""
    return islice(_endless(random), count)


def _endless(random: Random) -> Iterator[str]:
    order = list(_PARAGRAPHS)
    while True:
        random.shuffle(order)
        for paragraph in order:
            yield from _TOKEN.findall(" ".join(paragraph.split()))
            yield "\n\n"
