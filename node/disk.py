"""What a data directory holds, and what the node last noted about it."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from node.files import write_atomically

_MARKER = "node-state.json"


@dataclass(frozen=True)
class Marker:
    """The note a data node leaves in its data directory.

    Written when the server starts and whenever role, replid or emptiness change, with
    `clean_stop` False; written with True and the final offset (bytes) after an orderly stop.
    """

    started: str
    clean_stop: bool = False
    offset: int = 0
    role: str = ""
    replid: str = ""
    has_keys: bool = True


@dataclass(frozen=True)
class Disk:
    """What a start finds: data or none, and the note, None when missing or unreadable."""

    holds_data: bool
    marker: Marker | None = None

    @property
    def crashed(self) -> bool:
        """True unless the last stop was orderly; a torn note counts as a crash."""
        return self.marker is None or not self.marker.clean_stop

    @property
    def has_something_to_lose(self) -> bool:
        return self.holds_data and (self.marker is None or self.marker.has_keys)

    @property
    def replid(self) -> str:
        return self.marker.replid if self.marker else ""


def read_disk(data_dir: Path) -> Disk:
    """Look at a data directory."""
    manifests = (data_dir / "appendonlydir").glob("*.manifest")
    holds_data = any(manifests) or (data_dir / "dump.rdb").is_file()
    return Disk(holds_data, _read_marker(data_dir / _MARKER))


def write_marker(data_dir: Path, marker: Marker) -> None:
    """Replace the note durably."""
    write_atomically(data_dir / _MARKER, json.dumps(asdict(marker)) + "\n")


class Note:
    """The marker of a server that serves: a disk that takes no file must not end that.

    The one on the disk then is an older one and not that of an orderly stop; `put` is to be called
    again and again, and writes as soon as it can. `warn` is told once why it can't.
    """

    def __init__(self, data_dir: Path, marker: Marker, warn: Callable[[str], None]) -> None:
        """Write the first one; raises OSError: the last stop's must not stay."""
        write_marker(data_dir, marker)
        self.marker = marker
        self._data_dir = data_dir
        self._warn = warn
        self._owed = False

    def put(self, marker: Marker) -> None:
        """Have the disk say so, when it doesn't yet."""
        if marker == self.marker and not self._owed:
            return
        self.marker = marker
        try:
            write_marker(self._data_dir, marker)
        except OSError as error:
            if not self._owed:
                self._warn(str(error))
            self._owed = True
        else:
            self._owed = False


def _read_marker(path: Path) -> Marker | None:
    try:
        fields = json.loads(path.read_text())
        return Marker(
            started=str(fields["started"]),
            clean_stop=fields["clean_stop"] is True,
            offset=int(fields["offset"]),
            role=str(fields["role"]),
            replid=str(fields["replid"]),
            has_keys=fields["has_keys"] is not False,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
