"""The daemon's progress messages while it builds or pulls."""

from __future__ import annotations

import queue
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from toolchain.plugins.base.errors import Cancelled, OperationFailed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toolchain.plugins.base.lifetime import Lifetime

_KEPT_LINES: Final = 30
_END: Final = object()


def last_words(
    stream: Iterable[dict[str, Any]], operation: str, subject: str, *, lifetime: Lifetime
) -> None:
    """Follow the messages to their end.

    Raises OperationFailed with the last lines when the daemon reports an error, Cancelled as soon
    as the run is; the daemon ends its work when this process, and so the connection, ends.
    """
    inbox: queue.Queue[Any] = queue.Queue()
    threading.Thread(target=_forward, args=(stream, inbox), daemon=True).start()
    lines: deque[str] = deque(maxlen=_KEPT_LINES)
    while True:
        if lifetime.stopping:
            raise Cancelled(operation=operation, subject=subject, cause="the run was cancelled")
        try:
            message = inbox.get(timeout=0.2)
        except queue.Empty:
            continue
        if message is _END:
            return
        if isinstance(message, Exception):
            raise message
        lines.append(str(message.get("stream", "")).rstrip())
        if "error" in message:
            shown = "\n".join(line for line in lines if line)
            cause = f"{message['error']}\n{shown}" if shown else str(message["error"])
            raise OperationFailed(operation=operation, subject=subject, cause=cause)


def _forward(stream: Iterable[dict[str, Any]], inbox: queue.Queue[Any]) -> None:
    try:
        for message in stream:
            inbox.put(message)
    except Exception as error:  # noqa: BLE001 - raised again by the reader
        inbox.put(error)
    inbox.put(_END)
