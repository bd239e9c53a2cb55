"""An append-only file that a full disk broke, without Redis noticing: it has to be written anew.

When only a part of a command fits on the disk, Redis (7.0 to 8.0, and Valkey) cuts it off again but
writes on where it had stopped: between the two a few NULs stay in a file that a rewrite opened
(aof.c: openNewIncrAofForAppend opens without O_APPEND, flushAppendOnlyFile truncates without
seeking). Redis says that all is well again, and refuses to load the file at its next start.
"""

from collections.abc import Mapping
from typing import Any

_AGAIN_SECONDS = 10.0


class BrokenLog:
    """Says when Redis should be asked to write its file anew; told what INFO says, each second."""

    def __init__(self) -> None:
        self._broken = False
        self._asked_at: float | None = None

    def wants_rewrite(self, info: Mapping[str, Any], now: float) -> bool:
        """Say whether to ask now; `now` in seconds of a clock that only goes forward."""
        if info.get("aof_last_write_status", "ok") != "ok":
            self._broken, self._asked_at = True, None
            return False
        if not self._broken or _rewriting(info):
            return False
        if self._asked_at is not None:
            if info.get("aof_last_bgrewrite_status") == "ok":
                self._broken, self._asked_at = False, None
                return False
            if now - self._asked_at < _AGAIN_SECONDS:
                return False
        self._asked_at = now
        return True


def _rewriting(info: Mapping[str, Any]) -> bool:
    return any(int(info.get(f"aof_rewrite_{state}", 0)) for state in ("in_progress", "scheduled"))
