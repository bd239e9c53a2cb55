"""From a node's lines to its entries, in their order; pure."""

from collections.abc import Callable, Generator, Iterable
from datetime import UTC, datetime

from redis_ha.logs.entry import PLAIN, Entry
from redis_ha.logs.line import Line, parse

# A traceback or a crash report that is longer comes in several entries.
_MOST_LINES = 200
_EPOCH = datetime.fromtimestamp(0, UTC)
# Lines as they come; None after a moment's silence, so that nothing is held back.
Lines = Iterable[Line | None]


def read_entries(
    lines: Lines, name_of: Callable[[str], str]
) -> Generator[Entry | None, None, None]:
    """Parse lines; those without a time of their own that follow each other are one entry.

    `name_of` gives the node of a unit. Yields None where the lines do.
    """
    loose: list[Line] = []
    last = _EPOCH
    for line in lines:
        entry = None if line is None else parse(line, node=name_of(line.unit))
        if loose and (line is None or entry or len(loose) >= _MOST_LINES):
            yield _joined(loose, name_of, last)
            loose = []
        if entry is not None:
            last = entry.time
            yield entry
        elif line is None:
            yield None
        elif loose or line.text.strip():
            loose.append(line)
    if loose:
        yield _joined(loose, name_of, last)


def _joined(lines: list[Line], name_of: Callable[[str], str], last: datetime) -> Entry:
    text = "\n".join(line.text for line in lines).rstrip()
    return Entry(
        # Not before what was said before it: a collector stamps a line after its writer did.
        time=max(last, lines[0].received or last),
        level="error" if text.startswith("Traceback ") else "info",
        event=PLAIN,
        node=name_of(lines[0].unit),
        message=text,
    )
