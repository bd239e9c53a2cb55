"""Everything that redis_ha raises on purpose.

RedisHaError
├── BadSetting           a setting or an argument cannot be used as it is
├── Unreachable          no node, or too few sentinels, answered
├── NoMaster             they answered, but name no master that says it is one
├── UnknownNode          no node of the cluster has that name
├── StackUnavailable     Pulumi can't say where the stack's cluster is
├── AccessDenied         a server refuses the user, the command, or has an untrusted certificate
├── CallTimedOut         a call's time is over, whatever it was waiting for
├── PoolExhausted        every connection stayed busy for the call's whole time
├── OutcomeUnknown       the connection broke after a write was sent: it may have been applied
├── ClientClosed         the client was closed before the call
├── SwitchoverRefused    a zero-loss switchover isn't possible now; the master serves as before
│   └── SwitchoverBusy   somebody else is making one
├── SwitchoverUncertain  a promotion may still come, or came wrongly; the old master stays paused
├── ChangeRefused        the stack's planner, or what the cluster holds, forbids the change
├── HarmRefused          a failover test may not, or can't, hurt the cluster as asked
└── WorkloadFailed       the clients of a failover test did not do their work
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


class BadSetting(RedisHaError):
    """A setting or an argument cannot be used as it is."""


class Unreachable(RedisHaError):
    """No node, or too few sentinels, answered."""


class NoMaster(RedisHaError):
    """The nodes answered, but none is the master that the sentinels name."""


class AccessDenied(RedisHaError):
    """The user, its password, its rights or the certificate won't do; trying again won't help."""


class CallTimedOut(RedisHaError):
    """A call did not end within its time; the cause says what it waited for."""


class PoolExhausted(CallTimedOut):
    """All connections stayed busy for the call's whole time; nothing was sent for this command."""


class OutcomeUnknown(RedisHaError):
    """A write was sent and the connection broke before its reply: applied or not, nobody knows."""


class ClientClosed(RedisHaError):
    """The client was closed."""


class SwitchoverRefused(RedisHaError):
    """A switchover that loses nothing isn't possible now."""


class SwitchoverBusy(SwitchoverRefused):
    """Somebody else is switching the same master over."""


class SwitchoverUncertain(RedisHaError):
    """A failover was requested and its end is not known; writes on the old master stay paused."""


class UnknownNode(RedisHaError):
    """No node of the cluster has that name."""


class StackUnavailable(RedisHaError):
    """Pulumi isn't there, knows no such stack, or the stack has no cluster."""


class ChangeRefused(RedisHaError):
    """A change of the stack isn't safe as it was asked for; nothing was touched."""


class HarmRefused(RedisHaError):
    """A failover test may not, or can't, hurt the cluster as asked."""


class WorkloadFailed(RedisHaError):
    """The clients of a failover test did not do their work."""
