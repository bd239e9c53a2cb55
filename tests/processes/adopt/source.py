"""An ordinary Redis outside the cluster, and a writer that notes what it acknowledged."""

import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis

from redis_ha.connection import PLAIN_HANDSHAKE
from tests.processes.ports import HOST, free_ports

LIBRARY = """#!lua name=old
redis.register_function('old_answer', function(keys, args) return 42 end)
"""


@dataclass
class OldRedis:
    """A redis-server process; `options` are what redis-py needs to log in."""

    port: int
    directory: Path
    lines: Sequence[str] = ()
    options: dict[str, object] = field(default_factory=dict)
    host: str = HOST
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"

    def start(self) -> "OldRedis":
        self.directory.mkdir(exist_ok=True)
        config = self.directory / "redis.conf"
        usual = ("save ''", "repl-diskless-sync-delay 0", "enable-debug-command local")
        place = (f"bind {HOST}", f"dir {self.directory}")
        port = () if any("tls-port" in line for line in self.lines) else (f"port {self.port}",)
        config.write_text("\n".join((*place, *port, *usual, *self.lines, "")))
        with (self.directory / "log").open("wb") as log:
            self.process = subprocess.Popen(["redis-server", str(config)], stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while not self.answers():
            assert time.monotonic() < deadline, (self.directory / "log").read_text()
            time.sleep(0.05)
        return self

    def answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except (redis.RedisError, OSError):
            return False

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)

    def client(self, *, db: int = 0, timeout: float = 60.0) -> redis.Redis:
        kept: dict[str, object] = {
            "db": db,
            "socket_timeout": timeout,
            "decode_responses": True,
            **PLAIN_HANDSHAKE,
            **self.options,
        }
        return redis.Redis(host=self.host, port=self.port, **kept)  # type: ignore[arg-type]

    def fill(self, *, keys: int = 3000) -> None:
        """Write keys into two databases, with TTLs, and a function."""
        for database in (0, 5):
            with self.client(db=database) as client:
                pipeline = client.pipeline(transaction=False)
                for number in range(keys):
                    pipeline.set(f"old:{number}", "x" * 100, ex=36_000 if number % 3 else None)
                pipeline.execute()
        with self.client() as client:
            client.execute_command("FUNCTION", "LOAD", "REPLACE", LIBRARY)

    def digest(self) -> str:
        with self.client() as client:
            return str(client.execute_command("DEBUG", "DIGEST"))

    def is_writable(self) -> bool:
        try:
            with self.client(timeout=40.0) as client:
                return bool(client.set("probe", "1")) and bool(client.delete("probe"))
        except redis.ReadOnlyError:
            return False


@contextmanager
def old_redis(
    directory: Path, lines: Sequence[str] = (), options: dict[str, object] | None = None
) -> Iterator[OldRedis]:
    """Give a filled one and end it at the end."""
    old = OldRedis(free_ports(1)[0], directory, lines, options or {})
    try:
        old.start().fill()
        yield old
    finally:
        old.stop()


@dataclass
class Writer:
    """Writes `ledger:<n>` to the old Redis until told to stop; `refused` counts the refusals."""

    old: OldRedis
    acknowledged: list[int] = field(default_factory=list)
    refused: int = 0
    longest_gap: float = 0.0
    _over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        number, last = 0, time.monotonic()
        with self.old.client() as client:
            while not self._over.is_set():
                number += 1
                try:
                    client.set(f"ledger:{number}", number)
                except redis.RedisError:
                    self.refused += 1
                    time.sleep(0.01)
                    continue
                now = time.monotonic()
                self.longest_gap, last = max(self.longest_gap, now - last), now
                self.acknowledged.append(number)

    @contextmanager
    def writing(self) -> Iterator["Writer"]:
        thread = threading.Thread(target=self.run)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join(60)

    def lost(self, client: redis.Redis) -> list[int]:
        """Return the acknowledged numbers that a server does not hold."""
        pipeline = client.pipeline(transaction=False)
        for number in self.acknowledged:
            pipeline.exists(f"ledger:{number}")
        held = pipeline.execute()
        return [n for n, there in zip(self.acknowledged, held, strict=True) if not there]
