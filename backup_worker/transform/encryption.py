"""age v1 as a transform: to the operator's public keys, which the worker cannot undo."""

from collections.abc import Sequence

import age
from backup_worker.errors import BackupError, SnapshotCorrupt, UsageError, WrongKey

_STEP = 256 * 1024


class Encrypt:
    """Encrypts to every recipient; any one of their identities opens the object."""

    step = _STEP

    def __init__(self, recipients: Sequence[age.Recipient]) -> None:
        try:
            self._age = age.Encryptor(recipients)
        except age.AgeError as error:
            raise _usage_error(error, subject="the recipients") from None

    def update(self, data: bytes) -> bytes:
        """Encrypt the next bytes."""
        return self._age.update(data)

    def finish(self) -> bytes:
        """Return the last chunk."""
        return self._age.finish()


class Decrypt:
    """Decrypts with any of the identities; returns no byte whose MAC was not checked.

    Raises WrongKey when no identity opens the object, else SnapshotCorrupt.
    """

    step = _STEP

    def __init__(self, identities: Sequence[age.Identity], *, subject: str) -> None:
        self._age = age.Decryptor(identities)
        self._subject = subject

    def update(self, data: bytes) -> bytes:
        """Decrypt the next bytes."""
        try:
            return self._age.update(data)
        except age.AgeError as error:
            raise self._translate(error) from None

    def finish(self) -> bytes:
        """Return the last bytes; raises when the object is cut short."""
        try:
            return self._age.finish()
        except age.AgeError as error:
            raise self._translate(error) from None

    def _translate(self, error: age.AgeError) -> BackupError:
        kind = WrongKey if isinstance(error, age.WrongKey) else SnapshotCorrupt
        return kind(
            operation="decrypt",
            subject=self._subject,
            cause=f"{error.subject}: {error.cause}",
            hint=error.hint,
        )


def read_recipients(texts: Sequence[str]) -> tuple[age.Recipient, ...]:
    """Read public keys (`age1...`). Raises UsageError that quotes the bad one."""
    recipients = []
    for text in texts:
        try:
            recipients.append(age.Recipient.parse(text))
        except age.AgeError as error:
            raise _usage_error(error, subject=f"recipient {text!r}") from None
    return tuple(recipients)


def read_identities(text: str, *, source: str) -> tuple[age.Identity, ...]:
    """Read an identity file's text. Raises UsageError that names `source`, never its content."""
    try:
        return tuple(age.parse_identity_file(text))
    except age.AgeError as error:
        raise _usage_error(error, subject=f"{source}, {error.subject}") from None


def _usage_error(error: age.AgeError, *, subject: str) -> UsageError:
    return UsageError(
        operation=error.operation, subject=subject, cause=error.cause, hint=error.hint
    )
