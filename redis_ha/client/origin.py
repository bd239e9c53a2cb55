"""Where an error of redis-py comes from: a function may use other Redis servers than ours."""

from collections.abc import Iterator
from types import FrameType

_THEIRS, _OURS = "redis", "redis_ha"


def comes_from_elsewhere(error: BaseException | None, pool: object) -> bool:
    """Say whether redis-py raised it for another server than the one that this pool is for.

    Read from the traceback, so that calls that go well cost nothing. An error that was raised
    `from` another is where that one is from, too. What the function raised by itself, without a
    client, is taken for our server's: it may be its way to say that it is to be called again.
    """
    frames = list(_frames(error))
    if any(_belongs(frame.f_locals.get("self"), pool) for frame in frames):
        return False
    return any(_package(frame) == _THEIRS for frame in frames)


def _frames(error: BaseException | None) -> Iterator[FrameType]:
    """Give the frames of both packages; only there `self` is an object that is known."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        traceback = error.__traceback__
        while traceback is not None:
            if _package(traceback.tb_frame) in (_THEIRS, _OURS):
                yield traceback.tb_frame
            traceback = traceback.tb_next
        seen.add(id(error))
        error = error.__cause__


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__")).partition(".")[0]


def _belongs(owner: object, pool: object) -> bool:
    """Say so of redis-py's clients, pipelines and subscriptions, and of our connections."""
    lent_for = getattr(getattr(owner, "call", None), "seat", None)
    return owner is pool or getattr(owner, "connection_pool", None) is pool or lent_for is pool
