"""The files that a worker writes while it lives."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from backup_worker.health import STUCK_SECONDS, Heartbeat


class Times:
    """A clock that moves when told."""

    now = 1000.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def heartbeat(path: Path, times: Times, line: Callable[[], str] = lambda: "ok") -> Heartbeat:
    return Heartbeat({path: line}, monotonic=lambda: times.now)


def test_the_health_file_goes_stale_when_the_work_hangs(tmp_path: Path) -> None:
    path, times, words = tmp_path / "health", Times(), iter(["ok 1", "ok 2", "ok 3"])
    heart = heartbeat(path, times, lambda: next(words))
    heart.write()
    times.sleep(STUCK_SECONDS + 1)
    heart.write()
    assert path.read_text() == "ok 1\n"
    heart.sign_of_life()
    heart.write()
    assert path.read_text() == "ok 2\n"


def test_a_health_file_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    heartbeat(tmp_path / "missing" / "health", Times()).write()
    assert list(tmp_path.iterdir()) == []


def test_the_health_file_is_one_line(tmp_path: Path) -> None:
    heartbeat(tmp_path / "health", Times(), lambda: "bad:\ntwo lines").write()
    assert (tmp_path / "health").read_text() == "bad: two lines\n"


def test_one_file_that_cannot_be_written_stops_no_other(tmp_path: Path) -> None:
    texts = {tmp_path / "missing" / "status": lambda: "{}", tmp_path / "health": lambda: "ok"}
    Heartbeat(texts).write()
    assert (tmp_path / "health").read_text() == "ok\n"


def test_whoever_reads_while_several_threads_write_finds_a_whole_file(tmp_path: Path) -> None:
    path, over, line = tmp_path / "health", threading.Event(), "x" * 1_000_000
    heart = heartbeat(path, Times(), lambda: line)
    heart.write()

    def write() -> None:
        while not over.is_set():
            heart.write()

    with ThreadPoolExecutor() as pool:
        writers = [pool.submit(write) for _ in range(2)]
        try:
            read = {path.read_text() for _ in range(200)}
        finally:
            over.set()
    assert read == {line + "\n"}
    assert [writer.result() for writer in writers] == [None, None]
