"""Clients of one kind in a process of their own, so that no other kind holds their interpreter."""

import multiprocessing
import signal
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TypeVar

from redis_ha.discovery import Access
from redis_ha.errors import WorkloadFailed
from redis_ha.failover_test.clients import open_client
from redis_ha.failover_test.ledger import Reader, Writer, close_books, key_of
from redis_ha.failover_test.records import ClientRecord

T = TypeVar("T")

_START_SECONDS = 20.0
_STOP_SECONDS = 30.0
READ_PACE = 0.005


@dataclass(frozen=True)
class Job:
    """What one process does: `pace` (s) between two writes of a writer, `limit` (s) at most."""

    kind: str
    access: Access
    run: str
    limit: float
    writers: int = 2
    pace: float = 0.004


@dataclass(frozen=True)
class Progress:
    """How far a process is: writes acknowledged, and when each writer's last one was."""

    acknowledged: int
    last: tuple[float, ...]


class Workload:
    """The parent's side: start, ask, stop."""

    def __init__(self, job: Job) -> None:
        self.job = job
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(job, theirs), daemon=True)
        self._process.start()
        # Ours alone now: the child sees the end of the pipe when this process is gone.
        theirs.close()

    def progress(self) -> Progress:
        """Ask how far the clients are; raises WorkloadFailed."""
        return self._ask("progress", _START_SECONDS, Progress)

    def stop(self) -> ClientRecord:
        """End the clients and return what they saw; raises WorkloadFailed."""
        record = self._ask("stop", _STOP_SECONDS, ClientRecord)
        self.kill()
        return record

    def kill(self) -> None:
        """End the process, whatever it does."""
        self._process.terminate()
        self._process.join(5)
        self._pipe.close()

    def _ask(self, question: str, seconds: float, kind: type[T]) -> T:
        try:
            self._pipe.send(question)
            answered = self._pipe.poll(seconds)
            if answered and isinstance(answer := self._pipe.recv(), kind):
                return answer
            cause = "a strange answer" if answered else f"no answer within {seconds:.0f} s"
        except (EOFError, OSError) as error:
            cause = f"it ended: {error or type(error).__name__}"
        raise WorkloadFailed(
            operation="run the clients of kind",
            subject=self.job.kind,
            cause=cause,
            hint="see what it printed above; the cluster is put back as it was",
        )


def work(job: Job, pipe: Connection) -> None:
    """Run in the child until told to stop, the parent is gone or the time is over."""
    # ^C is the parent's to handle: it stops us when it has healed the cluster.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    client = open_client(job.kind, job.access)
    writers = [
        Writer(client, key_of(job.run, job.kind, number), job.pace) for number in range(job.writers)
    ]
    reader = Reader(client, writers, READ_PACE)
    stop = threading.Event()
    tasks = [reader.run, *(writer.run for writer in writers)]
    threads = [threading.Thread(target=task, args=(stop,), daemon=True) for task in tasks]
    for thread in threads:
        thread.start()
    wanted = _serve(pipe, writers, until=time.monotonic() + job.limit)
    stop.set()
    for thread in threads:
        thread.join(_STOP_SECONDS / 2)
    if wanted:
        pipe.send(close_books(job.kind, writers, [reader]))


def _serve(pipe: Connection, writers: list[Writer], *, until: float) -> bool:
    """Answer the parent; True when it wants the record, False when it is gone or too late."""
    while time.monotonic() < until:
        try:
            if not pipe.poll(0.5):
                continue
            question = pipe.recv()
        except (EOFError, OSError):
            return False
        if question == "stop":
            return True
        last = tuple(writer.times[-1] if writer.times else 0.0 for writer in writers)
        pipe.send(Progress(sum(len(writer.times) for writer in writers), last))
    return False
