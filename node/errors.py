"""Everything that the node's programs raise on purpose.

NodeError
├── BadSettings   node.json or a configuration file can't be used
└── Stopped       asked to stop while waiting
"""


class NodeError(Exception):
    """Something that was attempted on this node and failed."""

    def __init__(self, *, operation: str, subject: str, cause: str, hint: str) -> None:
        super().__init__(operation, subject, cause, hint)
        self.operation = operation
        self.subject = subject
        self.cause = cause
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.operation} {self.subject}: {self.cause}; {self.hint}"


class BadSettings(NodeError):
    """node.json or a configuration file can't be used."""


class Stopped(Exception):
    """This process was asked to stop (SIGTERM or SIGINT), or its server ended, while it waited."""
