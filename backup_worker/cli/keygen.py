"""`backup-worker keygen`: the key that opens the backups."""

import os
from datetime import UTC, datetime
from pathlib import Path

import click

from backup_worker.errors import BackupError, RefusedForSafety


@click.command("keygen", short_help="Make the key that opens the backups.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default="redis-ha-identity.txt",
    show_default=True,
    help="The file for the identity; it must not exist.",
)
def command(output: Path) -> None:
    """Make an age identity, write it to a file that only you can read, and print its recipient.

    The recipient goes into REDIS_BACKUP_RECIPIENT. The identity belongs in a safe place away
    from the cluster: without it no backup can be opened, by anybody. The file is as age-keygen
    writes it; `age -d -i FILE` reads it.

    \b
    Examples:
      backup-worker keygen -o key.txt
      backup-worker keygen -o key.txt > recipient.txt
    """
    import age  # noqa: PLC0415 - not to show --help

    identity = age.Identity.generate()
    recipient = identity.to_public().encode()
    created = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    write_new(output, f"# created: {created}\n# public key: {recipient}\n{identity.encode()}\n")
    click.echo(recipient)
    click.echo(f"identity written to {output}: keep it safe, away from the cluster", err=True)


def write_new(path: Path, text: str) -> None:
    """Write a file (0600) that must not exist yet; nothing is left when the disk is full.

    Raises RefusedForSafety when it exists, BackupError when it can't be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise RefusedForSafety(
            operation="write",
            subject=f"identity file {path}",
            cause="it exists, and an overwritten identity makes its backups unreadable",
            hint="choose another file with -o",
        ) from error
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> BackupError:
    return BackupError(
        operation="write",
        subject=f"identity file {path}",
        cause=error.strerror or str(error),
        hint="choose a file that can be written with -o",
    )
