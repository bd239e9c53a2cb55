"""What the toolchain raises on purpose.

ToolchainError          a step could not be done
└── Refused             it must not be tried on this machine as it is
"""


class ToolchainError(Exception):
    """A step that could not be done: what was attempted, on what, why not, and the way out."""

    def __init__(self, *, operation: str, subject: str, cause: str, hint: str) -> None:
        super().__init__(operation, subject, cause, hint)
        self.operation = operation
        self.subject = subject
        self.cause = cause
        self.hint = hint

    def __str__(self) -> str:
        return f"cannot {self.operation} {self.subject}: {self.cause}; {self.hint}"


class Refused(ToolchainError):
    """This machine lacks something that only its owner can give."""
