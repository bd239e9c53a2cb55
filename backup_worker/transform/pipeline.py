"""Transforms of a byte stream and how they are put behind one another."""

from collections.abc import Iterable, Iterator
from typing import Protocol


class Transform(Protocol):
    """A stream goes in piece by piece, the transformed stream comes out.

    `step` is how many bytes one `update` should be given at most, so that what it returns stays
    small: a few bytes can decompress to megabytes. It may change from one update to the next;
    giving more is correct but takes the memory.
    """

    @property
    def step(self) -> int: ...

    def update(self, data: bytes) -> bytes:
        """Take the next bytes; return what they completed, perhaps nothing."""
        ...

    def finish(self) -> bytes:
        """Return what is left. Raises when the stream is not complete."""
        ...


def transformed(chunks: Iterable[bytes], *transforms: Transform) -> Iterator[bytes]:
    """Send a stream through the transforms in order, lazily, in constant memory.

    Yields pieces that are not empty. A transform's error ends the iteration.
    """
    stream = iter(chunks)
    for transform in transforms:
        stream = _stage(stream, transform)
    return stream


def chain(*transforms: Transform) -> "Chain":
    """Make one transform of several, the first one first."""
    return Chain(transforms)


class Chain:
    """Several transforms behind one another, as one."""

    def __init__(self, transforms: Iterable[Transform]) -> None:
        self._transforms = tuple(transforms)

    @property
    def step(self) -> int:
        """The smallest of its transforms' steps."""
        return min(transform.step for transform in self._transforms)

    def update(self, data: bytes) -> bytes:
        """Take the next bytes; return what they completed at the far end."""
        for transform in self._transforms:
            if not data:
                break
            data = transform.update(data)
        return data

    def finish(self) -> bytes:
        """Finish each transform, its rest going through those behind it."""
        rest = b""
        for transform in self._transforms:
            rest = transform.update(rest) + transform.finish()
        return rest


def _stage(chunks: Iterator[bytes], transform: Transform) -> Iterator[bytes]:
    for chunk in chunks:
        position = 0
        while position < len(chunk):
            step = transform.step
            if out := transform.update(chunk[position : position + step]):
                yield out
            position += step
    if out := transform.finish():
        yield out
