"""`redis-ha ARGS...` that sends itself a signal right before or after it sends a command.

python -m tests.processes.redis_ha.killed_operator after:SIGKILL "CLIENT PAUSE" 2 failover --yes

With `after:SIGKILL:guard` its guard is killed first.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

from redis_ha.cli import main
from redis_ha.switchover_claim import Claim

WHEN, NAME, *_GUARD = sys.argv[1].split(":")
SIGNAL = signal.Signals[NAME]
WORDS, COUNT = sys.argv[2].split(), int(sys.argv[3])
_seen = 0


def _die() -> None:
    if _GUARD:
        for children in Path("/proc/self/task").glob("*/children"):
            for pid in children.read_text().split():
                os.kill(int(pid), signal.SIGKILL)
    os.kill(os.getpid(), SIGNAL)


def _deadly(original: Callable[..., Any]) -> Callable[..., Any]:
    def execute(self: Any, *args: Any, **options: Any) -> Any:
        global _seen  # noqa: PLW0603 - the process ends with it
        words = [word for arg in args[:2] for word in str(arg).upper().split()]
        hit = words[: len(WORDS)] == WORDS
        _seen += hit
        if hit and _seen == COUNT and WHEN == "before":
            _die()
        answer = original(self, *args, **options)
        if hit and _seen == COUNT:
            _die()
        return answer

    return execute


redis.Redis.execute_command = _deadly(redis.Redis.execute_command)  # type: ignore[method-assign]
Claim.command = _deadly(Claim.command)  # type: ignore[method-assign]
sys.argv[1:] = sys.argv[4:]
main()
