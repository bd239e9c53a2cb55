"""Streams of entries become one, in the order of their times, in constant memory."""

import heapq
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from redis_ha.logs.entry import Entry

Stream = Generator[Entry | None, None, None]
# So many entries of a stream wait for the others' at most.
_AHEAD = 500
# How long (s) an entry waits for an earlier one of a stream that is silent.
PATIENCE = 0.5
# Several write one node's log (server, its child, guard, keeper), and a line without a time of its
# own has that of its arrival: so much later than a line that follows it, and so many lines.
_SLACK = timedelta(seconds=2)
_WAITING = 2000


def merge(streams: Sequence[Stream]) -> Generator[Entry, None, None]:
    """Merge streams that end; each is read as far as it is needed."""
    with ExitStack() as stack:
        for stream in streams:
            stack.enter_context(closing(stream))
        yield from heapq.merge(*map(_in_order, streams), key=_time)


def follow(
    streams: Sequence[Stream],
    stop: threading.Event,
    *,
    patience: float = PATIENCE,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[Entry, None, None]:
    """Merge streams that may be silent for long, until all have ended or `stop` is set.

    Each is read by a thread of its own; an error of one ends all and is raised here.
    """
    table = _Table([_Seat() for _ in streams])
    threads = [
        threading.Thread(target=table.fill, args=(seat, stream, stop), daemon=True)
        for seat, stream in zip(table.seats, streams, strict=True)
    ]
    for thread in threads:
        thread.start()
    try:
        while (entry := table.take(patience, clock)) is not None:
            yield entry
    finally:
        stop.set()
        table.wake()
        for thread in threads:
            thread.join(2.0)


@dataclass
class _Seat:
    """One stream's entries that wait, with the time (monotonic) at which each came."""

    waiting: deque[tuple[Entry, float]] = field(default_factory=deque)
    ended: bool = False


class _Table:
    """Where the streams' threads put entries and the reader takes the earliest."""

    def __init__(self, seats: list[_Seat]) -> None:
        self.seats = seats
        self._bell = threading.Condition()
        self._error: BaseException | None = None

    def fill(self, seat: _Seat, stream: Stream, stop: threading.Event) -> None:
        """Put a stream's entries on the table, no more than some ahead."""
        try:
            with closing(stream):
                for entry in stream:
                    self._put(seat, entry, stop)
                    if stop.is_set():
                        return
        except BaseException as error:  # noqa: BLE001 - it is raised by the reader
            self._error = error
        finally:
            seat.ended = True
            self.wake()

    def _put(self, seat: _Seat, entry: Entry | None, stop: threading.Event) -> None:
        with self._bell:
            while len(seat.waiting) >= _AHEAD and not stop.is_set():
                self._bell.wait(0.5)
            if entry is not None:
                seat.waiting.append((entry, time.monotonic()))
                self._bell.notify_all()

    def wake(self) -> None:
        with self._bell:
            self._bell.notify_all()

    def take(self, patience: float, clock: Callable[[], float]) -> Entry | None:
        """Wait for the earliest entry; None when every stream has ended."""
        with self._bell:
            while True:
                if self._error is not None:
                    raise self._error
                heads = [seat for seat in self.seats if seat.waiting]
                silent = any(not seat.ended and not seat.waiting for seat in self.seats)
                if not heads and not silent:
                    return None
                left = self._left(heads, patience, clock()) if silent else 0.0
                if heads and left <= 0:
                    first = min(heads, key=lambda seat: seat.waiting[0][0].time)
                    self._bell.notify_all()
                    return first.waiting.popleft()[0]
                # Not without end: a signal is seen between two waits.
                self._bell.wait(left if heads else 1.0)

    def _left(self, heads: list[_Seat], patience: float, now: float) -> float:
        """Say how long (s) the silent may still bring an earlier entry."""
        return patience - (now - min((seat.waiting[0][1] for seat in heads), default=now))


def _in_order(stream: Iterable[Entry | None]) -> Generator[Entry, None, None]:
    """Put right what a stream has in another order by a moment; a clock that was set stays."""
    waiting: list[tuple[datetime, int, Entry]] = []
    newest = datetime.min.replace(tzinfo=UTC)
    for number, entry in enumerate(stream):
        if entry is None:
            continue
        heapq.heappush(waiting, (entry.time, number, entry))
        newest = max(newest, entry.time)
        while newest - waiting[0][0] > _SLACK or len(waiting) > _WAITING:
            yield heapq.heappop(waiting)[-1]
    while waiting:
        yield heapq.heappop(waiting)[-1]


def _time(entry: Entry) -> datetime:
    return entry.time
