"""From the operator's machine: points are found, shown and restored as in the container."""

import os
import pty
import select
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.processes.restore.conftest import Worker
from tests.processes.restore.test_files import stock_redis
from tests.processes.restore.test_host import beside
from tests.processes.restore_point.conftest import Moment, Shared, moment, written_to
from tests.processes.restore_point.recorder import Recorder


@pytest.fixture(scope="module")
def host(
    shared: Shared, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Worker, Recorder, Moment]:
    cluster, worker = shared
    with Recorder(cluster, worker) as recorder:
        worker.snapshot()
        with written_to(cluster, seed=3):
            time.sleep(0.4)
        with cluster.master.client() as client:
            client.set("precious", "data")
        before = moment(cluster, "FLUSHALL")
        recorder.seal()
    return beside(worker, tmp_path_factory.mktemp("host")), recorder, before


Host = tuple[Worker, Recorder, Moment]


def test_the_log(host: Host) -> None:
    worker, recorder, _ = host
    lines = worker.run("log", "--identity", str(worker.key), "--limit", "2").stdout.splitlines()
    assert [line.split("\t")[-1] for line in lines] == ["FLUSHALL", "SET sealed <3 bytes>"]
    assert str(recorder.written[-1].end) in worker.run("log").stdout
    refused = worker.run(
        "log", "--identity", str(worker.key), "--until", "1999-01-01", "--grep", "'"
    )
    assert refused.code == 2


@pytest.mark.parametrize("name", ["restored", "copy.rdb"])
def test_files_of_a_point_end_up_here(host: Host, name: str, tmp_path: Path) -> None:
    worker, _, before = host
    finished = worker.restore("--before-command", "FLUSHALL", "--output", str(tmp_path / name))
    assert finished.code == 0, finished.stderr
    if name == "copy.rdb":
        (tmp_path / "restored").mkdir()
        (tmp_path / name).rename(tmp_path / "restored" / "dump.rdb")
    with stock_redis(tmp_path / "restored", appendonly="no") as client:
        assert client.execute_command("DEBUG", "DIGEST") == before.digest


def test_a_local_time_is_that_of_this_machine(host: Host) -> None:
    """The container's own zone is another one."""
    worker, recorder, _ = host
    middle = datetime.fromtimestamp(recorder.written[-1].last_ms / 1000, UTC)
    local = f"{middle + timedelta(hours=5):%Y-%m-%d %H:%M:%S.%f}"
    words = ("restore", "--dry-run", "--json", "--at", local)
    finished = worker.run(*words, TZ="XYZ-5")
    assert finished.code == 0, finished.stderr
    assert finished.json["point"]["offset"] == recorder.written[-1].end
    assert worker.run(*words, TZ="UTC").code == 3


def test_what_was_shown_and_agreed_to_is_restored(shared: Shared, host: Host) -> None:
    """The question is asked on a terminal here; the answer is given there."""
    cluster, _ = shared
    worker, _, before = host
    words = ("restore", "--identity", str(worker.key), "--before-command", "FLUSHALL")
    shown = answer(worker, words, "y")
    assert "FLUSHALL" in shown
    assert "SET precious <4 bytes>" in shown
    assert cluster.digests() == [before.digest] * 3


def answer(worker: Worker, words: tuple[str, ...], text: str) -> str:
    """Run a command on a terminal of its own, answer its question, return what it showed."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "backup_worker", *words],
        env=os.environ | worker.environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=worker.directory,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        shown, answered, deadline = b"", False, time.monotonic() + 120
        while time.monotonic() < deadline:
            if select.select([ours], [], [], 0.2)[0]:
                try:
                    chunk = os.read(ours, 65536)
                except OSError:  # the other side is closed: it has ended
                    break
                shown += chunk
            if not answered and b"[y/N]" in shown:
                os.write(ours, text.encode() + b"\n")
                answered = True
        process.wait(30)
    os.close(ours)
    assert process.returncode == 0, shown.decode(errors="replace")
    return shown.decode(errors="replace")
