"""Commands of the log as they are shown: values hidden unless asked for."""

from typing import Any

import click

from backup_worker.log.commands import Command, Long, Word
from backup_worker.log.history import History
from backup_worker.log.search import Logged, Match
from backup_worker.log.times import rfc3339

_SHOWN_WORDS = 12
_SHOWN_CHARACTERS = 300
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def print_left_out(history: History) -> None:
    """Warn on standard error of each timeline that is left out: no point in it is found."""
    for replid, problem in sorted(history.problems.items()):
        click.echo(f"warning: without the log of timeline {replid[:12]}: {problem}", err=True)


def logged_fields(one: Logged, *, values: bool) -> dict[str, Any]:
    """Return a logged command for JSON; `offset` is that of its last byte."""
    return {
        "time": rfc3339(one.time_ms),
        "timeline": one.replid,
        "offset": one.command.end,
        "before": one.command.unit,
        "db": one.command.db,
        "command": command_text(one.command, values=values),
    }


def match_fields(match: Match, *, values: bool) -> dict[str, Any]:
    """Return a match and its neighbours for JSON."""
    return {
        "found": logged_fields(match.found, values=values),
        "before": [logged_fields(one, values=values) for one in match.before],
        "after": [logged_fields(one, values=values) for one in match.after],
    }


def logged_line(fields: dict[str, Any]) -> str:
    """Write a logged command as a line: time, place (as --offset takes it), database, command."""
    return "\t".join(
        (
            fields["time"],
            f"{fields['timeline'][:8]}:{fields['offset']}",
            "-" if fields["db"] is None else str(fields["db"]),
            fields["command"],
        )
    )


def command_text(command: Command, *, values: bool) -> str:
    """Write a command: its name and first argument, the sizes of the others unless `values`."""
    limit = len(command.words) if values else _SHOWN_WORDS
    texts = [
        _plain(word) if values or index < 2 else f"<{_size(word)} bytes>"
        for index, word in enumerate(command.words[:limit])
    ]
    if more := command.length - len(texts):
        texts.append(f"<{more} more>")
    return " ".join(texts)


def _size(word: Word) -> int:
    return word.size if isinstance(word, Long) else len(word)


def _plain(word: Word) -> str:
    """Quote as redis-cli does where a terminal or a reader could be misled; cut short."""
    if isinstance(word, Long):
        return f"<{word.size} bytes>"
    text = word.decode("utf-8", "surrogateescape")
    if text and text.isprintable() and not set(text) & set(" \"'\\<>"):
        quoted = text
    else:
        quoted = '"' + "".join(map(_escaped, text)) + '"'
    if len(quoted) <= _SHOWN_CHARACTERS:
        return quoted
    return f"{quoted[:_SHOWN_CHARACTERS]}...<{len(word)} bytes>"


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    raw = character.encode("utf-8", "surrogateescape")
    return "".join(f"\\x{byte:02x}" for byte in raw)
