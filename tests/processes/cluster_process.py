"""One node of a test cluster as a process: started, stopped, killed, frozen, erased."""

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import redis

from redis_ha.connection import Address, Credentials
from redis_ha.discovery import Access
from tests.processes import cluster_files as files

REPOSITORY = Path(__file__).parents[2]


@dataclass
class Process:
    """One node of the cluster; its files live in `directory`, its output in `directory/log`."""

    name: str
    address: Address
    directory: Path
    command: tuple[str, ...]
    access: Access
    process: subprocess.Popen[bytes] | None = None
    guarded: bool = False

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def client(self, user: str = "operator", **options: Any) -> redis.Redis:
        """Open a connection to this node as one of the ACL users."""
        credentials = Credentials(user, files.PASSWORDS[user])
        return self.access.connect(self.address, credentials=credentials, **options)

    def start(self) -> Self:
        """Start the process; return without waiting for it."""
        assert not self.running, f"{self.name} runs already"
        environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=subprocess.STDOUT, env=environment
            )
        return self

    def stop(self, timeout: float = 30.0) -> Self:
        """Ask it to end in order (SIGTERM) and wait."""
        return self.signal(signal.SIGTERM).wait(timeout)

    def kill(self) -> Self:
        """kill -9 the server; under a supervisor that one then ends by itself."""
        if not self.guarded:
            return self.signal(signal.SIGKILL).wait(10)
        if self.server_pid is not None:
            os.kill(self.server_pid, signal.SIGKILL)
            return self.wait(10)
        self.end()
        return self

    def erase_disk(self) -> Self:
        """Empty the data directory of a node that doesn't run."""
        assert not self.running, f"{self.name} runs"
        for entry in self.data.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        return self

    def pause(self) -> Self:
        """Freeze the server (SIGSTOP), as a hang; wait for a supervisor to have started one."""
        deadline = time.monotonic() + 20
        while (pid := self.server_pid) is None:
            assert time.monotonic() < deadline, f"{self.name} has no server: {self.log[-500:]}"
            time.sleep(0.05)
        os.kill(pid, signal.SIGSTOP)
        return self

    def resume(self) -> Self:
        os.kill(self.server_pid or self._pid, signal.SIGCONT)
        return self

    def signal(self, number: int) -> Self:
        assert self.process is not None, f"{self.name} was never started"
        self.process.send_signal(number)
        return self

    def wait(self, timeout: float) -> Self:
        assert self.process is not None, f"{self.name} was never started"
        self.process.wait(timeout)
        return self

    @property
    def server_pid(self) -> int | None:
        """Return the pid of the server itself; None while a supervisor has started none.

        A sentinel's supervisor has a witness as well, which may be the older one of the two.
        """
        if not self.guarded:
            return self._pid
        with suppress(OSError):
            children = Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text().split()
            return next((int(pid) for pid in children if _is_server(pid)), None)
        return None

    @property
    def _pid(self) -> int:
        assert self.process is not None, f"{self.name} was never started"
        return self.process.pid

    def end(self) -> None:
        """Kill whatever of it still runs."""
        if not self.running:
            return
        if self.guarded:
            self._hold_supervisor()
        server = self.server_pid
        for pid in {self._pid, server} - {None}:
            with suppress(ProcessLookupError):
                os.kill(int(pid or 0), signal.SIGKILL)
        self.wait(10)

    def _hold_supervisor(self) -> None:
        """Freeze the supervisor, so that it starts no server that would be left behind."""
        self.signal(signal.SIGSTOP)
        stat, deadline = Path(f"/proc/{self._pid}/stat"), time.monotonic() + 10
        while self.running and time.monotonic() < deadline:
            if stat.read_text().rpartition(")")[2].split()[0] == "T":
                return
            time.sleep(0.005)


def _is_server(pid: str) -> bool:
    """Say so once a child has become one: before that it is still called as its parent."""
    return Path(f"/proc/{pid}/comm").read_text().startswith(("redis-", "valkey-"))
