"""A clock that was set back, after which a sentinel waits for a time that it has already seen.

Sentinel stamps by the clock what it last tried (sentinel.c: last_reconn_time and such). Once that
lies in the future, a connection that is lost isn't opened again until the clock gets there: with a
clock that ran an hour ahead, for an hour. Only a new start makes it forget.
"""

# What Sentinel itself takes for a jump (sentinel.c: SENTINEL_TILT_TRIGGER).
_JUMP_SECONDS = 2.0


class Clock:
    """Compares the clock that can be set with the one that can't; both in seconds."""

    def __init__(self, wall: float, monotonic: float) -> None:
        self._ahead = wall - monotonic

    def was_set_back(self, wall: float, monotonic: float) -> bool:
        """Say whether that happened since the last look; what slews slowly is no jump."""
        before, self._ahead = self._ahead, wall - monotonic
        return before - self._ahead > _JUMP_SECONDS
