"""Everything that age raises on purpose.

AgeError
├── Malformed        not age v1: the header breaks the grammar, or the file ends inside it
├── MalformedKey     not an X25519 identity or recipient
├── Unsupported      age, but a part that this package leaves out (armor, scrypt, plugins)
├── WrongKey         no identity opens any stanza
└── Corrupt          the right key, but bytes are missing, changed or added
"""


class AgeError(Exception):
    """Something that was attempted and failed, told so that it can be acted upon."""

    def __init__(self, *, operation: str, subject: str, cause: str, hint: str) -> None:
        super().__init__(operation, subject, cause, hint)
        self.operation = operation
        self.subject = subject
        self.cause = cause
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.operation} {self.subject}: {self.cause}; {self.hint}"


class Malformed(AgeError):
    """The bytes are no age v1 file."""

    def __init__(self, cause: str) -> None:
        super().__init__(
            operation="read",
            subject="age header",
            cause=cause,
            hint="the file is damaged, incomplete or not an age v1 file",
        )


class MalformedKey(AgeError):
    """The text is no X25519 identity or recipient. Never quotes the text: it may be a secret."""


class Unsupported(AgeError):
    """Valid age that this package does not implement."""


class WrongKey(AgeError):
    """None of the identities opens any stanza.

    A changed byte in a stanza looks the same: its MAC is keyed with the shared secret.
    """

    def __init__(self, *, identities: int, stanzas: int) -> None:
        super().__init__(
            operation="open",
            subject="age header",
            cause=f"none of {identities} identities opens any of its {stanzas} X25519 stanzas",
            hint="use the identity of a recipient that the file was encrypted to",
        )


class Corrupt(AgeError):
    """Authentication failed. `chunk` counts from 0; None is the header."""

    def __init__(self, cause: str, *, chunk: int | None) -> None:
        super().__init__(
            operation="decrypt",
            subject="age header" if chunk is None else f"age payload, chunk {chunk}",
            cause=cause,
            hint="the file was damaged, cut short or changed: use another copy",
        )
        self.chunk = chunk
