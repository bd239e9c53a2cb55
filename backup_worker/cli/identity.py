"""The operator's private key: from a file, or from standard input, never from an argument."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NoReturn

import click

import age
from backup_worker import remote
from backup_worker.cli.session import Session
from backup_worker.errors import UsageError
from backup_worker.transform.encryption import read_identities


def read_identity(source: str) -> bytes:
    """Read an identity file, or standard input for `-`; raises UsageError."""
    if source == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise UsageError(
            operation="read",
            subject=f"identity file {source}",
            cause=error.strerror or str(error),
            hint="name a readable file that `backup-worker keygen` or age-keygen made",
        ) from error


def open_identities(source: str | None) -> tuple[age.Identity, ...]:
    """Read the private keys at once: a bad file is refused before anybody is asked."""
    if source is None:
        return ()
    text = read_identity(source).decode(errors="replace")
    return read_identities(text, source="standard input" if source == "-" else source)


def forward_with_identity(session: Session, source: str | None) -> NoReturn:
    """Run this command line in the container, the key piped in; ends with its exit code."""
    words = list(session.args)
    if source is None:
        raise click.exceptions.Exit(remote.run(session.config, words))
    words = [*_without_identity(words), "--identity=-"]
    raise click.exceptions.Exit(remote.run(session.config, words, stdin=read_identity(source)))


def _without_identity(words: Iterable[str]) -> Iterator[str]:
    """Leave --identity out, in both of its spellings."""
    is_value = False
    for word in words:
        if not is_value and word != "--identity" and not word.startswith("--identity="):
            yield word
        is_value = word == "--identity" and not is_value
