"""`redis-ha ARGS...` that sends itself a signal right before or after it sends a command.

python -m tests.processes.redis_ha.killed_operator after:SIGKILL "CLIENT PAUSE" 2 failover --yes
"""

import os
import signal
import sys
from typing import Any

import redis

from redis_ha.cli import main

WHEN, _, NAME = sys.argv[1].partition(":")
SIGNAL = signal.Signals[NAME]
WORDS, COUNT = sys.argv[2].split(), int(sys.argv[3])
_seen = 0
_original = redis.Redis.execute_command


def _execute(self: redis.Redis, *args: Any, **options: Any) -> Any:
    global _seen  # noqa: PLW0603 - the process ends with it
    words = [word for arg in args[:2] for word in str(arg).upper().split()]
    hit = words[: len(WORDS)] == WORDS
    _seen += hit
    if hit and _seen == COUNT and WHEN == "before":
        os.kill(os.getpid(), SIGNAL)
    answer = _original(self, *args, **options)  # type: ignore[no-untyped-call]
    if hit and _seen == COUNT:
        os.kill(os.getpid(), SIGNAL)
    return answer


redis.Redis.execute_command = _execute  # type: ignore[method-assign]
sys.argv[1:] = sys.argv[4:]
main()
