"""Removing what may still be in use for a moment."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from docker.errors import APIError, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from toolchain.plugins.base.lifetime import Lifetime

_PATIENCE: Final = 30.0  # seconds, as the official provider waits for networks and volumes


def remove_when_free(remove: Callable[[], object], *, busy: str, lifetime: Lifetime) -> None:
    """Call `remove` until it succeeds; it may answer for a while that the thing is `busy`.

    Raises the daemon's APIError for any other refusal, or when patience or the run ends.
    """
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            remove()
        except NotFound:
            return
        except APIError as error:
            waiting = busy in str(error.explanation) and time.monotonic() < end
            if not waiting or lifetime.pause(0.5):
                raise
        else:
            return
