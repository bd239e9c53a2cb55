"""When a process ends, to the millisecond, whoever's child it is."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL = 0.001
_PATIENCE = 20.0


@contextmanager
def noting_the_end_of(pid: int, ends: list[float]) -> Iterator[None]:
    """Add to `ends` when (s, monotonic) the process closed its files; the block makes it end."""

    def watch() -> None:
        deadline = time.monotonic() + _PATIENCE
        while has_files(pid):
            if time.monotonic() > deadline:
                return
            time.sleep(_POLL)
        ends.append(time.monotonic())

    known = len(ends)
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    assert len(ends) == known + 1, f"process {pid} still lives"


def has_files(pid: int) -> bool:
    """Whether its files are open: the kernel closes them when the last of its threads has ended.

    The first one may be a zombie before the others have gone.
    """
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    except (OSError, IndexError):
        return False
    return state not in "ZX" or threads > 1
