"""Opens sources and gives their entries merged: what `redis-ha logs` and `events` read."""

import threading
from collections.abc import Generator, Sequence
from contextlib import closing

from redis_ha.logs.entry import Entry
from redis_ha.logs.merging import follow, merge
from redis_ha.logs.reading import read_entries
from redis_ha.logs.source import Source, Window


def open_entries(
    sources: Sequence[Source], window: Window, *, stop: threading.Event | None = None
) -> Generator[Entry, None, None]:
    """Yield the entries of that time in order; with `stop`, and new ones until it is set.

    Raises Unreachable.
    """
    streams = [read_entries(s.lines(window, stop), s.node_of) for s in sources]
    if stop is None:
        merged = merge(streams)
    else:
        merged = follow(streams, stop, patience=max(source.delay for source in sources))
    with closing(merged):
        yield from filter(window.holds, merged)
