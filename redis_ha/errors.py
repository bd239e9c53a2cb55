"""Everything that redis_ha raises on purpose.

RedisHaError
├── Unreachable          no node, or too few sentinels, answered
├── NoMaster             they answered, but name no master that says it is one
├── SwitchoverRefused    a zero-loss switchover isn't possible now; the master serves as before
└── SwitchoverUncertain  a promotion may still come, or came wrongly; the old master stays paused
"""


class RedisHaError(Exception):
    """Something that was attempted on the cluster and failed."""

    def __init__(self, *, operation: str, subject: str, cause: str, hint: str) -> None:
        super().__init__(operation, subject, cause, hint)
        self.operation = operation
        self.subject = subject
        self.cause = cause
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.operation} {self.subject}: {self.cause}; {self.hint}"


class Unreachable(RedisHaError):
    """No node, or too few sentinels, answered."""


class NoMaster(RedisHaError):
    """The nodes answered, but none is the master that the sentinels name."""


class SwitchoverRefused(RedisHaError):
    """A switchover that loses nothing isn't possible now."""


class SwitchoverUncertain(RedisHaError):
    """A failover was requested and its end is not known; writes on the old master stay paused."""
