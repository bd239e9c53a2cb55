"""The exceptions of the stand-in plugins.

PluginError
    OperationFailed     nothing was made, or what was made has been removed again
        Cancelled       the engine asked to stop
    InitFailed          made and kept in the state, but not ready
"""

from __future__ import annotations

from typing import Any


class PluginError(Exception):
    """Base of all errors a plugin reports to the engine."""


class OperationFailed(PluginError):
    """An operation failed: what was attempted, on what, why, and the way out."""

    def __init__(self, *, operation: str, subject: str, cause: str, hint: str = "") -> None:
        self.operation = operation
        self.subject = subject
        self.cause = cause
        self.hint = hint
        tail = f"; {hint}" if hint else ""
        super().__init__(f"cannot {operation} {subject}: {cause}{tail}")


class Cancelled(OperationFailed):
    """The engine cancelled the run, or is gone."""


class InitFailed(PluginError):
    """The resource exists and belongs into the state, but it did not become ready.

    `state` holds its properties as `create` would have returned them; `reason` is shown to the
    user. The engine retries with an update on the next run.
    """

    def __init__(self, *, identity: str, state: dict[str, Any], reason: str) -> None:
        self.identity = identity
        self.state = state
        self.reason = reason
        super().__init__(reason)
