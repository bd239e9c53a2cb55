"""RESP2 and RESP3 replies from bytes: no I/O. Pushed messages are told apart from replies.

Source: https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

# An honest reply here has a few kilobytes; a peer that sends more is not a node of ours.
MOST_BYTES = 1 << 20
_DEEPEST = 8


@dataclass(frozen=True)
class Push:
    """What the server sends unasked: a pub/sub message, a subscription's confirmation."""

    items: tuple[Any, ...]


@dataclass(frozen=True)
class Refusal:
    """An error reply: the server answered, and said no."""

    text: str


class Garbage(ValueError):
    """What came is not the protocol."""


class _Incomplete(Exception):
    pass


class Replies:
    """Is fed bytes, yields values: str, int, None, bool, float, list, dict, Push, Refusal."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, chunk: bytes) -> Iterator[Any]:
        """Yield each value that is now complete; raises Garbage."""
        self._buffer += chunk
        if len(self._buffer) > MOST_BYTES:
            raise Garbage(f"a reply of more than {MOST_BYTES} bytes")
        while self._buffer:
            try:
                value, end = _value(self._buffer, 0, 0)
            except _Incomplete:
                return
            except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
                raise Garbage(str(error)) from error
            self._buffer = self._buffer[end:]
            yield value


def command(*words: str) -> bytes:
    """Write one command."""
    parts = [f"*{len(words)}\r\n".encode()]
    for word in words:
        raw = word.encode()
        parts += [b"$%d\r\n" % len(raw), raw, b"\r\n"]
    return b"".join(parts)


def _value(data: bytes, start: int, depth: int) -> tuple[Any, int]:
    if depth > _DEEPEST:
        raise Garbage("nested too deep")
    end = data.find(b"\r\n", start)
    if end < 0:
        raise _Incomplete
    kind, head = data[start : start + 1], data[start + 1 : end].decode()
    if kind in _BULKS:
        return _bulk(data, kind, int(head), end + 2)
    if kind in _AGGREGATES:
        per_item, make = _AGGREGATES[kind]
        return _items(data, int(head) * per_item, end + 2, make, depth)
    return _SIMPLE[kind](head), end + 2


def _bulk(data: bytes, kind: bytes, length: int, start: int) -> tuple[Any, int]:
    if length < 0:
        return None, start
    end = start + length
    if len(data) < end + 2:
        raise _Incomplete
    text = data[start:end].decode(errors="replace")
    if kind == b"=":
        text = text[4:]
    return (Refusal(text) if kind == b"!" else text), end + 2


def _items(
    data: bytes, count: int, at: int, make: Callable[[list[Any]], Any], depth: int
) -> tuple[Any, int]:
    if count < 0:
        return None, at
    found = []
    for _ in range(count):
        item, at = _value(data, at, depth + 1)
        found.append(item)
    return make(found), at


def _map(items: list[Any]) -> dict[Any, Any]:
    return dict(zip(items[::2], items[1::2], strict=True))


_SIMPLE: dict[bytes, Callable[[str], Any]] = {
    b"+": str,
    b"-": Refusal,
    b":": int,
    b"(": int,
    b",": float,
    b"#": lambda text: text == "t",
    b"_": lambda _: None,
}
_BULKS = frozenset({b"$", b"=", b"!"})
_AGGREGATES: dict[bytes, tuple[int, Callable[[list[Any]], Any]]] = {
    b"*": (1, list),
    b"~": (1, list),
    b">": (1, lambda items: Push(tuple(items))),
    b"%": (2, _map),
}
