"""Three worker processes on one store: one publishes, another takes over, never two at once."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import pytest

from tests.contract.store import servers

_log = logging.getLogger(__name__)
_CONTENDER = Path(__file__).with_name("contender.py")


@dataclass
class Contender:
    """A worker process and what it said."""

    process: subprocess.Popen[str]
    held: list[tuple[int, float]] = field(default_factory=list)
    stretches: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def end(self) -> None:
        """Kill it and hear the last it said."""
        with self.process:
            self.process.kill()
            self._listener.join(10)

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            word, *rest = line.split()
            if word == "held":
                self.held.append((int(rest[0]), float(rest[1])))
            elif word == "may":
                self.stretches.append((float(rest[1]), float(rest[2])))

    @property
    def holds(self) -> bool:
        return bool(self.held)


@dataclass
class Contest:
    """Where they contend."""

    directory: Path
    arguments: tuple[str, ...]
    contenders: list[Contender] = field(default_factory=list)

    def start(self, name: str) -> Contender:
        state = self.directory / name
        process = subprocess.Popen(
            [sys.executable, _CONTENDER, state, *self.arguments],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **servers.CREDENTIALS, "PYTHONPATH": os.getcwd()},  # noqa: PTH109
        )
        contender = Contender(process)
        self.contenders.append(contender)
        return contender

    def wait_for_holder(self, *others: Contender, seconds: float) -> Contender:
        """Return the first that begins to hold and is none of `others`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for contender in self.contenders:
                if contender.holds and contender not in others:
                    return contender
            time.sleep(0.02)
        pytest.fail(f"nobody held within {seconds} s")

    def end(self) -> None:
        for contender in self.contenders:
            contender.end()

    def overlaps(self) -> list[tuple[float, float]]:
        """Return the stretches of time in which two could publish."""
        spans = sorted(
            (*stretch, number)
            for number, contender in enumerate(self.contenders)
            for stretch in list(contender.stretches)
        )
        return [
            (late[0], early[1])
            for index, early in enumerate(spans)
            for late in spans[index + 1 :]
            if late[2] != early[2] and late[0] < early[1]
        ]


@pytest.fixture(params=["file", "versitygw"])
def contest(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Contest]:
    if request.param == "file":
        contest = Contest(tmp_path, (f"file://{tmp_path}/store",))
        yield contest
        contest.end()
        return
    (tmp_path / "s3").mkdir()
    with servers.versitygw(tmp_path / "s3") as endpoint:
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id=servers.CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=servers.CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )
        client.create_bucket(Bucket="backups")
        client.close()
        contest = Contest(tmp_path, ("s3://backups/cluster", endpoint))
        yield contest
        contest.end()


def test_a_killed_holder_is_replaced_and_a_frozen_one_finds_out(
    contest: Contest,
) -> None:
    for name in ("a", "b", "c"):
        contest.start(name)
    first = contest.wait_for_holder(seconds=20)
    time.sleep(1)
    first.process.send_signal(signal.SIGKILL)
    killed = time.clock_gettime(time.CLOCK_BOOTTIME)
    second = contest.wait_for_holder(first, seconds=60)
    takeover = second.held[0][1] - killed
    _log.info("taken over %.1f s after the kill", takeover)
    assert 0 < takeover < 60

    time.sleep(1)
    second.process.send_signal(signal.SIGSTOP)
    frozen = time.clock_gettime(time.CLOCK_BOOTTIME)
    third = contest.wait_for_holder(first, second, seconds=60)
    second.process.send_signal(signal.SIGCONT)
    thawed = time.clock_gettime(time.CLOCK_BOOTTIME)
    time.sleep(1)
    assert all(start < frozen + 0.1 or start > thawed + 20 for start, _ in second.stretches)
    assert third.held[0][0] > second.held[0][0] > first.held[0][0]
    assert contest.overlaps() == []
    assert all(holder.stretches for holder in (first, second, third))


def test_a_holder_that_restarts_on_its_state_holds_again_at_once(contest: Contest) -> None:
    first = contest.start("a")
    contest.wait_for_holder(seconds=20)
    contest.start("b")
    first.end()
    started = time.clock_gettime(time.CLOCK_BOOTTIME)
    again = contest.start("a")
    assert contest.wait_for_holder(first, seconds=20) is again
    assert again.held[0][1] - started < 10
